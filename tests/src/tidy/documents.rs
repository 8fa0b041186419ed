//! The documents name what exists.

use std::collections::BTreeSet;

use super::none;
use super::sources::{path, rust_files, text, tracked};

const DECISION_LINES_MAX: usize = 45;
const ARCHITECTURE_LINES_MAX: usize = 250;

#[test]
fn decisions_are_numbered_without_gaps_and_say_context_decision_and_consequences() {
    let mut offences = Vec::new();
    let decisions: Vec<String> = tracked()
        .into_iter()
        .filter(|file| file.starts_with("docs/adr/"))
        .collect();
    for (place, file) in decisions.iter().enumerate() {
        let number = format!("docs/adr/{:04}-", place + 1);
        if !file.starts_with(&number) || !file.ends_with(".md") {
            offences.push(format!("{file}: this place is for {number}….md"));
        }
        let decision = text(file);
        let headings: Vec<&str> = decision.lines().filter(|line| line.starts_with("## ")).collect();
        if headings != ["## Context", "## Decision", "## Consequences"] {
            offences.push(format!("{file}: its headings are {headings:?}"));
        }
        if !decision.starts_with("# ") || decision.lines().count() > DECISION_LINES_MAX {
            offences.push(format!(
                "{file}: a title first, {DECISION_LINES_MAX} lines at most"
            ));
        }
    }
    none("one decision a file", offences);
}

#[test]
fn the_architecture_can_be_read_in_one_sitting() {
    let lines = text("ARCHITECTURE.md").lines().count();
    assert!(lines <= ARCHITECTURE_LINES_MAX, "{lines} lines");
}

#[test]
fn documents_name_only_files_that_exist() {
    let files = tracked();
    let top: BTreeSet<&str> = files
        .iter()
        .filter_map(|file| Some(file.split_once('/')?.0))
        .collect();
    let exists = |name: &str| {
        let name = name.trim_end_matches('/');
        files
            .iter()
            .any(|file| file == name || file.strip_prefix(name).is_some_and(|rest| rest.starts_with('/')))
    };
    let mut offences = Vec::new();
    for document in documents() {
        let folder = document.rsplit_once('/').map_or("", |(folder, _)| folder);
        let content = text(&document);
        for name in quoted(&content, '`') {
            let plain = |c: char| c.is_alphanumeric() || "/._-".contains(c);
            let ours = name.split_once('/').is_some_and(|(first, _)| top.contains(first));
            if ours && name.chars().all(plain) && !exists(name) {
                offences.push(format!("{document}: `{name}`"));
            }
        }
        for link in content.split("](").skip(1) {
            let target = link.split([')', '#']).next().unwrap_or_default();
            if !target.is_empty() && !target.contains(':') && !path(folder).join(target).exists() {
                offences.push(format!("{document}: ({target})"));
            }
        }
    }
    none("a document names what is not there", offences);
}

#[test]
fn documents_name_only_commands_and_tests_that_exist() {
    let makefile = text("Makefile");
    let tests: String = rust_files().into_iter().map(|file| file.text).collect();
    let mut offences = Vec::new();
    for document in documents() {
        for name in quoted(&text(&document), '`') {
            if let Some(target) = name.strip_prefix("make ")
                && !makefile.contains(&format!("\n{target}:"))
            {
                offences.push(format!("{document}: `{name}`"));
            }
            // A sentence in snake case is a test's name.
            let sentence =
                name.matches('_').count() >= 4 && name.bytes().all(|c| c.is_ascii_lowercase() || c == b'_');
            if sentence && !tests.contains(&format!("fn {name}(")) {
                offences.push(format!("{document}: `{name}`"));
            }
        }
    }
    none("a document names what is not there", offences);
}

fn documents() -> impl Iterator<Item = String> {
    tracked()
        .into_iter()
        .filter(|file| file.ends_with(".md") && !file.starts_with("shared/"))
}

/// What stands between two marks on one line.
fn quoted(content: &str, mark: char) -> Vec<&str> {
    let pieces = content
        .lines()
        .flat_map(|line| line.split(mark).skip(1).step_by(2));
    pieces.collect()
}
