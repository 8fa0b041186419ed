//! The project's own shape is a test: who may use whom, how large a file is, what is written in a manifest, what
//! the documents name. Each rule collects all its offences, so that one run shows everything to put right.

mod arrows;
mod codes;
mod documents;
mod manifests;
mod sources;

use std::collections::BTreeSet;

use sources::{Source, code_of, path, rust_files, tracked};

/// Lines of a Rust file, at most; about 400 is what we aim at.
const LINES_MAX: usize = 450;
/// Names that say nothing about what is inside.
const EMPTY_NAMES: [&str; 6] = ["util", "utils", "helper", "helpers", "common", "manager"];

/// Fails with every offence against a rule.
fn none(rule: &str, offences: Vec<String>) {
    assert!(offences.is_empty(), "{rule}:\n  {}", offences.join("\n  "));
}

#[test]
fn no_file_is_longer_than_it_can_be_read() {
    let long = |file: &Source| {
        let lines = file.text.lines().count();
        (lines > LINES_MAX).then(|| format!("{}: {lines} lines", file.path))
    };
    none(
        &format!("split what is over {LINES_MAX} lines, by what it is for"),
        rust_files().iter().filter_map(long).collect(),
    );
}

#[test]
fn every_name_says_what_is_inside() {
    let empty = |name: &str| EMPTY_NAMES.contains(&name.to_lowercase().as_str());
    let mut offences: Vec<String> = tracked()
        .into_iter()
        .filter(|file| file.split(['/', '.']).any(empty))
        .collect();
    for file in rust_files() {
        for (line, code) in code_of(&file.text).lines().enumerate() {
            let mut words = code.split(|c: char| !c.is_alphanumeric() && c != '_');
            while let Some(word) = words.next() {
                if ["mod", "struct", "enum", "trait", "type"].contains(&word)
                    && let Some(name) = words.next()
                    && (empty(name) || name.ends_with("Manager") || name.ends_with("Helper"))
                {
                    offences.push(format!("{}:{}: {name}", file.path, line + 1));
                }
            }
        }
    }
    none("name it for what it does", offences);
}

#[test]
fn nothing_is_left_for_later() {
    // In two halves, so that this file does not offend.
    let needles = [
        concat!("to", "do!"),
        concat!("unimple", "mented!"),
        concat!("FIX", "ME"),
        concat!("TO", "DO"),
        concat!("#[", "ignore"),
    ];
    let mut offences = Vec::new();
    for file in rust_files() {
        for (line, text) in file.text.lines().enumerate() {
            if needles.iter().any(|needle| text.contains(needle)) {
                offences.push(format!("{}:{}: {}", file.path, line + 1, text.trim()));
            }
        }
    }
    none("finish it, or take it out", offences);
}

#[test]
fn no_file_names_a_folder_of_one_machine() {
    let needles = [
        concat!("/wo", "rk/"),
        concat!("/ro", "ot/"),
        concat!("/ho", "me/"),
    ];
    let mut offences = Vec::new();
    for file in tracked() {
        let bytes = std::fs::read(path(&file)).unwrap();
        let text = String::from_utf8_lossy(&bytes);
        for needle in needles {
            // `target/work/` is a folder of ours; only an absolute path is a machine's.
            let absolute = text.match_indices(needle).any(|(at, _)| {
                let before = text[..at].chars().next_back();
                before.is_none_or(|c| !c.is_alphanumeric() && !"._-}~".contains(c))
            });
            if absolute {
                offences.push(format!("{file}: {needle}"));
            }
        }
    }
    none("write the path relative to the project", offences);
}

#[test]
fn a_function_has_a_program_a_library_and_an_event_to_try_it_with() {
    let files = tracked();
    let folders: BTreeSet<&str> = files
        .iter()
        .filter_map(|file| file.strip_prefix("functions/")?.split('/').next())
        .collect();
    let mut offences = Vec::new();
    for folder in folders {
        for needed in ["src/main.rs", "src/lib.rs"] {
            let needed = format!("functions/{folder}/{needed}");
            if !files.contains(&needed) {
                offences.push(format!("{needed} is missing"));
            }
        }
        let events = format!("events/{folder}/");
        if !files
            .iter()
            .any(|file| file.starts_with(&events) && file.ends_with(".json"))
        {
            offences.push(format!("{events} has no case"));
        }
    }
    none("a function is complete", offences);
}
