//! What each function asks of AWS, read from its source: the methods of the stores that it names, the methods that
//! those name, down to the SDK's calls. The code is formatted, so that a function ends where its indentation does.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::document::project_root;

/// Methods by the type that has them and their name; free functions have no type.
type Bodies = BTreeMap<(String, String), String>;

/// A call in a source: on what, and of what. `writes.create(`, `self.dynamo.query(` is `dynamo` and `query`.
type Call = (String, String);

/// Fields and variables by the type of `shared/src/store` that they hold, wherever they are named so.
const HOLDS: &[(&str, &str)] = &[
    ("store", "Store"),
    ("objects", "Objects"),
    ("queue", "Queue"),
    ("billing", "Queue"),
    ("secrets", "Secrets"),
];
const CLIENTS: &[&str] = &["dynamo", "s3", "sqs", "client"];

/// The SDK's calls that a function can come to, and the parts of its transactions (`writes.create`). A query of an
/// index is `query index`.
pub(super) fn calls_of(function: &str) -> BTreeSet<String> {
    let stores = bodies(&project_root().join("shared/src/store"));
    let mut sources = sources(&project_root().join("functions").join(function).join("src"));
    let uses = |what: &str| sources.iter().any(|source| source.contains(what));
    // The webhook has no table to bring up to date: it verifies, and knows the events.
    if uses("shared::billing") && uses("store: Store") {
        sources.extend(self::sources(&project_root().join("shared/src/billing")));
    }
    let mut found = BTreeSet::new();
    let mut seen = BTreeSet::new();
    let mut open: Vec<(String, String)> = Vec::new();
    for source in &sources {
        // Its own free functions are none of the stores'.
        let calls = calls(source).into_iter().filter(|(on, _)| !on.is_empty());
        open.extend(calls.filter_map(|call| named(&call, "")));
    }
    while let Some(method) = open.pop() {
        if !seen.insert(method.clone()) {
            continue;
        }
        let Some(body) = stores.get(&method) else {
            continue;
        };
        for call in calls(body) {
            let (on, of) = &call;
            if CLIENTS.contains(&on.as_str()) {
                let index = if of == "query" && body.contains(".index_name(") {
                    " index"
                } else {
                    ""
                };
                found.insert(format!("{of}{index}"));
            } else if on == "writes" {
                found.insert(format!("writes.{of}"));
            } else {
                open.extend(named(&call, &method.0));
            }
        }
    }
    found
}

/// The method that a call names, in the source of type `own`.
fn named((on, of): &Call, own: &str) -> Option<(String, String)> {
    let held = HOLDS.iter().find(|(name, _)| name == on);
    let owner = match (on.as_str(), held) {
        (_, Some((_, owner))) => owner,
        ("self" | "Self", None) => own,
        // A free function, in whatever module; or a type's.
        ("", None) => "",
        (path, None) if path.starts_with("::") => path.trim_start_matches("::"),
        _ => return None,
    };
    Some((owner.to_owned(), of.clone()))
}

/// Every call in a source.
fn calls(source: &str) -> BTreeSet<Call> {
    let dense: String = source
        .lines()
        .map(|line| line.split("//").next().unwrap_or_default().trim())
        .collect();
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let last_word = |text: &str| -> String {
        let start = text.rfind(|c| !is_word(c)).map_or(0, |at| at + 1);
        text[start..].to_owned()
    };
    let mut found = BTreeSet::new();
    for (at, _) in dense.match_indices('(') {
        let of = last_word(&dense[..at]);
        if of.is_empty() {
            continue;
        }
        let before = &dense[..at - of.len()];
        let on = if let Some(before) = before.strip_suffix("::") {
            match last_word(before) {
                // `std::mem::take` is not the claim's `take`.
                module if module == "mem" => ".".to_owned(),
                module if module.starts_with(char::is_lowercase) => String::new(),
                own if own == "Self" => own,
                owner => format!("::{owner}"),
            }
        } else if let Some(before) = before.strip_suffix('.') {
            let on = last_word(before);
            // A call on the result of another is not seen.
            if on.is_empty() { ".".to_owned() } else { on }
        } else {
            String::new()
        };
        found.insert((on, of));
    }
    found
}

fn bodies(folder: &Path) -> Bodies {
    let mut bodies = Bodies::new();
    for source in sources(folder) {
        let mut owner = String::new();
        let lines: Vec<&str> = source.lines().collect();
        for (at, line) in lines.iter().enumerate() {
            if let Some(rest) = line.strip_prefix("impl") {
                let name = rest.trim_end_matches([' ', '{']);
                let name = name
                    .rsplit(' ')
                    .find(|word| !word.starts_with("'_"))
                    .unwrap_or_default();
                name.split('<').next().unwrap_or_default().clone_into(&mut owner);
            } else if *line == "}" {
                owner.clear();
            }
            let Some((before, after)) = line.split_once("fn ") else {
                continue;
            };
            let indent = line.len() - line.trim_start().len();
            if line.ends_with(';') || before.contains("//") || !matches!(indent, 0 | 4) {
                continue;
            }
            let name = after.split(['(', '<']).next().unwrap_or_default();
            let end = format!("{}}}", " ".repeat(indent));
            let body: Vec<&str> = lines[at + 1..]
                .iter()
                .take_while(|it| **it != end)
                .copied()
                .collect();
            let known = bodies.entry((owner.clone(), name.to_owned())).or_default();
            // Two of one name are taken together: rather too much than too little.
            known.push_str(&body.join("\n"));
            known.push('\n');
        }
    }
    bodies
}

/// The sources of a folder, without their unit tests.
fn sources(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|it| it == "rs") && !path.ends_with("tests.rs") {
            let source = std::fs::read_to_string(&path).unwrap();
            found.push(source.split("#[cfg(test)]\nmod ").next().unwrap().to_owned());
        }
    }
    found
}

#[test]
fn a_call_is_seen_through_the_methods_between() {
    let calls = calls_of("assignments");
    // Slots look up the copies that were asked for before, many at once.
    assert!(calls.contains("batch_get_item"), "{calls:?}");
    assert!(calls.contains("writes.create"), "{calls:?}");
    assert!(!calls.contains("send_message_batch"), "{calls:?}");
}
