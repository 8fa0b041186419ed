//! A copy that makes its child misbehave ends as that copy's failure, and as nothing else.

use shared::pdf::{Limits, Reader, Rejected, Stop};

fn reader(limits: Limits) -> Reader {
    Reader::with_program(env!("CARGO_BIN_EXE_pdf-child")).limits(limits)
}

/// A one-page PDF without a table, which a parser rebuilds: `objects` are numbered from 4.
pub(crate) fn pdf(content: &[u8], filter: &str, objects: &[String]) -> Vec<u8> {
    let mut file = b"%PDF-1.7\n1 0 obj\n<< /Type /Catalog /Pages 2 0 R >>\nendobj\n\
        2 0 obj\n<< /Type /Pages /Count 1 /Kids [3 0 R] >>\nendobj\n\
        3 0 obj\n<< /Type /Page /Parent 2 0 R /MediaBox [0 0 200 100] /Contents 99 0 R /Resources \
        << /XObject << /X 4 0 R >> /Font << /F << /Type /Font /Subtype /Type1 /BaseFont /Helvetica >> >> >> \
        >>\nendobj\n"
        .to_vec();
    for (number, object) in (4..).zip(objects) {
        file.extend_from_slice(format!("{number} 0 obj\n{object}\nendobj\n").as_bytes());
    }
    let head = format!("99 0 obj\n<< /Length {} {filter} >>\nstream\n", content.len());
    file.extend_from_slice(head.as_bytes());
    file.extend_from_slice(content);
    file.extend_from_slice(b"\nendstream\nendobj\ntrailer\n<< /Root 1 0 R >>\nstartxref\n0\n%%EOF\n");
    file
}

fn sound() -> Vec<u8> {
    pdf(b"BT /F 12 Tf 10 50 Td (La bonne copie) Tj ET", "", &[])
}

/// Each form draws the next one ten times: a hang.
fn billion_laughs() -> Vec<u8> {
    let forms: Vec<_> = (5..17)
        .map(|next| {
            let body = "/X Do ".repeat(10);
            format!(
                "<< /Type /XObject /Subtype /Form /BBox [0 0 9 9] /Resources << /XObject << /X {next} 0 R >> >> \
                 /Length {} >>\nstream\n{body}\nendstream",
                body.len()
            )
        })
        .collect();
    pdf(b"/X Do", "", &forms)
}

/// Four megabytes of "repeat the next byte 128 times": half a gigabyte.
fn bomb() -> Vec<u8> {
    pdf(
        &[129, b' '].repeat(2 * 1024 * 1024),
        "/Filter /RunLengthDecode",
        &[],
    )
}

#[tokio::test]
async fn a_child_is_stopped_at_each_of_its_limits_and_the_next_copy_is_read() {
    let limits = Limits::default();
    let cpu = Limits {
        cpu_seconds: 1,
        ..limits.clone()
    };
    let wall = Limits {
        wall_seconds: 1,
        ..limits.clone()
    };
    let memory = Limits {
        address_space_bytes: 128 * 1024 * 1024,
        ..limits.clone()
    };
    let output = Limits {
        answer_bytes_max: 10,
        ..limits.clone()
    };
    let cases = [
        (billion_laughs(), cpu, Stop::Cpu),
        (billion_laughs(), wall, Stop::Wall),
        (bomb(), memory, Stop::Memory),
        (sound(), output, Stop::Output),
    ];
    for (file, limits, expected) in cases {
        let outcome = reader(limits).read(&file).await;
        assert_eq!(outcome.err(), Some(Rejected::Stopped(expected)));
        let next = reader(Limits::default())
            .read(&sound())
            .await
            .expect("a sound file");
        assert_eq!(next.pages[0].text(), "La bonne copie\n");
    }
}

#[tokio::test]
async fn a_child_that_is_no_reader_is_a_typed_failure() {
    let cases = [
        ("/nowhere/at-all", Stop::NotStarted),
        ("/bin/true", Stop::Crash),
        ("/bin/false", Stop::Crash),
    ];
    for (program, expected) in cases {
        let outcome = Reader::with_program(program).read(&sound()).await;
        assert_eq!(outcome.err(), Some(Rejected::Stopped(expected)), "{program}");
    }
    // The program without a hook ignores what it is asked, and says nothing.
    let outcome = Reader::with_program("/bin/sleep").read(&sound()).await;
    assert_eq!(outcome.err(), Some(Rejected::Stopped(Stop::Crash)));
}

#[tokio::test]
async fn a_child_inherits_no_environment() {
    assert!(
        std::env::var_os("PATH").is_some(),
        "the test itself has an environment"
    );
    let stand_in = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/fixtures/dies-of-cpu-if-it-has-no-environment.sh"
    );
    let outcome = Reader::with_program(stand_in).read(&sound()).await;
    assert_eq!(outcome.err(), Some(Rejected::Stopped(Stop::Cpu)));
}

#[tokio::test]
async fn a_file_over_the_limit_is_refused_before_a_child_is_started() {
    let limits = Limits {
        bytes_max: 10,
        ..Limits::default()
    };
    let outcome = Reader::with_program("/nowhere/at-all")
        .limits(limits)
        .read(&sound())
        .await;
    assert_eq!(
        outcome.err().map(|rejected| rejected.code()),
        Some("pdf-too-large")
    );
}
