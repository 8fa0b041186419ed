//! The product's rules as pure types and decisions. Nothing here does I/O, reads a clock or knows AWS.

pub mod copy;
pub mod csv;
pub mod failure;
pub mod ids;
pub mod mark;
pub mod money;
pub mod page;
pub mod plan;
pub mod quota;
pub mod rubric;
pub mod run;
pub mod time;

/// The two languages that La Corrigeuse speaks; French is the default.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Language {
    /// French.
    #[default]
    Fr,
    /// English.
    En,
}

/// The pages of a scan whose name zone is painted over before a model sees them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NamedPages {
    /// The first: on the others an answer may begin at the very top, and would be lost unseen.
    #[default]
    First,
    /// Every page: for sheets that each begin with the pupil's name.
    Every,
}
