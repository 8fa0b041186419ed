//! The project's files, and their code without comments and literals.

use std::path::PathBuf;
use std::process::Command;

/// A Rust file.
pub(super) struct Source {
    /// From the project's root.
    pub(super) path: String,
    pub(super) text: String,
}

/// A file's place on this machine.
pub(super) fn path(file: &str) -> PathBuf {
    local::emulator::project_root().join(file)
}

/// The text of a file that must be there.
pub(super) fn text(file: &str) -> String {
    std::fs::read_to_string(path(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
}

/// Every file that git has or would take, from the project's root, sorted.
pub(super) fn tracked() -> Vec<String> {
    let listed = Command::new("git")
        .args(["ls-files", "--cached", "--others", "--exclude-standard", "-z"])
        .current_dir(path(""))
        .output()
        .unwrap();
    let error = String::from_utf8_lossy(&listed.stderr);
    assert!(listed.status.success(), "git ls-files: {error}");
    let mut files: Vec<String> = String::from_utf8(listed.stdout)
        .unwrap()
        .split('\0')
        .filter(|file| !file.is_empty() && path(file).is_file())
        .map(str::to_owned)
        .collect();
    files.sort();
    files.dedup();
    assert!(
        files.len() > 100,
        "this is not the project: {} files",
        files.len()
    );
    files
}

/// Every Rust file.
pub(super) fn rust_files() -> Vec<Source> {
    tracked()
        .into_iter()
        .filter(|file| file.ends_with(".rs"))
        .map(|path| Source {
            text: text(&path),
            path,
        })
        .collect()
}

/// Whether a file, or the part of it from `at` on, is compiled for tests only.
pub(super) fn is_test(file: &Source, at: usize) -> bool {
    let name = file.path.rsplit('/').next().unwrap_or_default();
    file.path.starts_with("tests/")
        || file.path.contains("/tests/")
        || name == "tests.rs"
        || name.ends_with("_tests.rs")
        || file
            .text
            .find("#[cfg(test)]\nmod tests {")
            .is_some_and(|tests| tests < at)
}

/// The code alone: comments and what stands in quotes become blanks, lines stay where they are.
pub(super) fn code_of(source: &str) -> String {
    let mut code = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(first) = rest.chars().next() {
        let blank = blank_length(rest, &code);
        let (skipped, after) = rest.split_at(blank.max(first.len_utf8()));
        if blank == 0 {
            code.push_str(skipped);
        } else {
            code.extend(skipped.chars().map(|c| if c == '\n' { '\n' } else { ' ' }));
        }
        rest = after;
    }
    code
}

/// Bytes of the comment or literal that `rest` begins with; 0 for code. `before` is the code so far.
fn blank_length(rest: &str, before: &str) -> usize {
    if rest.starts_with("//") {
        return rest.find('\n').unwrap_or(rest.len());
    }
    if rest.starts_with("/*") {
        return block_comment(rest);
    }
    if rest.starts_with('"') {
        return quoted(rest, '"');
    }
    let in_a_word = before.ends_with(|c: char| c.is_alphanumeric() || c == '_') && !before.ends_with('b');
    if rest.starts_with('r') && !in_a_word {
        let hashes = rest[1..].bytes().take_while(|&byte| byte == b'#').count();
        if rest[1 + hashes..].starts_with('"') {
            let end = format!("\"{}", "#".repeat(hashes));
            let start = hashes + 2;
            return rest[start..]
                .find(&end)
                .map_or(rest.len(), |at| start + at + end.len());
        }
    }
    // A lifetime has no second quote: 'a' and '\n' are characters, 'a is not.
    let mut chars = rest.chars();
    if chars.next() == Some('\'') {
        let (first, second) = (chars.next(), chars.next());
        if first == Some('\\') || second == Some('\'') {
            return quoted(rest, '\'');
        }
    }
    0
}

fn block_comment(rest: &str) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at < rest.len() {
        let here = &rest.as_bytes()[at..];
        if here.starts_with(b"/*") {
            depth += 1;
            at += 2;
        } else if here.starts_with(b"*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += 1;
        }
    }
    rest.len()
}

fn quoted(rest: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if c == quote => return at + c.len_utf8(),
            _ => {}
        }
    }
    rest.len()
}

#[test]
fn comments_and_literals_are_no_code() {
    let source =
        "a(\"crate::x\\\"\", r#\"b\"#, 'c', '\\'', b\"d\"); // e\n/* f /* g */ h */ fn i<'j>() {} //! k";
    let code: String = code_of(source).split_whitespace().collect();
    assert_eq!(code, "a(,,,,b);fni<'j>(){}");
    assert_eq!(code_of(source).lines().count(), source.lines().count());
}
