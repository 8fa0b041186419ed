//! What reading a copy costs, beside poppler on the same files in the same run.
//!
//! `cargo run --release -p benches --bin pdf [-- --strict]`. Files: the typed copies of `samples/` when they are there, and
//! scans made here. Processor time is that of all processes started, plus our own.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use jpeg_encoder::{ColorType, Encoder};
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
        // Last: the peak of this process counts from its start.
        let memory = memory_of_a_large_scan(&runtime)?;
        Ok(typed && scanned && memory)
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
        println!("text of a typed page: skipped, no typed copy in samples/");
        return Ok(true);
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

/// Peak memory of reader and child together on 60 pages that fill 50 MB.
fn memory_of_a_large_scan(runtime: &tokio::runtime::Runtime) -> Outcome<bool> {
    const GOAL_MB: u64 = 512;
    const PAGES: usize = 60;
    let (width, height) = (2_480, 3_508);
    // The best pages, sixty of which still fit.
    let mut jpeg = Vec::new();
    for quality in (5..=95).step_by(3) {
        let better = noise(width, height, quality)?;
        if (better.len() + 500) * PAGES > 50 * 1024 * 1024 {
            break;
        }
        jpeg = better;
    }
    let pdf = scan(&jpeg, width, height, PAGES);
    drop(jpeg);
    let child_peak_kb = AtomicU64::new(0);
    let done = AtomicBool::new(false);
    let start = std::time::Instant::now();
    let pages = std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                child_peak_kb.fetch_max(peak_of_children_kb(), Ordering::Relaxed);
                std::thread::sleep(Duration::from_millis(5));
            }
        });
        let outcome = runtime.block_on(Reader::new().read(&pdf));
        done.store(true, Ordering::Relaxed);
        outcome.map(|document| document.pages.iter().filter(|page| page.image.is_some()).count())
    })?;
    let seconds = start.elapsed().as_secs_f64();
    let (parent, child) = (
        peak_kb("self").unwrap_or(0) / 1024,
        child_peak_kb.into_inner() / 1024,
    );
    let total = parent + child;
    let megabytes = pdf.len() / (1024 * 1024);
    println!(
        "memory on a scan of {megabytes} MiB, {pages} pages: {total} MB (reader {parent} + child {child}), goal \
         ≤ {GOAL_MB} MB: {}   [{seconds:.1} s]",
        if total <= GOAL_MB { "met" } else { "MISSED" }
    );
    Ok(total <= GOAL_MB && child > 0 && pages == PAGES)
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

/// The largest peak among the processes whose parent is this one.
fn peak_of_children_kb() -> u64 {
    let own = std::process::id().to_string();
    let Ok(processes) = std::fs::read_dir("/proc") else {
        return 0;
    };
    let names = processes
        .flatten()
        .filter_map(|entry| entry.file_name().into_string().ok());
    let is_child = |name: &String| {
        let stat = std::fs::read_to_string(format!("/proc/{name}/stat")).ok()?;
        let (_, after_name) = stat.rsplit_once(')')?;
        after_name
            .split_whitespace()
            .nth(1)
            .filter(|parent| *parent == own)
            .map(drop)
    };
    names
        .filter(|name| is_child(name).is_some())
        .filter_map(|name| peak_kb(&name))
        .max()
        .unwrap_or(0)
}

fn peak_kb(process: &str) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.split_whitespace().next()?.parse().ok()
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

/// A page of grey paper with noise and dark strokes, as a JPEG in colour of this quality.
fn noise(width: u16, height: u16, quality: u8) -> Outcome<Vec<u8>> {
    let mut state = 1u32;
    let mut pixels = Vec::with_capacity(usize::from(width) * usize::from(height) * 3);
    for y in 0..u32::from(height) {
        for x in 0..u32::from(width) {
            // Numerical Recipes' generator: the same page at each run.
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let ink = (y / 12) % 6 == 0 && (x * 7 + y * 13) % 97 < 30;
            let paper = if ink { 40 } else { 200 };
            let level = u8::try_from(paper + (state >> 24) / 6)?;
            pixels.extend_from_slice(&[level, level, level.saturating_sub(6)]);
        }
    }
    let mut jpeg = Vec::new();
    Encoder::new(&mut jpeg, quality).encode(&pixels, width, height, ColorType::Rgb)?;
    Ok(jpeg)
}

/// A PDF of A4 pages, each filled by a picture of its own.
fn scan(jpeg: &[u8], width: u16, height: u16, pages: usize) -> Vec<u8> {
    let mut file = b"%PDF-1.4\n".to_vec();
    let mut offsets = Vec::new();
    let mut object = |file: &mut Vec<u8>, dict: &str, stream: Option<&[u8]>| {
        offsets.push(file.len());
        file.extend_from_slice(format!("{} 0 obj\n{dict}\n", offsets.len()).as_bytes());
        if let Some(stream) = stream {
            file.extend_from_slice(b"stream\n");
            file.extend_from_slice(stream);
            file.extend_from_slice(b"\nendstream\n");
        }
        file.extend_from_slice(b"endobj\n");
    };
    let kids: String = (0..pages).map(|page| format!("{} 0 R ", 3 + 3 * page)).collect();
    object(&mut file, "<< /Type /Catalog /Pages 2 0 R >>", None);
    object(
        &mut file,
        &format!("<< /Type /Pages /Count {pages} /Kids [{kids}] >>"),
        None,
    );
    for page in 0..pages {
        let (contents, picture) = (4 + 3 * page, 5 + 3 * page);
        let dict = format!(
            "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595.28 841.89] /Contents {contents} 0 R /Resources << \
             /XObject << /P {picture} 0 R >> >> >>"
        );
        object(&mut file, &dict, None);
        let draw = b"595.28 0 0 841.89 0 0 cm /P Do";
        object(&mut file, &format!("<< /Length {} >>", draw.len()), Some(draw));
        let dict = format!(
            "<< /Type /XObject /Subtype /Image /Width {width} /Height {height} /ColorSpace /DeviceRGB \
             /BitsPerComponent 8 /Filter /DCTDecode /Length {} >>",
            jpeg.len()
        );
        object(&mut file, &dict, Some(jpeg));
    }
    let table = file.len();
    let entries: String = offsets
        .iter()
        .map(|offset| format!("{offset:010} 00000 n \n"))
        .collect();
    let size = offsets.len() + 1;
    let tail = format!(
        "xref\n0 {size}\n0000000000 65535 f \n{entries}trailer\n<< /Size {size} /Root 1 0 R >>\nstartxref\n{table}\n%%EOF\n"
    );
    file.extend_from_slice(tail.as_bytes());
    file
}
