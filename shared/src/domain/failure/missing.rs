//! What was asked for and is not there.

use super::Sentence;

/// What a lookup did not find. Someone else's thing is not found either.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Noun {
    /// An assignment.
    Assignment,
    /// A barème version.
    Rubric,
    /// A copy.
    Copy,
    /// The copy that a body names at this place of its `copies`.
    NamedCopy(usize),
    /// A run.
    Run,
    /// The result of a copy that was not graded yet.
    Result,
    /// The result of a copy whose grading failed.
    FailedResult,
    /// A checkout session.
    Checkout,
    /// A path that the API does not have.
    Route,
}

impl Noun {
    /// The field that names it, where a body does.
    pub(super) fn path(self) -> Option<String> {
        match self {
            Self::NamedCopy(place) => Some(format!("copies[{place}]")),
            Self::Assignment
            | Self::Rubric
            | Self::Copy
            | Self::Run
            | Self::Result
            | Self::FailedResult
            | Self::Checkout
            | Self::Route => None,
        }
    }

    /// What is not there, and what to do.
    pub(super) fn sentence(self) -> Sentence {
        let (fr, en) = match self {
            Self::NamedCopy(place) => {
                return Sentence::new(
                    format!(
                        "Ce devoir n'a pas de copie « copies[{place}] » : prenez les identifiants dans sa liste de copies."
                    ),
                    format!(
                        "This assignment has no copy “copies[{place}]”: take the ids from its list of copies."
                    ),
                );
            }
            Self::Result => {
                return Sentence::new(
                    "Cette copie n'a pas encore de résultat : corrigez-la, ou attendez la fin de sa correction.",
                    "This copy has no result yet: grade it, or wait until its run is over.",
                );
            }
            Self::FailedResult => {
                return Sentence::new(
                    "Cette copie n'a pas de résultat, car sa correction a échoué : voyez pourquoi dans les copies de la correction, puis relancez-la.",
                    "This copy has no result, for grading it failed: see why in the copies of its run, then retry it.",
                );
            }
            Self::Assignment => ("Ce devoir n'existe pas", "There is no such assignment"),
            Self::Rubric => (
                "Cette version du barème n'existe pas",
                "There is no such barème version",
            ),
            Self::Copy => ("Cette copie n'existe pas", "There is no such copy"),
            Self::Run => ("Cette correction n'existe pas", "There is no such run"),
            Self::Checkout => ("Ce paiement n'existe pas", "There is no such checkout"),
            Self::Route => ("Cette adresse n'existe pas", "There is no such address"),
        };
        Sentence::new(
            format!("{fr}, ou n'est pas à vous : vérifiez l'identifiant."),
            format!("{en}, or it is not yours: check the identifier."),
        )
    }
}
