//! A PDF that is uploaded over another.

use aws_lc_rs::digest::{SHA256, digest};
use shared::store::{Clients, copy_key};

use super::teacher::{sample, text};
use super::world::World;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mark_names_the_file_that_it_is_for_and_tells_when_another_took_its_place() {
    let world = World::new().await;
    let teacher = world.teacher();
    let assignment = teacher.exam().await;
    let (graded, other) = (
        sample("histoire/bernard-ines.pdf"),
        sample("histoire/petit-noah.pdf"),
    );
    let slots = teacher.slots(&assignment, &[("copie.pdf", graded.clone())]).await;
    let (form, copy) = (&slots[0]["upload"], text(&slots[0], "copy"));
    assert_eq!(world.upload(form, graded.clone()).await.0, 204);
    teacher.start(&assignment).await;
    world.work().await;

    let result = teacher.result(&assignment, &copy).await;
    assert_eq!(result["pdf_changed"], false, "{}", result["pdf"]);
    assert_eq!(result["pdf"]["sha256"], hex(digest(&SHA256, &graded).as_ref()));
    let objects = Clients::on(world.config.clone()).objects(&world.bucket);
    let key = copy_key(assignment.parse().unwrap(), copy.parse().unwrap());
    let version = objects.version(&key).await.unwrap().unwrap();
    assert_eq!(result["pdf"]["version"], version.as_str());

    assert_eq!(
        world.upload(form, other).await.0,
        204,
        "the form still works, as S3 lets it"
    );
    let after = teacher.result(&assignment, &copy).await;
    assert_eq!(after["pdf_changed"], true);
    assert_eq!(after["pdf"], result["pdf"], "the mark is for what was read");
    assert_eq!(after["mark"], result["mark"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_in_a_run_can_be_given_another_file_and_its_mark_names_the_one_that_was_read() {
    let world = World::new().await;
    let teacher = world.teacher();
    let (assignment, _, copy) = teacher.one_copy_started().await;
    let prepare = world.receive().await;
    world.deliver(&world.worker(), &prepare).await;
    let other = sample("histoire/petit-noah.pdf");
    let renewed = teacher.renew(&assignment, &copy).await;
    assert_eq!(world.upload(&renewed["upload"], other.clone()).await.0, 204);
    world.work().await;
    let result = teacher.result(&assignment, &copy).await;
    assert_eq!(result["pdf"]["sha256"], hex(digest(&SHA256, &other).as_ref()));
    assert_eq!(result["pdf_changed"], false);
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
