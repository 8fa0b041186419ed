//! The sample copies, as the pipeline sees them.

use std::path::PathBuf;

use anyhow::Context as _;
use shared::pdf::{PageKind, Reader};

/// A copy that can be graded.
#[derive(Debug, Clone)]
pub struct Sample {
    /// The file's name.
    pub name: String,
    /// The PDF.
    pub pdf: Vec<u8>,
    /// Its pages, in order.
    pub pages: Vec<PageKind>,
}

impl Sample {
    /// Whether every page is typed.
    #[must_use]
    pub fn is_typed(&self) -> bool {
        self.pages.iter().all(|kind| *kind == PageKind::Typed)
    }

    /// Whether every page is a picture.
    #[must_use]
    pub fn is_scanned(&self) -> bool {
        self.pages.iter().all(|kind| *kind == PageKind::Scanned)
    }
}

/// A folder of `samples/`.
#[must_use]
pub fn folder(class: &str) -> PathBuf {
    local::emulator::project_root().join("samples").join(class)
}

/// The copies of a class that a model grades, by name: neither blank nor refused.
///
/// # Errors
/// The folder cannot be read, or holds none.
pub async fn gradable(class: &str) -> anyhow::Result<Vec<Sample>> {
    let folder = folder(class);
    let mut samples = Vec::new();
    for entry in std::fs::read_dir(&folder).with_context(|| format!("cannot read {}", folder.display()))? {
        let path = entry?.path();
        if path.extension().is_none_or(|extension| extension != "pdf") {
            continue;
        }
        let pdf = std::fs::read(&path)?;
        let Ok(document) = Reader::new().read(&pdf).await else {
            continue;
        };
        let pages: Vec<PageKind> = document.pages.iter().map(|page| page.kind).collect();
        if pages.iter().any(|kind| *kind != PageKind::Blank) {
            let name = path
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            samples.push(Sample { name, pdf, pages });
        }
    }
    anyhow::ensure!(!samples.is_empty(), "no copy in {}", folder.display());
    samples.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(samples)
}
