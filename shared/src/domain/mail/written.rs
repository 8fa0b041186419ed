//! What a letter says, from its template. A template is a file for each letter and language: the subject, then
//! paragraphs, then what to do (`->` and the words of the link). The text part and the HTML part are both made
//! of it, so they say the same.

use super::Letter;
use super::wording::{count, day, tier};
use crate::domain::Language;
use crate::domain::catalogue::Catalogue;
use crate::domain::plan::UNPAID_SLICE;
use crate::domain::quota::Tier;

/// A letter, written out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// One line.
    pub subject: String,
    /// The text part.
    pub text: String,
    /// The HTML part: everything that was filled in is escaped.
    pub html: String,
}

/// What a letter says beside what it is about.
#[derive(Debug, Clone, Copy)]
pub struct Setting<'a> {
    /// What is sold.
    pub catalogue: &'a Catalogue,
    /// Where the web app is, as `https://corrigeuse.example`.
    pub web_origin: &'a str,
}

macro_rules! template {
    ($name:literal) => {
        [
            include_str!(concat!("templates/", $name, ".fr.txt")),
            include_str!(concat!("templates/", $name, ".en.txt")),
        ]
    };
}

const FRAME: &str = include_str!("templates/frame.html");
const FOOT: [&str; 2] = template!("foot");
/// What a paragraph begins with that says what to do.
const ACTION: &str = "-> ";

impl Letter {
    fn template(&self, language: Language) -> &'static str {
        let both = match self {
            Self::PaymentFailed {
                action_required: false,
                ..
            } => template!("payment-failed"),
            Self::PaymentFailed { .. } => template!("payment-to-confirm"),
            Self::PlanChanged { to: Tier::Free, .. } => template!("plan-ended"),
            Self::PlanChanged { from, to, .. } if from > to => template!("plan-lowered"),
            Self::PlanChanged { .. } => template!("plan-raised"),
            Self::PeriodEnding { next: Tier::Free, .. } => template!("period-ending"),
            Self::PeriodEnding { .. } => template!("period-changing"),
        };
        of(both, language)
    }

    /// What a template may name: each `{name}` with its words. What this letter does not know is not in it.
    fn words(&self, language: Language, catalogue: &Catalogue) -> Vec<(&'static str, String)> {
        let name = |it: Tier| tier(it, language).to_owned();
        let tokens = |it: Tier| count(catalogue.granted_tokens(it), language);
        match self {
            Self::PaymentFailed { tier, kept_until, .. } => {
                let slice = catalogue.granted_tokens(*tier) / UNPAID_SLICE;
                let mut words = vec![("tier", name(*tier)), ("slice", count(slice, language))];
                words.extend(kept_until.map(|at| ("kept_until", day(at, language))));
                words
            }
            Self::PlanChanged { from, to, .. } => {
                vec![
                    ("from", name(*from)),
                    ("tier", name(*to)),
                    ("tokens", tokens(*to)),
                ]
            }
            Self::PeriodEnding { tier, next, at, .. } => vec![
                ("tier", name(*tier)),
                ("next", name(*next)),
                ("tokens", tokens(*next)),
                ("at", day(*at, language)),
            ],
        }
    }

    /// Stripe's page where there is something to pay, else the web app.
    fn link<'a>(&'a self, setting: &Setting<'a>) -> &'a str {
        match self {
            Self::PaymentFailed { page: Some(page), .. } if page.starts_with("http") => page,
            _ => setting.web_origin,
        }
    }

    /// The letter as it is sent.
    #[must_use]
    pub fn written(&self, language: Language, setting: &Setting<'_>) -> Written {
        let words = self.words(language, setting.catalogue);
        let link = self.link(setting);
        let mut blocks = self
            .template(language)
            .split("\n\n")
            .map(|block| filled(block, &words));
        let subject = blocks.next().flatten().unwrap_or_default();
        let foot = filled(of(FOOT, language), &[]).unwrap_or_default();
        let (mut text, mut body) = (String::new(), String::new());
        // A paragraph that names what is not known is left out.
        for block in blocks.flatten() {
            match block.strip_prefix(ACTION) {
                Some(label) => {
                    text += &labelled(label, link, language);
                    body += &button(label, link);
                }
                None => {
                    text += &format!("{block}\n\n");
                    body += &format!("<p>{}</p>\n", escaped(&block));
                }
            }
        }
        let html = [
            ("{language}", of(["fr", "en"], language).to_owned()),
            ("{subject}", escaped(&subject)),
            ("{foot}", escaped(&foot)),
            // Last: what it holds is not looked into again.
            ("{body}", body),
        ];
        Written {
            text: format!("{text}-- \n{foot}\n"),
            html: html
                .iter()
                .fold(FRAME.to_owned(), |frame, (name, with)| frame.replace(name, with)),
            subject,
        }
    }
}

const fn of(both: [&'static str; 2], language: Language) -> &'static str {
    match language {
        Language::Fr => both[0],
        Language::En => both[1],
    }
}

/// A paragraph on one line with its words filled in, once; `None` if it names one that is not there.
fn filled(block: &str, words: &[(&str, String)]) -> Option<String> {
    let line = block.lines().collect::<Vec<_>>().join(" ");
    let mut pieces = line.split('{');
    let mut text = pieces.next()?.to_owned();
    for piece in pieces {
        let (name, rest) = piece.split_once('}')?;
        let (_, word) = words.iter().find(|(known, _)| *known == name)?;
        text += word;
        text += rest;
    }
    Some(text)
}

fn labelled(label: &str, link: &str, language: Language) -> String {
    let colon = of(["\u{a0}:", ":"], language);
    format!("{label}{colon}\n{link}\n\n")
}

fn button(label: &str, link: &str) -> String {
    format!(
        "<p><a href=\"{}\" style=\"display:inline-block;padding:10px 18px;background:#27406b;color:#ffffff\">{}</a></p>\n",
        escaped(link),
        escaped(label)
    )
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

#[cfg(test)]
mod tests;
