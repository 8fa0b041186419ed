//! What the manifests say: arrows between crates, lints, versions, and one TLS stack.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use serde_json::Value;

use super::none;
use super::sources::{path, text, tracked};

/// Crates that no program for AWS may hold, and why.
const UNWANTED: [(&str, &str); 4] = [
    ("native-tls", "one TLS stack: rustls"),
    ("openssl", "one TLS stack: rustls"),
    ("openssl-sys", "one TLS stack: rustls"),
    ("ring", "one crypto library: aws-lc-rs"),
];

#[test]
fn crates_depend_only_on_what_the_house_allows() {
    let folders: BTreeMap<String, String> = crates()
        .into_iter()
        .map(|(folder, manifest)| (name_of(&manifest), folder))
        .collect();
    let mut offences = Vec::new();
    for package in workspace()["packages"].as_array().unwrap() {
        let name = package["name"].as_str().unwrap();
        for dependency in package["dependencies"].as_array().unwrap() {
            let used = dependency["name"].as_str().unwrap();
            if let Some(used) = folders.get(used)
                && !allowed(&folders[name], used)
            {
                offences.push(format!("{} → {used}", folders[name]));
            }
        }
    }
    none("an arrow between crates that the house does not have", offences);
}

/// By folder: the library depends on no other crate of ours, functions and the local system on the library, and
/// what measures and tests on anything but itself.
fn allowed(folder: &str, used: &str) -> bool {
    match folder {
        "shared" => false,
        "local" => used == "shared",
        // What is measured is also tested.
        "tests" => used != "tests",
        "benches" => used != "tests" && used != "benches",
        function if function.starts_with("functions/") => used == "shared",
        _ => false,
    }
}

#[test]
fn no_function_uses_another_and_only_tests_and_benches_use_local() {
    assert!(allowed("functions/grade", "shared"));
    assert!(!allowed("functions/grade", "functions/worker"));
    assert!(!allowed("functions/grade", "local"));
    assert!(!allowed("shared", "local"));
    assert!(allowed("benches", "local") && allowed("tests", "functions/grade"));
    assert!(!allowed("benches", "tests"));
}

#[test]
fn every_crate_takes_the_lints_of_the_workspace() {
    let missing = |(folder, manifest): (String, String)| {
        let taken =
            sections(&manifest).any(|(section, line)| section == "lints" && line == "workspace = true");
        (!taken).then(|| format!("{folder}/Cargo.toml: [lints] workspace = true"))
    };
    none(
        "lints are the same everywhere",
        crates().into_iter().filter_map(missing).collect(),
    );
}

#[test]
fn a_version_is_written_once_in_the_root() {
    let mut offences = Vec::new();
    for (folder, manifest) in crates() {
        for (section, line) in sections(&manifest) {
            if section.contains("dependencies") && !line.contains("workspace = true") {
                offences.push(format!("{folder}/Cargo.toml: [{section}] {line}"));
            }
        }
    }
    none("take it from [workspace.dependencies], on one line", offences);
}

#[test]
fn the_root_lists_only_what_some_crate_takes() {
    let of = |section: &str, line: &str| {
        let name = line.split([' ', '.', '=']).next().unwrap_or_default();
        section.ends_with("dependencies").then(|| name.to_owned())
    };
    let manifests: Vec<String> = crates().into_iter().map(|(_, manifest)| manifest).collect();
    let taken: BTreeSet<String> = manifests
        .iter()
        .flat_map(|manifest| sections(manifest))
        .filter_map(|(section, line)| of(section, line))
        .collect();
    let root = text("Cargo.toml");
    let listed = sections(&root).filter_map(|(section, line)| of(section, line));
    none(
        "take it out of [workspace.dependencies]",
        listed.filter(|name| !taken.contains(name)).collect(),
    );
}

#[test]
fn there_is_one_tls_stack_and_one_http_client() {
    let tree = Command::new(env!("CARGO"))
        .args(["tree", "--workspace", "--all-features", "--locked", "--offline"])
        .args([
            "--prefix",
            "none",
            "--format",
            "{p}",
            "--edges",
            "normal,build,dev",
        ])
        .current_dir(path(""))
        .output()
        .unwrap();
    let error = String::from_utf8_lossy(&tree.stderr);
    assert!(tree.status.success(), "cargo tree: {error}");
    let tree = String::from_utf8(tree.stdout).unwrap();
    // Each line: name, version, perhaps where from.
    let used: BTreeSet<(&str, &str)> = tree
        .lines()
        .filter_map(|line| {
            let mut words = line.split(' ');
            Some((words.next()?, words.next()?))
        })
        .collect();
    assert!(used.len() > 100, "cargo tree says too little: {tree}");
    let mut offences: Vec<String> = UNWANTED
        .iter()
        .filter(|(name, _)| used.iter().any(|(used, _)| used == name))
        .map(|(name, why)| format!("{name}: {why}"))
        .collect();
    for name in ["rustls", "hyper", "h2", "reqwest"] {
        let versions: Vec<&str> = used
            .iter()
            .filter(|(used, _)| *used == name)
            .map(|(_, v)| *v)
            .collect();
        if versions.len() != 1 {
            offences.push(format!(
                "{name}: {versions:?} (`cargo tree -i {name}` says who brings it)"
            ));
        }
    }
    none(
        "every function carries one TLS stack and one HTTP client",
        offences,
    );
}

/// Each crate's folder and manifest.
fn crates() -> Vec<(String, String)> {
    tracked()
        .into_iter()
        .filter_map(|file| {
            let folder = file.strip_suffix("/Cargo.toml")?.to_owned();
            let manifest = text(&file);
            Some((folder, manifest))
        })
        .collect()
}

fn name_of(manifest: &str) -> String {
    sections(manifest)
        .find_map(|(section, line)| {
            let name = line.strip_prefix("name = \"")?.strip_suffix('"')?;
            (section == "package").then(|| name.to_owned())
        })
        .unwrap()
}

/// Each line of a manifest with the section that it is in; blank lines and comments are skipped.
fn sections(manifest: &str) -> impl Iterator<Item = (&str, &str)> {
    let mut section = "";
    manifest.lines().map(str::trim).filter_map(move |line| {
        if let Some(header) = line.strip_prefix('[').filter(|_| line.ends_with(']')) {
            section = header.trim_matches(['[', ']']);
            return None;
        }
        (!line.is_empty() && !line.starts_with('#')).then_some((section, line))
    })
}

fn workspace() -> Value {
    let metadata = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--offline", "--format-version", "1"])
        .current_dir(path(""))
        .output()
        .unwrap();
    let error = String::from_utf8_lossy(&metadata.stderr);
    assert!(metadata.status.success(), "cargo metadata: {error}");
    serde_json::from_slice(&metadata.stdout).unwrap()
}
