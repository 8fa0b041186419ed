//! What reading a copy costs, beside poppler on the same files in the same run.
//!
//! `cargo run --release -p benches --bin pdf [-- --strict]`. Files: the typed copies of `samples/` when they are there, and
//! scans made here. Processor time is that of all processes started, plus our own.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use benches::scans::{noise, scan};
use shared::pdf::{Images, PageKind, Reader};

type Outcome<T> = Result<T, Box<dyn Error>>;

fn main() -> ExitCode {
    shared::pdf::child::run_if_asked();
    match run() {
        Ok(met) if met || !std::env::args().any(|argument| argument == "--strict") => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("pdf bench: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Outcome<bool> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let folder = std::env::temp_dir().join(format!("corrigeuse-bench-pdf-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let met = (|| {
        let typed = text_of_typed_pages(&runtime)?;
        let scanned = image_of_a_scanned_page(&runtime, &folder)?;
        Ok(typed && scanned)
    })();
    std::fs::remove_dir_all(&folder)?;
    met
}

/// Text of the typed copies against `pdftotext`.
fn text_of_typed_pages(runtime: &tokio::runtime::Runtime) -> Outcome<bool> {
    const ROUNDS: u32 = 20;
    let reader = Reader::new();
    let (mut files, mut pages) = (Vec::new(), 0);
    for path in sample_copies() {
        let bytes = std::fs::read(&path)?;
        if let Ok(document) = runtime.block_on(reader.read(&bytes))
            && document.pages.iter().all(|page| page.kind == PageKind::Typed)
        {
            pages += document.pages.len();
            files.push(path);
        }
    }
    if files.is_empty() {
        return Err("no typed copy in samples/".into());
    }
    let ours = processor_seconds(ROUNDS, || {
        for path in &files {
            runtime.block_on(async {
                reader
                    .read(&std::fs::read(path)?)
                    .await
                    .map_err(Box::<dyn Error>::from)
            })?;
        }
        Ok(())
    })?;
    let theirs = processor_seconds(ROUNDS, || {
        files
            .iter()
            .try_for_each(|path| poppler(Command::new("pdftotext").arg(path).arg("-")))
    })?;
    let label = format!("text of a typed page ({} copies, {pages} pages)", files.len());
    Ok(verdict(
        &label,
        ours / pages as f64,
        theirs / pages as f64,
        0.6,
        "pdftotext",
    ))
}

/// Image of a scan against `pdftoppm -jpeg`, at the same resolution and quality.
fn image_of_a_scanned_page(runtime: &tokio::runtime::Runtime, folder: &Path) -> Outcome<bool> {
    const ROUNDS: u32 = 30;
    let mut met = true;
    for (dpi, width, height) in [(200, 1_654, 2_339), (300, 2_480, 3_508)] {
        let path = folder.join(format!("scan-{dpi}.pdf"));
        std::fs::write(&path, scan(&noise(width, height, 85)?, width, height, 1))?;
        // pdftoppm draws A4 at 150 dpi: 1,240 × 1,754, of quality 75.
        let images = Images {
            long_side_px: 1_754,
            quality: 75,
            ..Images::default()
        };
        let reader = Reader::new().images(images);
        let ours = processor_seconds(ROUNDS, || {
            let document = runtime.block_on(async {
                reader
                    .read(&std::fs::read(&path)?)
                    .await
                    .map_err(Box::<dyn Error>::from)
            })?;
            let side = document
                .pages
                .first()
                .and_then(|page| page.image.as_ref())
                .map(|image| image.height);
            if side == Some(1_754) {
                Ok(())
            } else {
                Err("not the image asked for".into())
            }
        })?;
        let out = folder.join("page");
        let theirs = processor_seconds(ROUNDS, || {
            poppler(Command::new("pdftoppm").arg("-jpeg").arg(&path).arg(&out))
        })?;
        met &= verdict(
            &format!("image of a scanned page ({dpi} dpi)"),
            ours,
            theirs,
            1.0,
            "pdftoppm -jpeg",
        );
    }
    Ok(met)
}

fn verdict(what: &str, ours: f64, theirs: f64, goal: f64, baseline: &str) -> bool {
    let ratio = ours / theirs;
    let met = ratio <= goal;
    println!(
        "{what}: {:.1} ms of processor, {baseline} {:.1} ms, ratio {ratio:.2}, goal ≤ {goal:.1}: {}",
        ours * 1e3,
        theirs * 1e3,
        if met { "met" } else { "MISSED" }
    );
    met
}

fn poppler(command: &mut Command) -> Outcome<()> {
    let status = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()?;
    if status.success() {
        Ok(())
    } else {
        Err("poppler failed; is poppler-utils installed?".into())
    }
}

/// Processor seconds of one round: this process and all the children it waited for.
fn processor_seconds(rounds: u32, mut round: impl FnMut() -> Outcome<()>) -> Outcome<f64> {
    let before = processor_ticks()?;
    for _ in 0..rounds {
        round()?;
    }
    Ok((processor_ticks()? - before) / TICKS_PER_SECOND / f64::from(rounds))
}

/// `USER_HZ`, a constant of Linux's interface to programs.
const TICKS_PER_SECOND: f64 = 100.0;

/// utime, stime, cutime and cstime of proc(5).
fn processor_ticks() -> Outcome<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let (_, after_name) = stat.rsplit_once(')').ok_or("unexpected /proc/self/stat")?;
    let fields = after_name.split_whitespace().skip(11).take(4);
    fields.map(|field| field.parse::<f64>().map_err(Into::into)).sum()
}

fn sample_copies() -> Vec<PathBuf> {
    let samples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../samples");
    let folders = std::fs::read_dir(samples).into_iter().flatten().flatten();
    let files = folders.flat_map(|folder| std::fs::read_dir(folder.path()).into_iter().flatten().flatten());
    let mut copies: Vec<_> = files.map(|file| file.path()).collect();
    copies.retain(|path| path.extension().is_some_and(|extension| extension == "pdf"));
    copies.sort();
    copies
}
