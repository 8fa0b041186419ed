//! The form that a slot gives: the bucket itself holds the browser to it.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

use super::teacher::{Teacher, sample, text};
use super::world::World;

const PDF_BYTES_MAX: usize = 50 * 1024 * 1024;

async fn form(teacher: &Teacher<'_>, assignment: &str) -> Value {
    let slots = teacher
        .slots(assignment, &[("copie.pdf", sample("histoire/bernard-ines.pdf"))])
        .await;
    slots[0]["upload"].clone()
}

fn with(form: &Value, field: &str, value: &str) -> Value {
    let mut changed = form.clone();
    changed["fields"][field] = json!(value);
    changed
}

/// The policy, made to allow another place.
fn tampered(form: &Value) -> Value {
    let policy = BASE64_STANDARD
        .decode(form["fields"]["policy"].as_str().unwrap())
        .unwrap();
    let policy = String::from_utf8(policy).unwrap();
    let key = form["fields"]["key"].as_str().unwrap();
    let policy = policy.replace(key, "results/mine.json");
    with(
        &with(form, "policy", &BASE64_STANDARD.encode(policy)),
        "key",
        "results/mine.json",
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slots_form_takes_one_pdf_at_one_place_and_nothing_else() {
    let world = World::new().await;
    let teacher = world.teacher();
    let assignment = teacher.exam().await;
    let form = form(&teacher, &assignment).await;
    let pdf = sample("histoire/bernard-ines.pdf");
    let large = vec![b'%'; PDF_BYTES_MAX + 1];
    for (about, form, file) in [
        ("another key", with(&form, "key", "copies/elsewhere.pdf"), &pdf),
        ("another type", with(&form, "Content-Type", "text/html"), &pdf),
        (
            "another signature",
            with(&form, "x-amz-signature", &"0".repeat(64)),
            &pdf,
        ),
        ("another policy", tampered(&form), &pdf),
        ("more than 50 MB", form.clone(), &large),
        ("nothing", form.clone(), &Vec::new()),
    ] {
        let (status, body) = world.upload(&form, file.clone()).await;
        assert!((400..500).contains(&status), "{about}: {status} {body}");
    }
    let runs = format!("/api/assignments/{assignment}/runs");
    teacher
        .post(&runs, &json!({}))
        .await
        .problem(409, "nothing-to-grade");

    let (status, body) = world.upload(&form, pdf).await;
    assert_eq!(status, 204, "{body}");
    teacher.post(&runs, &json!({})).await.ok();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slots_form_ends_after_fifteen_minutes() {
    let world = World::new().await;
    world.clock.advance_seconds(-16 * 60);
    let teacher = world.teacher();
    let assignment = teacher.exam().await;
    let form = form(&teacher, &assignment).await;
    let (status, body) = world.upload(&form, sample("histoire/bernard-ines.pdf")).await;
    assert_eq!(status, 403, "{body}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_whose_form_has_run_out_is_given_another_and_is_graded() {
    let world = World::new().await;
    world.clock.advance_seconds(-16 * 60);
    let teacher = world.teacher();
    let assignment = teacher.exam().await;
    let pdf = sample("histoire/bernard-ines.pdf");
    let first = teacher
        .slots(&assignment, &[("copie.pdf", pdf.clone())])
        .await
        .remove(0);
    assert_eq!(world.upload(&first["upload"], pdf.clone()).await.0, 403);

    world.clock.advance_seconds(16 * 60);
    let copy = text(&first, "copy");
    let renewed = teacher.renew(&assignment, &copy).await;
    assert_eq!(renewed["copy"], first["copy"]);
    assert_eq!(renewed["name"], "copie.pdf");
    let (form, fields) = (&renewed["upload"], &renewed["upload"]["fields"]);
    assert_eq!(fields["key"], first["upload"]["fields"]["key"]);
    let large = vec![b'%'; PDF_BYTES_MAX + 1];
    assert!((400..500).contains(&world.upload(form, large).await.0));
    let (status, body) = world.upload(form, pdf).await;
    assert_eq!(status, 204, "{body}");

    teacher.start(&assignment).await;
    world.work().await;
    teacher.result(&assignment, &copy).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_that_failed_for_want_of_a_file_gets_one_and_is_graded_on_retry() {
    let world = World::new().await;
    let teacher = world.teacher();
    let assignment = teacher.exam().await;
    let pdf = sample("histoire/bernard-ines.pdf");
    let slot = teacher
        .slots(&assignment, &[("copie.pdf", pdf.clone())])
        .await
        .remove(0);
    let copy = text(&slot, "copy");
    let runs = format!("/api/assignments/{assignment}/runs");
    let run = text(
        &teacher.post(&runs, &json!({ "copies": [copy] })).await.ok(),
        "id",
    );
    world.work().await;
    assert_eq!(
        teacher.copies(&assignment, &run).await[0]["failure"]["code"],
        "file-missing"
    );
    let result = format!("/api/assignments/{assignment}/copies/{copy}/result");
    let problem = teacher.refused(("GET", &result), b"", (404, "not-found")).await;
    let told = text(&problem, "detail");
    assert!(
        told.contains("a échoué") && told.contains("relancez-la"),
        "{told}"
    );

    let renewed = teacher.renew(&assignment, &copy).await;
    assert_eq!(world.upload(&renewed["upload"], pdf).await.0, 204);
    teacher
        .post(&format!("{runs}/{run}/retry"), &json!({}))
        .await
        .ok();
    world.work().await;
    teacher.result(&assignment, &copy).await;
}
