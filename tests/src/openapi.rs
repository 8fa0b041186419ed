//! `openapi.json` is what the code says. `UPDATE_OPENAPI=1 cargo test -p tests openapi` writes it anew.

use std::collections::BTreeSet;

use local::emulator::project_root;
use serde_json::Value;
use shared::billing::{Connection, Patience};
use shared::clock::Clock;
use shared::domain::catalogue::Catalogue;
use shared::http::Sessions;
use shared::store::Clients;
use utoipa::openapi::{ContactBuilder, InfoBuilder, OpenApi};

#[tokio::test]
async fn openapi_json_is_what_the_code_says() {
    let contract = format!("{}\n", contract().await.to_pretty_json().unwrap());
    let path = project_root().join("openapi.json");
    if std::env::var_os("UPDATE_OPENAPI").is_some() {
        std::fs::write(&path, &contract).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        committed == contract,
        "openapi.json is stale: run UPDATE_OPENAPI=1 cargo test -p tests openapi"
    );
}

#[tokio::test]
async fn a_client_can_be_generated_from_the_contract() {
    let contract = serde_json::to_value(contract().await).unwrap();
    let mut wrong = Vec::new();
    let mut ids = BTreeSet::new();
    for (route, operation) in operations(&contract) {
        let id = operation["operationId"].as_str().unwrap_or_default();
        if id.is_empty() || !ids.insert(id) {
            wrong.push(format!("{route}: “{id}” names no operation, or another one too"));
        }
        for (status, response) in operation["responses"].as_object().unwrap() {
            if response["description"].as_str().is_none_or(str::is_empty) {
                wrong.push(format!("{route}: nothing describes {status}"));
            }
        }
        if let Some(body) = operation["requestBody"].as_object()
            && says_nothing(&contract, &body["content"]["application/json"]["schema"])
        {
            wrong.push(format!("{route}: its body may be anything"));
        }
    }
    wrong.extend(dangling(&contract, &contract));
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Each route with what the contract says of it.
fn operations(contract: &Value) -> impl Iterator<Item = (String, &Value)> {
    let paths = contract["paths"].as_object().unwrap();
    paths.iter().flat_map(|(path, methods)| {
        let methods = methods.as_object().unwrap().iter();
        methods.map(move |(method, operation)| (format!("{method} {path}"), operation))
    })
}

/// Whether a schema allows whatever is sent: an object of no known field, unless it forbids every other.
fn says_nothing(contract: &Value, schema: &Value) -> bool {
    let schema = match schema["$ref"].as_str() {
        Some(reference) => target(contract, reference).unwrap_or(&Value::Null),
        None => schema,
    };
    let (fields, further) = (&schema["properties"], &schema["additionalProperties"]);
    fields.as_object().is_none_or(serde_json::Map::is_empty) && *further != false
}

/// Each reference to what is not there.
fn dangling(contract: &Value, part: &Value) -> Vec<String> {
    match part {
        Value::Object(fields) => {
            let reference = fields.get("$ref").and_then(Value::as_str);
            let lost = reference.filter(|reference| target(contract, reference).is_none());
            let lost = lost.map(|reference| format!("{reference} is not there"));
            let within = fields.values().flat_map(|field| dangling(contract, field));
            lost.into_iter().chain(within).collect()
        }
        Value::Array(items) => items.iter().flat_map(|item| dangling(contract, item)).collect(),
        _ => Vec::new(),
    }
}

fn target<'c>(contract: &'c Value, reference: &str) -> Option<&'c Value> {
    contract.pointer(reference.strip_prefix('#')?)
}

/// Merging keeps the first of two schemas of one name: the other's routes would promise what they do not answer.
fn assert_names_mean_one_thing(contract: &OpenApi, further: &OpenApi) {
    let schemas = |of: &OpenApi| of.components.clone().unwrap_or_default().schemas;
    let known = schemas(contract);
    for (name, schema) in schemas(further) {
        assert!(
            known.get(&name).is_none_or(|known| *known == schema),
            "two functions have a {name} each: give one another name"
        );
    }
}

async fn contract() -> OpenApi {
    // Nothing is called: the routes are only asked what they are.
    let clients = Clients::on(local::emulator::sdk_config("http://127.0.0.1:9").await);
    let clock = Clock::fixed(0);
    let sessions = Sessions::new(clock.clone(), || async { Ok("".into()) });
    let store = clients.store("table");
    let catalogue = Catalogue::default();
    let (_, mut contract) = assignments::router(assignments::Doors {
        store: store.clone(),
        signer: clients.upload_signer("bucket"),
        sessions: sessions.clone(),
        clock: clock.clone(),
    });
    let (_, grade) = grade::router(grade::Doors {
        store: store.clone(),
        objects: clients.objects("bucket"),
        queue: clients.queue("http://127.0.0.1:9/queue"),
        billing: clients.billing_queue("http://127.0.0.1:9/billing"),
        catalogue: catalogue.clone(),
        sessions: sessions.clone(),
        clock: clock.clone(),
    });
    let (_, status) = status::router(status::Doors {
        store,
        objects: clients.objects("bucket"),
        catalogue: catalogue.clone(),
        sessions: sessions.clone(),
        clock: clock.clone(),
    });
    let (_, checkout) = checkout::router(checkout::Doors {
        store: clients.store("table"),
        connection: Connection::new(None, Patience::default()).unwrap(),
        secrets: clients.secrets(clock.clone()),
        key_secret: "stripe".to_owned(),
        catalogue,
        web_origin: "https://corrigeuse.example".to_owned(),
        portal: None,
        answer_max: checkout::ANSWER_MAX,
        sessions,
        clock,
    });
    for further in [grade, status, checkout] {
        assert_names_mean_one_thing(&contract, &further);
        contract.merge(further);
    }
    contract.info = InfoBuilder::new()
        .title("La Corrigeuse")
        .version("1")
        .description(Some(
            "Upload pupils' copies and a barème; every copy is graded per criterion.",
        ))
        .contact(Some(ContactBuilder::new().name(Some("La Corrigeuse")).build()))
        .build();
    contract
}
