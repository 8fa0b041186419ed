//! What can be wrong with a barème, said so that a teacher can put it right.

use rust_decimal::Decimal;

use crate::domain::Language;

/// The kind of JSON value that was expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expected {
    /// `{…}`.
    Object,
    /// `[…]`.
    List,
    /// `"…"`.
    Text,
    /// `"1.5"` or `1.5`.
    Decimal,
    /// `true` or `false`.
    Boolean,
}

impl Expected {
    fn label(self, language: Language) -> &'static str {
        match (self, language) {
            (Self::Object, Language::Fr) => "un objet",
            (Self::Object, Language::En) => "an object",
            (Self::List, Language::Fr) => "une liste",
            (Self::List, Language::En) => "a list",
            (Self::Text, Language::Fr) => "un texte",
            (Self::Text, Language::En) => "a text",
            (Self::Decimal, Language::Fr) => "un nombre décimal comme \"1.5\"",
            (Self::Decimal, Language::En) => "a decimal number such as \"1.5\"",
            (Self::Boolean, Language::Fr) => "vrai ou faux",
            (Self::Boolean, Language::En) => "true or false",
        }
    }
}

/// Why a barème is refused. `path` is where (`questions[2].criteria[0].points`; empty for the whole).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.sentence(Language::En))]
#[expect(missing_docs, reason = "each variant says it; the fields are its numbers")]
pub enum RubricError {
    /// The JSON is too big to read.
    TooLarge { bytes: usize, bytes_max: usize },
    /// Not JSON at all.
    NotJson { line: usize, column: usize },
    /// A field is missing.
    Missing { path: String },
    /// Another kind of value was expected.
    WrongType { path: String, expected: Expected },
    /// A field that no barème has.
    UnknownField { path: String, known: String },
    /// A text or a list holds nothing.
    Empty { path: String },
    /// A text is too long. Unit: characters.
    TooLong {
        path: String,
        chars: usize,
        chars_max: usize,
    },
    /// A list is too long.
    TooMany {
        path: String,
        count: usize,
        count_max: usize,
    },
    /// A text holds a control character.
    ControlCharacter { path: String },
    /// An id holds something other than letters, digits, `_`, `-`, `.`.
    BadId { path: String },
    /// Two questions, or two criteria, have one id.
    DuplicateId { path: String, id: String },
    /// Points of zero or less.
    NotPositive { path: String, points: Decimal },
    /// More points than a barème may have.
    TooManyPoints {
        path: String,
        points: Decimal,
        points_max: Decimal,
    },
    /// A step that teachers do not use.
    UnknownStep { path: String, step: Decimal },
    /// Points that cannot be reached in steps.
    NotAStep {
        path: String,
        points: Decimal,
        step: Decimal,
    },
    /// The criteria of a question do not add up to it.
    CriteriaSum {
        path: String,
        question: String,
        sum: Decimal,
        expected: Decimal,
    },
    /// The questions do not add up to the total.
    QuestionsSum {
        path: String,
        sum: Decimal,
        expected: Decimal,
    },
}

impl RubricError {
    /// Where it is wrong; empty when it is the barème as a whole.
    #[must_use]
    pub fn path(&self) -> &str {
        match self {
            Self::TooLarge { .. } | Self::NotJson { .. } => "",
            Self::Missing { path }
            | Self::WrongType { path, .. }
            | Self::UnknownField { path, .. }
            | Self::Empty { path }
            | Self::TooLong { path, .. }
            | Self::TooMany { path, .. }
            | Self::ControlCharacter { path }
            | Self::BadId { path }
            | Self::DuplicateId { path, .. }
            | Self::NotPositive { path, .. }
            | Self::TooManyPoints { path, .. }
            | Self::UnknownStep { path, .. }
            | Self::NotAStep { path, .. }
            | Self::CriteriaSum { path, .. }
            | Self::QuestionsSum { path, .. } => path,
        }
    }

    /// What is wrong and what to do, as one sentence.
    #[must_use]
    pub fn sentence(&self, language: Language) -> String {
        let what = match language {
            Language::Fr => self.french(),
            Language::En => self.english(),
        };
        match (self.path(), language) {
            ("", _) => what,
            (path, Language::Fr) => format!("{path} : {what}"),
            (path, Language::En) => format!("{path}: {what}"),
        }
    }

    fn french(&self) -> String {
        let number = |value: &Decimal| value.to_string().replace('.', ",");
        match self {
            Self::TooLarge { bytes, bytes_max } => {
                format!("Le barème fait {bytes} octets ; la limite est de {bytes_max}.")
            }
            Self::NotJson { line, column } => {
                format!("Le barème n’est pas du JSON valide (ligne {line}, colonne {column}).")
            }
            Self::Missing { .. } => "ce champ est obligatoire.".to_owned(),
            Self::WrongType { expected, .. } => {
                format!("on attend ici {}.", expected.label(Language::Fr))
            }
            Self::UnknownField { known, .. } => {
                format!("un champ est inconnu ; les champs possibles sont {known}.")
            }
            Self::Empty { .. } => "il ne peut pas être vide.".to_owned(),
            Self::TooLong { chars, chars_max, .. } => {
                format!("ce texte compte {chars} caractères ; la limite est de {chars_max}.")
            }
            Self::TooMany { count, count_max, .. } => {
                format!("il y a {count} éléments ; la limite est de {count_max}.")
            }
            Self::ControlCharacter { .. } => {
                "ce texte contient un caractère de contrôle ou invisible ; retirez-le.".to_owned()
            }
            Self::BadId { .. } => {
                "un identifiant ne contient que des lettres sans accent, des chiffres et « _ - . »."
                    .to_owned()
            }
            Self::DuplicateId { id, .. } => {
                format!("l’identifiant « {id} » est déjà pris ; il doit être unique.")
            }
            Self::NotPositive { points, .. } => {
                format!(
                    "{} point ne peut pas être attribué : il faut plus que zéro.",
                    number(points)
                )
            }
            Self::TooManyPoints {
                points, points_max, ..
            } => {
                format!(
                    "{} points dépassent le maximum de {}.",
                    number(points),
                    number(points_max)
                )
            }
            Self::UnknownStep { step, .. } => {
                format!(
                    "le pas {} n’existe pas ; choisissez 1, 0,5, 0,25 ou 0,1.",
                    number(step)
                )
            }
            Self::NotAStep { points, step, .. } => {
                format!(
                    "{} n’est pas un multiple du pas {} : changez les points ou le pas.",
                    number(points),
                    number(step)
                )
            }
            Self::CriteriaSum {
                question,
                sum,
                expected,
                ..
            } => format!(
                "les critères de « {question} » totalisent {} points, mais la question en vaut {} : corrigez les uns ou \
                 l’autre.",
                number(sum),
                number(expected)
            ),
            Self::QuestionsSum { sum, expected, .. } => format!(
                "les questions totalisent {} points, mais le barème en annonce {} : corrigez les unes ou l’autre.",
                number(sum),
                number(expected)
            ),
        }
    }

    fn english(&self) -> String {
        match self {
            Self::TooLarge { bytes, bytes_max } => {
                format!("The marking scheme is {bytes} bytes; the limit is {bytes_max}.")
            }
            Self::NotJson { line, column } => {
                format!("The marking scheme is not valid JSON (line {line}, column {column}).")
            }
            Self::Missing { .. } => "this field is required.".to_owned(),
            Self::WrongType { expected, .. } => {
                format!("{} is expected here.", expected.label(Language::En))
            }
            Self::UnknownField { known, .. } => {
                format!("a field is unknown; the possible fields are {known}.")
            }
            Self::Empty { .. } => "it cannot be empty.".to_owned(),
            Self::TooLong { chars, chars_max, .. } => {
                format!("this text has {chars} characters; the limit is {chars_max}.")
            }
            Self::TooMany { count, count_max, .. } => {
                format!("there are {count} items; the limit is {count_max}.")
            }
            Self::ControlCharacter { .. } => {
                "this text holds a control or invisible character; remove it.".to_owned()
            }
            Self::BadId { .. } => "an id holds only unaccented letters, digits and “_ - .”.".to_owned(),
            Self::DuplicateId { id, .. } => format!("the id “{id}” is taken; it must be unique."),
            Self::NotPositive { points, .. } => {
                format!("{points} points cannot be awarded: more than zero is needed.")
            }
            Self::TooManyPoints {
                points, points_max, ..
            } => {
                format!("{points} points exceed the maximum of {points_max}.")
            }
            Self::UnknownStep { step, .. } => {
                format!("the step {step} does not exist; choose 1, 0.5, 0.25 or 0.1.")
            }
            Self::NotAStep { points, step, .. } => {
                format!("{points} is not a multiple of the step {step}: change the points or the step.")
            }
            Self::CriteriaSum {
                question,
                sum,
                expected,
                ..
            } => {
                format!(
                    "the criteria of “{question}” add up to {sum} points, but it is worth {expected}: correct either."
                )
            }
            Self::QuestionsSum { sum, expected, .. } => {
                format!(
                    "the questions add up to {sum} points, but the total says {expected}: correct either."
                )
            }
        }
    }
}
