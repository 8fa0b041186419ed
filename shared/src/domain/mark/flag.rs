//! What a human must look at before validating a copy.

use serde::{Deserialize, Serialize};

use crate::domain::Language;

/// A reason to look closer. The serialised names are stable: they are stored and exported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "http", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Flag {
    /// Points without a quote from the copy.
    MissingEvidence,
    /// A quote that is not in the copy.
    QuoteNotFound,
    /// Text that speaks to the grader instead of answering.
    InstructionsInCopy,
    /// Text that a reader of the page cannot see.
    HiddenText,
    /// Partial points on a large criterion: where graders agree least.
    MidRange,
    /// A total within half a point of 10/20.
    NearPassMark,
    /// Nothing to read.
    BlankCopy,
    /// The model's points were out of range or between two steps.
    ClampedPoints,
    /// The model left a criterion without points.
    NotGraded,
    /// A page that was hard to read.
    LowConfidenceTranscription,
    /// A page on which the model could read a pupil's name.
    NameVisible,
    /// The copy was too long to be graded whole.
    Truncated,
    /// No pupil, or several, fit the name on the copy.
    PupilUncertain,
}

impl Flag {
    /// Every flag.
    pub const ALL: [Self; 13] = [
        Self::MissingEvidence,
        Self::QuoteNotFound,
        Self::InstructionsInCopy,
        Self::HiddenText,
        Self::MidRange,
        Self::NearPassMark,
        Self::BlankCopy,
        Self::ClampedPoints,
        Self::NotGraded,
        Self::LowConfidenceTranscription,
        Self::NameVisible,
        Self::Truncated,
        Self::PupilUncertain,
    ];

    /// The stable code, as serialised.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::MissingEvidence => "missing_evidence",
            Self::QuoteNotFound => "quote_not_found",
            Self::InstructionsInCopy => "instructions_in_copy",
            Self::HiddenText => "hidden_text",
            Self::MidRange => "mid_range",
            Self::NearPassMark => "near_pass_mark",
            Self::BlankCopy => "blank_copy",
            Self::ClampedPoints => "clamped_points",
            Self::NotGraded => "not_graded",
            Self::LowConfidenceTranscription => "low_confidence_transcription",
            Self::NameVisible => "name_visible",
            Self::Truncated => "truncated",
            Self::PupilUncertain => "pupil_uncertain",
        }
    }

    /// What the teacher reads.
    #[must_use]
    pub fn label(self, language: Language) -> &'static str {
        match (self, language) {
            (Self::MissingEvidence, Language::Fr) => "Points sans citation de la copie",
            (Self::MissingEvidence, Language::En) => "Points without a quote from the copy",
            (Self::QuoteNotFound, Language::Fr) => "Citation introuvable dans la copie",
            (Self::QuoteNotFound, Language::En) => "Quote not found in the copy",
            (Self::InstructionsInCopy, Language::Fr) => "La copie s’adresse au correcteur",
            (Self::InstructionsInCopy, Language::En) => "The copy speaks to the grader",
            (Self::HiddenText, Language::Fr) => "Texte caché dans le PDF",
            (Self::HiddenText, Language::En) => "Hidden text in the PDF",
            (Self::MidRange, Language::Fr) => "Réponse partielle à relire",
            (Self::MidRange, Language::En) => "Partial answer to read again",
            (Self::NearPassMark, Language::Fr) => "Note proche de 10/20",
            (Self::NearPassMark, Language::En) => "Mark close to 10/20",
            (Self::BlankCopy, Language::Fr) => "Copie blanche",
            (Self::BlankCopy, Language::En) => "Blank copy",
            (Self::ClampedPoints, Language::Fr) => "Points ramenés dans le barème",
            (Self::ClampedPoints, Language::En) => "Points brought back into the marking scheme",
            (Self::NotGraded, Language::Fr) => "Critère non noté",
            (Self::NotGraded, Language::En) => "Criterion not graded",
            (Self::LowConfidenceTranscription, Language::Fr) => "Écriture difficile à lire",
            (Self::LowConfidenceTranscription, Language::En) => "Hard to read",
            (Self::NameVisible, Language::Fr) => "Nom d’élève lisible par le modèle",
            (Self::NameVisible, Language::En) => "Pupil’s name legible to the model",
            (Self::Truncated, Language::Fr) => "Copie trop longue, lue en partie",
            (Self::Truncated, Language::En) => "Copy too long, read in part",
            (Self::PupilUncertain, Language::Fr) => "Élève à confirmer",
            (Self::PupilUncertain, Language::En) => "Pupil to be confirmed",
        }
    }
}

/// A flag and where it was raised; neither place when it is the whole copy's.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Finding {
    /// Why.
    pub flag: Flag,
    /// The criterion's id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub criterion: Option<String>,
    /// The page, counted from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub page: Option<u32>,
}

impl Finding {
    /// A flag on the whole copy.
    #[must_use]
    pub fn on_copy(flag: Flag) -> Self {
        Self {
            flag,
            criterion: None,
            page: None,
        }
    }

    /// A flag on a criterion.
    #[must_use]
    pub fn on_criterion(flag: Flag, criterion: &str) -> Self {
        Self {
            flag,
            criterion: Some(criterion.to_owned()),
            page: None,
        }
    }

    /// A flag on a page.
    #[must_use]
    pub fn on_page(flag: Flag, page: u32) -> Self {
        Self {
            flag,
            criterion: None,
            page: Some(page),
        }
    }
}
