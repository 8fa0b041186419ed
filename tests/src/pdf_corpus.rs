//! Real, broken and hostile PDFs: each is read or turned down with a reason; none gets further than that.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use shared::pdf::{Limits, PageKind, Reader, Rejected};

/// Names the folder whose PDFs are read, subfolders included.
const CORPUS: &str = "CORRIGEUSE_PDF_CORPUS";
/// Its folder of files that readers of PDFs are tested with. Other folders hold bombs and broken files, which may all
/// be turned down.
const WHOLE: &str = "corpus";
/// Of those, this many are read: a reader that turns everything down has an outcome for each, too. The others are
/// encrypted, or broken on purpose. Unit: percent.
const READ_PERCENT_MIN: usize = 90;

#[tokio::test]
async fn no_file_of_the_corpus_escapes() {
    let Some(folder) = std::env::var_os(CORPUS) else {
        println!("skipped: {CORPUS} does not name a folder of PDFs");
        return;
    };
    let mut files = Vec::new();
    collect(Path::new(&folder), &mut files);
    files.sort();
    assert!(!files.is_empty(), "{CORPUS} names a folder without PDFs");

    // Shorter than in production, so that the bombs end sooner.
    let limits = Limits {
        cpu_seconds: 10,
        wall_seconds: 60,
        ..Limits::default()
    };
    let patience = Duration::from_secs(u64::from(limits.wall_seconds) + 10);
    let reader = Reader::with_program(env!("CARGO_BIN_EXE_pdf-child")).limits(limits);
    let mut counts: BTreeMap<String, u32> = BTreeMap::new();
    let (mut whole, mut read) = (0, 0);
    for file in &files {
        let bytes = std::fs::read(file).expect("the corpus is readable");
        let start = Instant::now();
        let outcome = tokio::time::timeout(patience, reader.read(&bytes)).await;
        let outcome = outcome.unwrap_or_else(|_| panic!("{} escaped its wall clock", file.display()));
        let (class, detail) = match &outcome {
            Ok(document) => {
                let count = |kind| document.pages.iter().filter(|page| page.kind == kind).count();
                let (typed, scanned) = (count(PageKind::Typed), count(PageKind::Scanned));
                let hidden: Vec<_> = document.hidden.iter().map(|found| found.reason.code()).collect();
                for page in &document.pages {
                    assert_eq!(
                        page.image.is_some(),
                        page.kind == PageKind::Scanned,
                        "{}",
                        file.display()
                    );
                }
                (
                    "ok".to_owned(),
                    format!("{typed} typed, {scanned} to look at, hidden: {hidden:?}"),
                )
            }
            Err(Rejected::Refused(why)) => (
                format!("refused: {}", rejected_code(&outcome)),
                format!("{why:?}"),
            ),
            Err(Rejected::Stopped(limit)) => (format!("stopped: {limit:?}"), String::new()),
        };
        let name = file.strip_prefix(&folder).unwrap_or(file);
        if name.starts_with(WHOLE) {
            whole += 1;
            read += usize::from(outcome.is_ok());
        }
        let name = name.display().to_string();
        println!(
            "{name:<70} {class:<34} {:>6} ms  {detail}",
            start.elapsed().as_millis()
        );
        *counts.entry(class).or_default() += 1;
    }
    println!("\n{} files", files.len());
    for (class, count) in &counts {
        println!("{count:>6}  {class}");
    }
    assert_eq!(
        counts.values().sum::<u32>() as usize,
        files.len(),
        "every file has an outcome"
    );
    assert_eq!(counts.get("stopped: NotStarted"), None, "every child started");
    assert!(
        read * 100 >= whole * READ_PERCENT_MIN,
        "{read} of the {whole} files in {WHOLE} are read, fewer than {READ_PERCENT_MIN} %"
    );
}

fn rejected_code<T>(outcome: &Result<T, Rejected>) -> &'static str {
    outcome.as_ref().err().map_or("", Rejected::code)
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("the corpus is readable") {
        let path = entry.expect("the corpus is readable").path();
        if path.is_dir() {
            collect(&path, files);
        } else if path
            .extension()
            .is_some_and(|extension| extension.eq_ignore_ascii_case("pdf"))
        {
            files.push(path);
        }
    }
}
