//! The files of `events/` are events that the functions understand, and `events/expected.json` tells what each is
//! answered: one story, in this order, of an assignment from its first request to its last. `flows::events` lives
//! it; `scripts/sam-local --all` lives the same in Lambda's own image.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use local::emulator::project_root;
use serde_json::Value;
use shared::domain::run::Message;

use crate::template::routes_of_the_template;

/// Functions that the gateway calls.
const HTTP: [&str; 4] = ["assignments", "grade", "status", "checkout"];

#[test]
fn every_function_has_an_event() {
    let folders = |of: &str| -> BTreeSet<String> {
        std::fs::read_dir(project_root().join(of))
            .unwrap()
            .map(|entry| entry.unwrap())
            .filter(|entry| entry.file_type().unwrap().is_dir())
            .map(|entry| entry.file_name().into_string().unwrap())
            .collect()
    };
    assert_eq!(folders("events"), folders("functions"));
}

#[test]
fn every_event_has_its_place_in_the_story() {
    let told: Vec<String> = steps().iter().map(|step| name_of(step).to_owned()).collect();
    let once: BTreeSet<String> = told.iter().cloned().collect();
    assert_eq!(told.len(), once.len(), "an event is told twice");
    let files: BTreeSet<String> = HTTP
        .into_iter()
        .chain(["worker", "sweeper", "webhook", "billing"])
        .flat_map(names)
        .collect();
    assert_eq!(once, files);
}

#[test]
fn every_route_has_an_event_that_succeeds() {
    let contract = std::fs::read_to_string(project_root().join("openapi.json")).unwrap();
    let contract: Value = serde_json::from_str(&contract).unwrap();
    let routes: BTreeSet<String> = contract["paths"]
        .as_object()
        .unwrap()
        .iter()
        .flat_map(|(path, methods)| {
            let methods = methods.as_object().unwrap().keys();
            methods.map(move |method| format!("{} {path}", method.to_uppercase()))
        })
        .collect();
    let events: BTreeSet<String> = steps()
        .iter()
        .filter(|step| step["status"].as_u64().is_some_and(|status| status < 300))
        .map(|step| route_of(name_of(step)))
        // The webhook is behind a function URL, which has no routes.
        .filter(|route| route != "$default")
        .collect();
    assert_eq!(events, routes);
}

#[test]
fn an_event_is_in_the_folder_of_the_function_that_its_route_leads_to() {
    let routes = routes_of_the_template();
    for name in HTTP.into_iter().flat_map(names) {
        let route = route_of(&name);
        let (method, path) = route.split_once(' ').unwrap();
        let function = &routes[&(method.to_owned(), path.to_owned())];
        assert!(name.starts_with(&format!("{function}/")), "{name}: {route}");
    }
}

#[test]
fn every_http_function_has_events_that_are_refused() {
    for function in HTTP {
        let refused: BTreeSet<u64> = steps()
            .iter()
            .filter(|step| name_of(step).starts_with(&format!("{function}/")))
            .map(|step| step["status"].as_u64().unwrap())
            .filter(|status| *status >= 400)
            .collect();
        for status in [401, 404] {
            assert!(refused.contains(&status), "{function}: {refused:?}");
        }
        assert!(
            refused.contains(&400) || refused.contains(&422),
            "{function}: nothing broken in {refused:?}"
        );
    }
}

#[test]
fn the_workers_events_carry_each_kind_of_message_and_some_that_are_none() {
    let ids = ["account", "assignment", "run", "copy", "broken"];
    let ids = ids.map(|id| (id.to_owned(), "019a0000-0000-7000-8000-000000000001".to_owned()));
    let ids = BTreeMap::from(ids);
    let kinds: BTreeSet<&str> = names("worker")
        .iter()
        .flat_map(|name| {
            let event: aws_lambda_events::sqs::SqsEvent =
                serde_json::from_str(&filled(&text_of(name), &ids)).unwrap();
            event.records
        })
        .map(
            |record| match serde_json::from_str(record.body.as_deref().unwrap()) {
                Ok(Message::Prepare(_)) => "prepare",
                Ok(Message::Grade { .. }) => "grade",
                Err(_) => "poison",
            },
        )
        .collect();
    assert_eq!(kinds, BTreeSet::from(["prepare", "grade", "poison"]));
}

#[test]
fn the_sweepers_event_is_a_tick_of_a_schedule() {
    for name in names("sweeper") {
        let event: Value = serde_json::from_str(&text_of(&name)).unwrap();
        assert_eq!(event["source"], "aws.events", "{name}");
        assert_eq!(event["detail-type"], "Scheduled Event", "{name}");
    }
}

/// The steps of the story: `event`, its `status` for an HTTP function, what its `answer` holds at least, what to
/// `keep` of it for later placeholders, which samples to `upload` with its slots, and the page to `pay` on.
pub(crate) fn steps() -> Vec<Value> {
    let text = std::fs::read_to_string(folder().join("expected.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

/// `<function>/<case>`.
pub(crate) fn name_of(step: &Value) -> &str {
    step["event"].as_str().unwrap()
}

pub(crate) fn text_of(name: &str) -> String {
    std::fs::read_to_string(folder().join(format!("{name}.json"))).unwrap()
}

/// The event with its placeholders filled in.
pub(crate) fn filled(text: &str, known: &BTreeMap<String, String>) -> String {
    let fill = |text: String, (placeholder, value): (&String, &String)| {
        text.replace(&format!("{{{{{placeholder}}}}}"), value)
    };
    let filled = known.iter().fold(text.to_owned(), fill);
    assert!(
        !filled.contains("{{"),
        "a placeholder that nobody fills: {filled}"
    );
    filled
}

fn route_of(name: &str) -> String {
    let event: Value = serde_json::from_str(&text_of(name)).unwrap();
    event["routeKey"].as_str().unwrap().to_owned()
}

fn folder() -> PathBuf {
    project_root().join("events")
}

/// `<function>/<case>` of every event of a function.
fn names(function: &str) -> BTreeSet<String> {
    std::fs::read_dir(folder().join(function))
        .unwrap()
        .map(|entry| {
            let file = entry.unwrap().file_name().into_string().unwrap();
            format!("{function}/{}", file.strip_suffix(".json").unwrap())
        })
        .collect()
}
