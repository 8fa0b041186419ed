//! Files that no teacher would mean to send, from upload to the run's end, within production's own bounds.

use serde_json::Value;
use shared::pdf::Limits;
use shared::store::PDF_BYTES_MAX;

use super::teacher::{sample, text};
use super::world::World;
use crate::pdf_child::pdf;

/// A PDF of so many blank pages.
fn blank_pages(count: usize) -> Vec<u8> {
    let mut file = b"%PDF-1.7\n1 0 obj\n<< /Type /Catalog /Pages 2 0 R >>\nendobj\n".to_vec();
    let kids: String = (0..count).map(|place| format!("{} 0 R ", place + 3)).collect();
    let tree = format!("2 0 obj\n<< /Type /Pages /Count {count} /Kids [{kids}] >>\nendobj\n");
    file.extend_from_slice(tree.as_bytes());
    for place in 0..count {
        let page = "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Resources << >> >>";
        file.extend_from_slice(format!("{} 0 obj\n{page}\nendobj\n", place + 3).as_bytes());
    }
    file.extend_from_slice(b"trailer\n<< /Root 1 0 R >>\nstartxref\n0\n%%EOF\n");
    file
}

/// Four kilobytes that a page unpacks to a gigabyte: a run-length pair of 129s is 128 times 129, which are 64 pairs.
/// The last bytes are, thrice packed, the mark at the end of the data: without it there would be none.
fn bomb() -> Vec<u8> {
    let filters = "/Filter [/RunLengthDecode /RunLengthDecode /RunLengthDecode]";
    let mut content = vec![129; 4_096];
    content.extend([2, 0, 128, 128, 128]);
    pdf(&content, filters, &[])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hostile_file_is_its_own_copys_failure_and_its_neighbour_is_graded() {
    let world = World::new().await;
    let teacher = world.teacher();
    let assignment = teacher.exam().await;
    let cases = [
        (
            "document.pdf",
            b"PK\x03\x04 a text document".to_vec(),
            "pdf-not-a-pdf",
        ),
        ("no-page.pdf", blank_pages(0), "pdf-no-pages"),
        ("201-pages.pdf", blank_pages(201), "pdf-too-many-pages"),
        ("bomb.pdf", bomb(), "pdf-stopped-memory"),
        ("200-pages.pdf", blank_pages(200), ""),
        ("good.pdf", sample("histoire/bernard-ines.pdf"), ""),
    ];
    let files: Vec<_> = cases
        .iter()
        .map(|(name, file, _)| (*name, file.clone()))
        .collect();
    teacher.hand_in(&assignment, &files).await;
    let run = teacher.start(&assignment).await;
    world.work().await;

    let record = teacher.run(&assignment, &run).await;
    assert_eq!(record["state"], "done", "{record}");
    let english = teacher.english().copies(&assignment, &run).await;
    for (copy, english) in teacher.copies(&assignment, &run).await.iter().zip(english) {
        let (name, _, failure) = cases.iter().find(|(name, ..)| copy["name"] == *name).unwrap();
        let code = copy["failure"]["code"].as_str().unwrap_or_default();
        assert_eq!(code, *failure, "{name}: {copy}");
        let end = if failure.is_empty() { "graded" } else { "failed" };
        assert_eq!(copy["state"], end, "{name}: {copy}");
        if *failure == "pdf-too-many-pages" {
            let told = |copy: &Value| text(&copy["failure"], "detail");
            assert!(
                told(copy).starts_with("Ce PDF a 201 pages, plus que les 200"),
                "{copy}"
            );
            let caller = "it is told in the caller's language, whatever the assignment's";
            assert!(
                told(&english).starts_with("This PDF has 201 pages"),
                "{caller}: {english}"
            );
        }
    }
    let used = record["tokens"]["used"].as_u64().unwrap();
    assert_eq!(used, world.billed_tokens(), "what failed cost nothing");
    world.assert_settled(used).await;
}

#[test]
fn the_bounds_of_a_copy_are_those_that_are_promised() {
    const MIB: u64 = 1024 * 1024;
    let promised = Limits {
        bytes_max: 50 * MIB,
        pages_max: 200,
        objects_max: 500_000,
        decoded_bytes_max: 64 * MIB,
        pixels_max: 40_000_000,
        page_side_pt_max: 14_400,
        marks_per_page_max: 200_000,
        answer_bytes_max: 160 * MIB,
        cpu_seconds: 30,
        wall_seconds: 90,
        address_space_bytes: 640 * MIB,
    };
    assert_eq!(Limits::default(), promised);
    assert_eq!(PDF_BYTES_MAX, promised.bytes_max, "what is uploaded is read");
}
