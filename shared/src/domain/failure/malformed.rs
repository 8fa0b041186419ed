//! What is wrong with a request that cannot be read at all, in no language until it is told.

use super::Sentence;

/// How a request is not what its route takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Malformed {
    /// The body is not JSON from here on, both counted from 1.
    Json {
        /// The line.
        line: usize,
        /// The column.
        column: usize,
    },
    /// The body has a field that the route does not know; its path, as `files[0].colour`.
    UnknownField(String),
    /// The body lacks a field that the route needs; its path.
    MissingField(String),
    /// A value is of another kind, or not one of those that its field takes; its path, empty for the whole body.
    Value(String),
    /// A parameter of the address is not one that the route takes.
    Query,
}

impl Malformed {
    /// What is wrong, and what to do.
    pub(super) fn sentence(&self) -> Sentence {
        let (fr, en) = match self {
            Self::Json { line, column } => (
                format!("ce n'est plus du JSON à la ligne {line}, colonne {column}"),
                format!("it is no JSON any more at line {line}, column {column}"),
            ),
            Self::UnknownField(path) => (
                format!("le champ « {path} » est inconnu"),
                format!("the field “{path}” is unknown"),
            ),
            Self::MissingField(path) => (
                format!("le champ « {path} » manque"),
                format!("the field “{path}” is missing"),
            ),
            Self::Value(path) if path.is_empty() => (
                "ce n'est pas un objet JSON".to_owned(),
                "it is not a JSON object".to_owned(),
            ),
            Self::Value(path) => (
                format!("« {path} » ne peut pas avoir cette valeur"),
                format!("“{path}” cannot have this value"),
            ),
            Self::Query => {
                return Sentence::new(
                    "Un paramètre de l'adresse n'est pas de ceux que cette route prend : voyez openapi.json.",
                    "A parameter of the address is not one that this route takes: see openapi.json.",
                );
            }
        };
        Sentence::new(
            format!("Le corps de la requête n'est pas celui attendu : {fr}. Corrigez-le et renvoyez-le."),
            format!("The body is not what this route takes: {en}. Correct it and send it again."),
        )
    }
}
