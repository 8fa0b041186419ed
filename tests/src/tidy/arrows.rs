//! Who may use whom. Between crates the manifests say it (`manifests.rs`); between the rooms of `shared`, the code.

use super::none;
use super::sources::{Source, code_of, path, rust_files};

/// A room of `shared`, and the rooms that it may use.
type Room = (&'static str, &'static [&'static str]);

/// `clock` is passed in by each `main`; `store` and `http` keep it to age what they cache and what they check.
const ROOMS: [Room; 10] = [
    ("domain", &[]),
    ("grading", &["domain"]),
    ("pdf", &["domain"]),
    ("llm", &["domain", "grading"]),
    ("store", &["domain", "clock"]),
    ("http", &["domain", "clock"]),
    ("billing", &["domain", "store"]),
    ("config", &[]),
    ("telemetry", &[]),
    ("clock", &[]),
];

/// What rooms that only decide never name: the outside world.
const OUTSIDE: [&str; 11] = [
    "std::env",
    "std::fs",
    "std::io",
    "std::net",
    "std::process",
    "std::thread",
    "aws_",
    "axum::",
    "reqwest::",
    "tokio::",
    "tracing::",
];

#[test]
fn every_arrow_in_shared_is_allowed() {
    let mut offences = Vec::new();
    for file in in_shared() {
        let Some(room) = room_of(&file.path) else { continue };
        let Some((_, allowed)) = ROOMS.iter().find(|(name, _)| *name == room) else {
            offences.push(format!("{}: {room} has no row in ROOMS", file.path));
            continue;
        };
        for used in arrows(&file.path, &file.text) {
            if used != room && !allowed.contains(&used.as_str()) {
                offences.push(format!("{}: {room} → {used}", file.path));
            }
        }
    }
    none("an arrow that the house does not have", offences);
}

#[test]
fn every_room_exists() {
    for (room, allowed) in ROOMS {
        for name in std::iter::once(&room).chain(allowed) {
            let known = path(&format!("shared/src/{name}")).is_dir()
                || path(&format!("shared/src/{name}.rs")).is_file();
            assert!(known, "there is no shared::{name}");
        }
    }
}

#[test]
fn rooms_that_only_decide_touch_nothing_outside() {
    let mut offences = Vec::new();
    for file in in_shared() {
        if !matches!(room_of(&file.path), Some("domain" | "grading")) {
            continue;
        }
        for (line, code) in code_of(&file.text).lines().enumerate() {
            for name in OUTSIDE {
                // What a serialiser writes into is a trait there, and may be a string.
                let outside = |rest: &&str| !(rest.starts_with("::Write") || rest.starts_with("::Result"));
                if heads(code, name).any(|rest| outside(&rest)) {
                    offences.push(format!("{}:{}: {name}", file.path, line + 1));
                }
            }
        }
    }
    none("domain and grading are pure", offences);
}

fn in_shared() -> impl Iterator<Item = Source> {
    rust_files()
        .into_iter()
        .filter(|file| file.path.starts_with("shared/src/"))
}

/// `shared/src/store/keys.rs` is in `store`; `lib.rs` is in no room.
fn room_of(file: &str) -> Option<&str> {
    let inside = file.strip_prefix("shared/src/")?;
    let room = inside.split('/').next()?;
    let room = room.strip_suffix(".rs").unwrap_or(room);
    (room != "lib").then_some(room)
}

/// The first name after the crate's root of every path in the file, however it is written.
fn arrows(file: &str, source: &str) -> Vec<String> {
    let code = code_of(source);
    let mut used: Vec<String> = heads(&code, "crate::").flat_map(first_names).collect();
    // `super::super::x` from a module of depth 2 is `crate::x`.
    let depth = module_depth(file);
    for rest in heads(&code, "super::") {
        let (mut supers, mut rest) = (1, rest);
        while let Some(further) = rest.strip_prefix("super::") {
            (supers, rest) = (supers + 1, further);
        }
        let names = first_names(rest);
        if names.iter().any(|name| name == "super") {
            used.push(format!(
                "super inside braces ({})",
                rest.lines().next().unwrap_or_default()
            ));
        }
        // One deeper in an inline `mod tests`: there, what is no room's name is an item of the file.
        if supers >= depth {
            used.extend(
                names
                    .into_iter()
                    .filter(|name| ROOMS.iter().any(|(room, _)| room == name)),
            );
        }
    }
    used
}

/// How many modules lead to a file: `store/mod.rs` 1, `store/keys.rs` 2.
fn module_depth(file: &str) -> usize {
    let inside = file.strip_prefix("shared/src/").unwrap_or(file);
    let folders = inside.matches('/').count();
    if inside.ends_with("/mod.rs") {
        folders
    } else {
        folders + 1
    }
}

/// What follows each path that begins with `root`.
fn heads<'a>(code: &'a str, root: &'a str) -> impl Iterator<Item = &'a str> {
    code.match_indices(root).filter_map(move |(at, _)| {
        let continues = |c: char| c.is_alphanumeric() || c == '_' || c == ':' || c == '.';
        let inside_a_path = code[..at].ends_with(continues);
        (!inside_a_path).then(|| &code[at + root.len()..])
    })
}

/// `a::b` begins with `a`; `{a::b, c}` with `a` and `c`.
fn first_names(path: &str) -> Vec<String> {
    let name = |text: &str| -> String {
        let text = text.trim_start();
        let end = text
            .find(|c: char| !c.is_alphanumeric() && c != '_')
            .unwrap_or(text.len());
        if end == 0 {
            text.chars().take(1).collect()
        } else {
            text[..end].to_owned()
        }
    };
    let Some(group) = path.strip_prefix('{') else {
        return vec![name(path)];
    };
    let (mut depth, mut names, mut start) = (1, Vec::new(), 0);
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if depth == 0 || (depth == 1 && c == ',') {
            let part = group[start..at].trim();
            if !part.is_empty() {
                names.push(name(part));
            }
            start = at + 1;
        }
        if depth == 0 {
            break;
        }
    }
    names
}

#[test]
fn an_arrow_is_seen_however_it_is_written() {
    let of = |source| arrows("shared/src/store/keys.rs", source);
    for (source, seen) in [
        ("use crate::domain::ids::RunId;", &["domain"][..]),
        (
            "pub(crate) use crate::{domain::{a, b}, grading,\n pdf::c};",
            &["domain", "grading", "pdf"],
        ),
        ("fn f() -> crate::llm::Usage { x }", &["llm"]),
        ("use super::super::http::Body;", &["http"]),
        (
            "use super::{super::http::Body};",
            &["super inside braces ({super::http::Body};)"],
        ),
        ("use crate::*;", &["*"]),
        ("use super::keys; // crate::http", &[]),
        (
            "let a = \"crate::http\"; other_crate::http(); b::crate::http();",
            &[],
        ),
        ("$crate::pdf::x!()", &["pdf"]),
    ] {
        assert_eq!(of(source), seen, "{source}");
    }
    assert_eq!(
        arrows("shared/src/clock.rs", "use super::store::Store;"),
        ["store"]
    );
    assert!(arrows("shared/src/clock.rs", "mod tests { use super::Clock; }").is_empty());
}
