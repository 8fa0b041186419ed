//! Whose copy it is said to be, and whose name is on it.

use local::provider::Shown;
use serde_json::json;

use super::teacher::text;
use super::world::World;
use crate::pdf_child::pdf;

/// A typed copy that bears a name, and says it again in an answer.
fn copy_of(last: &str, first: &str) -> Vec<u8> {
    let content = format!(
        "BT /F 6 Tf 5 80 Td (Nom : {last} {first}) Tj 0 -10 Td (Question 1) Tj 0 -10 Td \
         (La guerre commence en 1914, dit {first} a {last}.) Tj ET"
    );
    pdf(content.as_bytes(), "", &[])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_name_on_a_copy_is_masked_beside_the_one_that_the_teacher_gave() {
    for pupil in [None, Some("Dupont Zacharie")] {
        let world = World::new().await;
        let teacher = world.teacher();
        let assignment = teacher.exam().await;
        let file = copy_of("Kowalski", "Iga");
        let described = json!({ "name": "copie.pdf", "size_bytes": file.len(), "pupil": pupil });
        let slot = teacher.slots_for(&assignment, vec![described]).await.remove(0);
        assert_eq!(world.upload(&slot["upload"], file).await.0, 204);
        let run = teacher.start(&assignment).await;
        world.work().await;

        let copy = teacher.copies(&assignment, &run).await.remove(0);
        assert_eq!(copy["state"], "graded", "{copy}");
        assert_eq!(text(&copy, "pupil"), pupil.unwrap_or("Kowalski Iga"));
        let mut answers = 0;
        for question in world.witness.seen() {
            for part in question.shown {
                let Shown::Text(words) = part else { continue };
                answers += usize::from(words.contains("La guerre commence en 1914"));
                for name in ["Kowalski", "Iga", "Zacharie"] {
                    assert!(!words.contains(name), "{pupil:?}: {words}");
                }
            }
        }
        assert_eq!(answers, 1, "the copy was read");
    }
}
