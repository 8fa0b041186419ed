//! One id, from a request through the queue to the model's call.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value;

use super::teacher::sample;
use super::world::World;

/// As a caller sends it. Of all that this process logs, only its lines are kept.
const FOLLOWED: &str = "followed-from-end-to-end";

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<String>>>);

impl io::Write for Lines {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(line);
        if text.contains(FOLLOWED) {
            let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            kept.push(text.into_owned());
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Lines {
    /// How many lines say `message` within the span, which has the id.
    fn count(&self, message: &str, span: &str) -> usize {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.iter()
            .map(|line| serde_json::from_str::<Value>(line).unwrap())
            .filter(|line| line["message"] == message && line["span"]["name"] == span)
            .inspect(|line| assert_eq!(line["span"]["correlation"], FOLLOWED, "{line}"))
            .count()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_requests_id_is_in_its_messages_and_in_the_log_of_the_model_calls() {
    let lines = Lines::default();
    let writer = lines.clone();
    shared::telemetry::init_to(move || writer.clone());
    let world = World::new().await;
    let teacher = world.teacher();
    let assignment = teacher.exam().await;
    let file = ("copie.pdf", sample("histoire/bernard-ines.pdf"));
    teacher.hand_in(&assignment, &[file]).await;
    teacher.correlated(FOLLOWED).start(&assignment).await;
    assert_eq!(lines.count("answered", "request"), 1);

    // First the run's message, then the copy's.
    for span in ["message", "copy"] {
        let messages = world.receive().await;
        let body: Value = serde_json::from_str(messages[0].body().unwrap()).unwrap();
        assert!(body.to_string().contains(FOLLOWED), "{body}");
        world.deliver(&world.worker(), &messages).await;
        assert_eq!(lines.count("model replied", span), 1, "{span}");
    }
}
