//! `openapi.json` is what the code says. `UPDATE_OPENAPI=1 cargo test -p tests openapi` writes it anew.

use local::emulator::project_root;
use shared::clock::Clock;
use shared::domain::quota::TierLimits;
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
    let limits = TierLimits::default();
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
        limits,
        sessions: sessions.clone(),
        clock: clock.clone(),
    });
    let (_, status) = status::router(status::Doors {
        store,
        objects: clients.objects("bucket"),
        limits,
        sessions,
        clock,
    });
    for further in [grade, status] {
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
