//! Why a copy was not read.

use serde::{Deserialize, Serialize};

use crate::domain::failure::{CopyFailure, Sentence};

/// A copy that was not read. It says what and what to do; it concerns that copy alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rejected {
    /// The file was looked at and turned down.
    Refused(Refusal),
    /// Reading it was cut short.
    Stopped(Stop),
}

/// What is wrong with a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Refusal {
    /// It does not begin as a PDF does.
    NotPdf,
    /// It has more bytes than allowed.
    TooLarge {
        /// The limit, in bytes.
        max: u64,
    },
    /// It opens with a password only, or its encryption is unknown.
    Encrypted,
    /// Its end is missing.
    Truncated,
    /// Its structure, or a page's, cannot be understood.
    Damaged,
    /// It announces more pages than could be found.
    PagesMissing {
        /// Pages that were found.
        found: u32,
        /// Pages that it announces.
        declared: u32,
    },
    /// It has no page.
    NoPages,
    /// It has more pages than allowed.
    TooManyPages {
        /// Its pages.
        pages: u32,
        /// The limit.
        max: u32,
    },
    /// It has more objects, or once decompressed more drawing instructions, than allowed.
    TooComplex,
    /// A page draws more letters or shapes than allowed.
    PageTooComplex {
        /// From 1.
        page: u32,
    },
    /// A page is larger than any paper.
    PageTooBig {
        /// From 1.
        page: u32,
    },
    /// A page holds a picture with more pixels than allowed.
    PictureTooBig {
        /// From 1.
        page: u32,
    },
    /// A page must be looked at, and a picture on it cannot be decoded.
    PictureUnreadable {
        /// From 1.
        page: u32,
    },
    /// A page has text in a font that is neither in the file nor known: it can be neither read nor drawn.
    FontUnreadable {
        /// From 1.
        page: u32,
    },
}

/// What cut a reading short.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// The processor time was used up.
    Cpu,
    /// The memory was used up.
    Memory,
    /// The time was over.
    Wall,
    /// The answer passed its bounds or was not one.
    Output,
    /// The parser crashed.
    Crash,
    /// The child could not be started: the fault is ours, not the file's.
    NotStarted,
}

impl Rejected {
    /// Whether the same file may pass at another time.
    pub fn retryable(&self) -> bool {
        matches!(self, Self::Stopped(Stop::NotStarted | Stop::Wall))
    }

    /// The stable, kebab-case name.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Refused(refusal) => refusal.code(),
            Self::Stopped(stop) => stop.code(),
        }
    }

    /// What the teacher is told, and what to do about it.
    pub fn sentence(&self) -> Sentence {
        match self {
            Self::Refused(refusal) => refusal.sentence(),
            Self::Stopped(stop) => stop.sentence(),
        }
    }

    /// The copy's failure.
    pub fn failure(&self) -> CopyFailure {
        CopyFailure::new(self.code(), self.sentence())
    }
}

impl From<Refusal> for Rejected {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<Stop> for Rejected {
    fn from(stop: Stop) -> Self {
        Self::Stopped(stop)
    }
}

impl std::fmt::Display for Rejected {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(self.code())
    }
}

impl std::error::Error for Rejected {}

impl Refusal {
    fn code(&self) -> &'static str {
        match self {
            Self::NotPdf => "pdf-not-a-pdf",
            Self::TooLarge { .. } => "pdf-too-large",
            Self::Encrypted => "pdf-encrypted",
            Self::Truncated => "pdf-truncated",
            Self::Damaged => "pdf-damaged",
            Self::PagesMissing { .. } => "pdf-pages-missing",
            Self::NoPages => "pdf-no-pages",
            Self::TooManyPages { .. } => "pdf-too-many-pages",
            Self::TooComplex => "pdf-too-complex",
            Self::PageTooComplex { .. } => "pdf-page-too-complex",
            Self::PageTooBig { .. } => "pdf-page-too-big",
            Self::PictureTooBig { .. } => "pdf-picture-too-big",
            Self::PictureUnreadable { .. } => "pdf-picture-unreadable",
            Self::FontUnreadable { .. } => "pdf-font-unreadable",
        }
    }

    fn sentence(&self) -> Sentence {
        match self {
            Self::NotPdf => Sentence::new(
                "Ce fichier n'est pas un PDF : exportez la copie en PDF, puis déposez-la de nouveau.",
                "This file is not a PDF: export the copy as PDF, then upload it again.",
            ),
            Self::TooLarge { max } => {
                let mb = max / (1024 * 1024);
                Sentence::new(
                    format!("Ce PDF dépasse {mb} Mo : numérisez-le en résolution plus basse ou séparez-le."),
                    format!("This PDF is over {mb} MB: scan it at a lower resolution or split it."),
                )
            }
            Self::Encrypted => Sentence::new(
                "Ce PDF est protégé par un mot de passe : déposez-en une version sans protection.",
                "This PDF is protected by a password: upload a version without protection.",
            ),
            Self::Truncated => Sentence::new(
                "La fin de ce PDF manque, son envoi ou son export a été coupé : déposez-le de nouveau.",
                "The end of this PDF is missing, its upload or export was cut: upload it again.",
            ),
            Self::Damaged => Sentence::new(
                "Ce PDF est abîmé et ne peut pas être lu en entier : exportez ou numérisez la copie de nouveau.",
                "This PDF is damaged and cannot be read whole: export or scan the copy again.",
            ),
            Self::PagesMissing { found, declared } => Sentence::new(
                format!(
                    "Ce PDF annonce {declared} pages et n'en contient que {found} : exportez ou numérisez la \
                     copie de nouveau."
                ),
                format!(
                    "This PDF announces {declared} pages and holds only {found}: export or scan the copy again."
                ),
            ),
            Self::NoPages => Sentence::new(
                "Ce PDF ne contient aucune page : vérifiez le fichier, puis déposez-le de nouveau.",
                "This PDF holds no page: check the file, then upload it again.",
            ),
            Self::TooManyPages { pages, max } => Sentence::new(
                format!(
                    "Ce PDF a {pages} pages, plus que les {max} admises : séparez-le en plusieurs copies."
                ),
                format!(
                    "This PDF has {pages} pages, more than the {max} allowed: split it into several copies."
                ),
            ),
            Self::TooComplex => Sentence::new(
                "Ce PDF est trop complexe pour être lu : réimprimez-le en PDF ou numérisez la copie.",
                "This PDF is too complex to be read: print it to PDF again or scan the copy.",
            ),
            _ => self.page_sentence(),
        }
    }

    /// The sentences that name a page.
    fn page_sentence(&self) -> Sentence {
        let (fr, en, page) = match self {
            Self::PageTooBig { page } => (
                "est plus grande que toute feuille",
                "is larger than any sheet",
                page,
            ),
            Self::PictureTooBig { page } => (
                "contient une image de trop haute résolution",
                "holds a picture of too high a resolution",
                page,
            ),
            Self::PictureUnreadable { page } => (
                "contient une image illisible",
                "holds a picture that cannot be read",
                page,
            ),
            Self::FontUnreadable { page } => (
                "est écrite dans une police absente du fichier",
                "is written in a font missing from the file",
                page,
            ),
            Self::PageTooComplex { page } => (
                "est trop complexe pour être lue",
                "is too complex to be read",
                page,
            ),
            _ => ("ne peut pas être lue", "cannot be read", &0),
        };
        Sentence::new(
            format!("La page {page} de ce PDF {fr} : réimprimez-le en PDF ou numérisez la copie de nouveau."),
            format!("Page {page} of this PDF {en}: print it to PDF again or scan the copy again."),
        )
    }
}

impl Stop {
    fn code(self) -> &'static str {
        match self {
            Self::Cpu => "pdf-stopped-cpu",
            Self::Memory => "pdf-stopped-memory",
            Self::Wall => "pdf-stopped-wall",
            Self::Output => "pdf-stopped-output",
            Self::Crash => "pdf-stopped-crash",
            Self::NotStarted => "pdf-not-started",
        }
    }

    fn sentence(self) -> Sentence {
        match self {
            Self::Cpu => Sentence::new(
                "Ce PDF demande trop de calcul pour être lu : réimprimez-le en PDF ou numérisez la copie.",
                "This PDF takes too much computing to be read: print it to PDF again or scan the copy.",
            ),
            Self::Memory => Sentence::new(
                "Ce PDF demande trop de mémoire pour être lu : réimprimez-le en PDF ou numérisez la copie.",
                "This PDF takes too much memory to be read: print it to PDF again or scan the copy.",
            ),
            Self::Wall => Sentence::new(
                "La lecture de ce PDF a pris trop de temps : relancez la copie, ou numérisez-la de nouveau.",
                "Reading this PDF took too long: retry the copy, or scan it again.",
            ),
            Self::Output | Self::Crash => Sentence::new(
                "La lecture de ce PDF a échoué sur un contenu anormal : réimprimez-le en PDF ou numérisez la copie.",
                "Reading this PDF failed on abnormal content: print it to PDF again or scan the copy.",
            ),
            Self::NotStarted => Sentence::new(
                "La lecture n'a pas pu commencer, de notre fait : relancez la copie.",
                "Reading could not start, which is our fault: retry the copy.",
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Refusal, Rejected, Stop};
    use crate::domain::Language;

    #[test]
    fn every_rejection_has_one_stable_code_and_a_sentence_in_both_languages() {
        let cases: [(Rejected, &str); 20] = [
            (Refusal::NotPdf.into(), "pdf-not-a-pdf"),
            (Refusal::TooLarge { max: 52_428_800 }.into(), "pdf-too-large"),
            (Refusal::Encrypted.into(), "pdf-encrypted"),
            (Refusal::Truncated.into(), "pdf-truncated"),
            (Refusal::Damaged.into(), "pdf-damaged"),
            (
                Refusal::PagesMissing {
                    found: 1,
                    declared: 2,
                }
                .into(),
                "pdf-pages-missing",
            ),
            (Refusal::NoPages.into(), "pdf-no-pages"),
            (
                Refusal::TooManyPages { pages: 201, max: 200 }.into(),
                "pdf-too-many-pages",
            ),
            (Refusal::TooComplex.into(), "pdf-too-complex"),
            (Refusal::PageTooComplex { page: 7 }.into(), "pdf-page-too-complex"),
            (Refusal::PageTooBig { page: 7 }.into(), "pdf-page-too-big"),
            (Refusal::PictureTooBig { page: 7 }.into(), "pdf-picture-too-big"),
            (
                Refusal::PictureUnreadable { page: 7 }.into(),
                "pdf-picture-unreadable",
            ),
            (Refusal::FontUnreadable { page: 7 }.into(), "pdf-font-unreadable"),
            (Stop::Cpu.into(), "pdf-stopped-cpu"),
            (Stop::Memory.into(), "pdf-stopped-memory"),
            (Stop::Wall.into(), "pdf-stopped-wall"),
            (Stop::Output.into(), "pdf-stopped-output"),
            (Stop::Crash.into(), "pdf-stopped-crash"),
            (Stop::NotStarted.into(), "pdf-not-started"),
        ];
        for (rejected, code) in cases {
            let failure = rejected.failure();
            assert_eq!(failure.code(), code);
            let (fr, en) = (
                failure.sentence().text(Language::Fr),
                failure.sentence().text(Language::En),
            );
            assert!(fr != en && fr.ends_with('.') && en.ends_with('.'), "{fr} / {en}");
            let names_its_page = code.contains("-page-") || code.contains("picture") || code.contains("font");
            assert_eq!(fr.contains("page 7"), names_its_page, "{fr}");
        }
    }
}
