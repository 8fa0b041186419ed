//! Whatever a teacher or a program can be told went wrong is told in some test.

use std::collections::BTreeSet;

use super::none;
use super::sources::{Source, is_test, rust_files};

/// Here every word in lower case is a code.
const FAILURES: &str = "shared/src/domain/failure.rs";
/// Here every word with a hyphen is one.
const TABLES_OF_CODES: [&str; 2] = ["shared/src/pdf/rejected.rs", "functions/worker/src/ask.rs"];
/// Codes that no test mentions yet. This list only ever shrinks.
const NOT_YET_TESTED: [&str; 0] = [];

#[test]
fn every_failure_that_someone_can_be_told_has_a_test() {
    let files = rust_files();
    let codes: BTreeSet<String> = files.iter().flat_map(codes_in).collect();
    assert!(codes.len() > 30, "this finds too few codes: {codes:?}");
    let mut offences = Vec::new();
    for code in &codes {
        let tested = files.iter().any(|file| is_tested_in(file, code));
        let excused = NOT_YET_TESTED.contains(&code.as_str());
        if !tested && !excused {
            offences.push(format!("{code}: no test mentions it"));
        }
        if tested && excused {
            offences.push(format!("{code}: it has a test, take it out of NOT_YET_TESTED"));
        }
    }
    let gone = NOT_YET_TESTED.iter().filter(|code| !codes.contains(**code));
    offences.extend(gone.map(|code| format!("{code}: no such code, take it out of NOT_YET_TESTED")));
    none("each failure has a test", offences);
}

/// The codes that a file's production code can answer with.
fn codes_in(file: &Source) -> Vec<String> {
    let (all, hyphened) = (
        file.path == FAILURES,
        TABLES_OF_CODES.contains(&file.path.as_str()),
    );
    let ours = file.path.starts_with("shared/") || file.path.starts_with("functions/");
    let mut codes = Vec::new();
    for (at, literal) in literals(&file.text) {
        let named = file.text[..at].ends_with("code: \"");
        if ours
            && !is_test(file, at)
            && is_kebab(literal)
            && (all || named || hyphened && literal.contains('-'))
        {
            codes.push(literal.to_owned());
        }
    }
    codes
}

/// As a whole literal, or at the end of a problem's type.
fn is_tested_in(file: &Source, code: &str) -> bool {
    !file.path.starts_with("tests/src/tidy")
        && file.text.match_indices(code).any(|(at, _)| {
            let (before, after) = (&file.text[..at], &file.text[at + code.len()..]);
            let whole = (before.ends_with('"') || before.ends_with('/'))
                && after.starts_with(|c: char| !c.is_alphanumeric() && c != '-');
            whole && is_test(file, at)
        })
}

fn is_kebab(text: &str) -> bool {
    text.len() > 3
        && text
            .split('-')
            .all(|word| !word.is_empty() && word.bytes().all(|c| c.is_ascii_lowercase()))
}

/// What stands in quotes on one line, with its place; attributes and comments hold no codes.
fn literals(source: &str) -> Vec<(usize, &str)> {
    let mut found = Vec::new();
    let mut start = 0;
    for line in source.split_inclusive('\n') {
        let trimmed = line.trim_start();
        if !trimmed.starts_with("//") && !trimmed.starts_with("#[") {
            let mut at = start;
            for (place, piece) in line.split('"').enumerate() {
                if place % 2 == 1 {
                    found.push((at, piece));
                }
                at += piece.len() + 1;
            }
        }
        start += line.len();
    }
    found
}
