//! Whose copy it is said to be, and whose name is on it.

use local::provider::Shown;
use serde_json::{Value, json};

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

/// What the provider was shown of a copy of these instructions: texts, and pictures.
async fn shown(settings: Value, content: &str) -> (Vec<String>, Vec<Vec<u8>>) {
    let world = World::new().await;
    let teacher = world.teacher();
    let assignment = teacher.exam_with(&settings).await;
    let file = pdf(content.as_bytes(), "", &[]);
    teacher.hand_in(&assignment, &[("copie.pdf", file)]).await;
    let run = teacher.start(&assignment).await;
    world.work().await;
    let copy = teacher.copies(&assignment, &run).await.remove(0);
    assert_eq!(copy["state"], "graded", "{copy}");
    let (mut texts, mut pictures) = (Vec::new(), Vec::new());
    for question in world.witness.seen() {
        for part in question.shown {
            match part {
                Shown::Text(text) => texts.push(text),
                Shown::Image(jpeg) => pictures.push(jpeg),
            }
        }
    }
    (texts, pictures)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_that_no_label_announces_stays_with_us_without_a_class_list() {
    let copy = "BT /F 6 Tf 5 80 Td (Iga Kowalska 3eB) Tj 0 -10 Td (La guerre commence en 1914.) Tj ET";
    let (texts, _) = shown(json!({ "roster": [] }), copy).await;
    assert!(
        texts
            .iter()
            .any(|text| text.contains("La guerre commence en 1914"))
    );
    assert!(
        texts
            .iter()
            .all(|text| !text.contains("Iga") && !text.contains("Kowalska")),
        "{texts:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_in_the_text_beside_a_drawing_is_painted_over() {
    let curves = "0 0 m 1 2 3 4 5 6 c ".repeat(1_600);
    let copy = format!("BT /F 6 Tf 5 80 Td (Le dessin, dit Kowalska, montre la guerre.) Tj ET {curves} S");
    let settings = |pupil: &str| json!({ "name_zone_percent": 0, "roster": [pupil] });
    let (_, named) = shown(settings("Kowalska Iga"), &copy).await;
    let (_, unnamed) = shown(settings("Martin Tom"), &copy).await;
    assert_eq!((named.len(), unnamed.len()), (1, 1));
    assert!(named != unnamed, "the name of the list is painted over");
}
