//! The supervisor as a person meets it: the program `local dev`, by what it prints, answers, leaves and refuses.

mod place;

use std::net::{Ipv4Addr, TcpListener};
use std::process::Command;

use local::emulator::installed;
use reqwest::StatusCode;

use place::{PORTS, Place};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_teacher_made_outlives_a_stop_and_a_kill_and_no_program_does() {
    let place = Place::new("life");
    let dev = place.start();
    for (what, port) in [("API", "LOCAL_API_PORT"), ("AWS", "LOCAL_AWS_PORT")] {
        let address = format!("http://127.0.0.1:{}", place.port(port));
        let told = |line: &String| line.contains(what) && line.contains(&address);
        assert!(dev.said.iter().any(told), "{what}: {:?}", dev.said);
    }
    assert_eq!(
        dev.assignments("nobody").await.unwrap_err(),
        StatusCode::UNAUTHORIZED
    );
    let first = dev.make_assignment("La Première Guerre mondiale").await;
    let running = place.programs();
    for name in ["ministack", "cargo-lambda", "assignments", "sweeper"] {
        assert!(running.iter().any(|it| it.runs(name)), "{name}: {running:?}");
    }

    let second = place.refused();
    assert!(second.contains("already running from this folder"), "{second}");

    assert_eq!(dev.interrupt().code(), Some(0));
    place.assert_deserted();
    place.assert_one_log_of(&["cargo", "ministack", "functions"]);

    let dev = place.start();
    let other = dev.make_assignment("La photosynthèse").await;
    dev.kill();
    // At once: what the killed one started may still be saving its state.
    let dev = place.start();
    let mut kept = dev.assignments(dev.token()).await.unwrap();
    kept.sort();
    assert_eq!(kept, [first, other]);
    assert_eq!(dev.interrupt().code(), Some(0));
    place.assert_deserted();
}

#[test]
fn a_taken_port_is_named_with_its_variable_and_nothing_is_started() {
    for variable in PORTS {
        let place = Place::new("port");
        let port = place.port(variable);
        let _taken = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).unwrap();
        let refusal = place.refused();
        assert!(refusal.contains(&format!("port {port}, for ")), "{refusal}");
        assert!(
            refusal.contains(&format!("set {variable} to another port")),
            "{refusal}"
        );
        assert!(!place.log().exists(), "whatever is started has a log");
    }
}

#[test]
fn a_missing_tool_is_named_with_how_to_install_it_and_nothing_is_started() {
    let place = Place::new("tool");
    let no_tools = place.folder().join("no-tools");
    let only_cargo = place.folder().join("only-cargo");
    for folder in [&no_tools, &only_cargo] {
        std::fs::create_dir_all(folder).unwrap();
    }
    std::os::unix::fs::symlink(env!("CARGO"), only_cargo.join("cargo")).unwrap();
    for (path, said) in [
        (&no_tools, "cargo is missing: install Rust: https://rustup.rs"),
        (&only_cargo, "setpriv is missing: install util-linux"),
    ] {
        let refusal = place.refused_with(|command: &mut Command| {
            command.env("PATH", path);
        });
        assert!(refusal.contains(said), "{refusal}");
        assert!(!place.log().exists(), "whatever is started has a log");
    }
    let refusal = installed("run", "no-such-tool", "run").unwrap_err().to_string();
    assert_eq!(refusal, "no-such-tool is not installed: run `scripts/setup run`");
}
