//! "Démo, pas une IA": what answers behind the local provider. It looks for keywords and reads page numbers
//! printed on the sample scans; it understands nothing, and says so in every comment.

use std::collections::HashMap;

use serde::Deserialize;
use shared::domain::rubric::Rubric;
use shared::grading::reply::{PageReply, TranscriptionReply, Trust};

use crate::provider::{Grader, Question, Shown};

mod keywords;
mod strip;
#[cfg(test)]
mod tests;

/// The texts of the sample scans, by the number printed on each page.
const SAMPLE_SCANS: [&str; 2] = [
    include_str!("../../../samples/histoire/scans.json"),
    include_str!("../../../samples/svt/scans.json"),
];

/// Answers grading prompts by keywords, and transcription prompts from the texts of the sample scans. The same
/// question always has the same answer.
#[derive(Debug)]
pub struct DemoGrader {
    pages: HashMap<u16, String>,
}

#[derive(Deserialize)]
struct Scans {
    copies: Vec<ScannedCopy>,
}

#[derive(Deserialize)]
struct ScannedCopy {
    pages: Vec<ScannedPage>,
}

#[derive(Deserialize)]
struct ScannedPage {
    id: u16,
    text: String,
}

impl DemoGrader {
    /// A grader that can read the sample scans.
    ///
    /// # Errors
    /// The files that it was built with are not what `samples/make.py` writes.
    pub fn new() -> Result<Self, serde_json::Error> {
        let mut pages = HashMap::new();
        for scans in SAMPLE_SCANS {
            let scans: Scans = serde_json::from_str(scans)?;
            let read = scans.copies.into_iter().flat_map(|copy| copy.pages);
            pages.extend(read.map(|page| (page.id, page.text)));
        }
        Ok(Self { pages })
    }

    /// One page an image, under the number announced just before it.
    fn transcribe(&self, shown: &[Shown]) -> TranscriptionReply {
        let mut announced = 0;
        let mut pages = Vec::new();
        for part in shown {
            match part {
                Shown::Text(text) => announced = number_in(text).unwrap_or(announced),
                Shown::Image(bytes) => pages.push(self.read(announced, bytes)),
            }
        }
        TranscriptionReply { pages }
    }

    fn read(&self, page: u32, image: &[u8]) -> PageReply {
        match strip::number_on(image).and_then(|number| self.pages.get(&number)) {
            None => PageReply {
                name_visible: false,
                page,
                text: String::new(),
                trust: Trust::Low,
            },
            Some(text) => {
                let (text, named) = without_names(text);
                PageReply {
                    name_visible: named && !strip::is_name_painted_over(image),
                    page,
                    text,
                    trust: Trust::High,
                }
            }
        }
    }
}

impl Grader for DemoGrader {
    fn answer(&self, question: &Question) -> String {
        let answer = match between(&question.system, "<bareme>", "</bareme>") {
            None => serde_json::to_string(&self.transcribe(&question.shown)),
            Some(json) => match Rubric::parse(json.as_bytes()) {
                Err(error) => return format!("the barème in the prompt cannot be read: {error}"),
                Ok(rubric) => {
                    let english = question.system.contains(r#""feedback_language":"English""#);
                    let reply = keywords::grade(&rubric, &copy_in(&question.shown), english);
                    serde_json::to_string(&reply)
                }
            },
        };
        answer.unwrap_or_default()
    }
}

/// The text of the copy, out of its tags.
fn copy_in(shown: &[Shown]) -> String {
    let texts = shown.iter().filter_map(|part| match part {
        Shown::Text(text) => between(text, "<copie ", "</copie>")?.split_once('>'),
        Shown::Image(_) => None,
    });
    texts.map(|(_code, text)| text).collect::<Vec<_>>().join("\n")
}

/// What lies between the last `open` and the `close` after it: instructions name the tags, too, but earlier.
fn between<'a>(text: &'a str, open: &str, close: &str) -> Option<&'a str> {
    let (_, rest) = text.rsplit_once(open)?;
    rest.split_once(close).map(|(inner, _)| inner)
}

fn number_in(text: &str) -> Option<u32> {
    text.split(|c: char| !c.is_ascii_digit())
        .find_map(|digits| digits.parse().ok())
}

/// The heading's names are asked to be left out of a transcription. Also whether the page has any.
fn without_names(text: &str) -> (String, bool) {
    const LABELS: [&str; 3] = ["Nom :", "Prénom :", "Classe :"];
    const NAMES: [&str; 2] = ["Nom :", "Prénom :"];
    let mut found = false;
    let lines = text.lines().map(|line| {
        let label = LABELS.into_iter().find(|label| line.starts_with(label));
        found |= label.is_some_and(|label| NAMES.contains(&label));
        label.map_or_else(|| line.to_owned(), |label| format!("{label} [nom]"))
    });
    let text = lines.collect::<Vec<_>>().join("\n");
    (text, found)
}
