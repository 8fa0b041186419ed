//! The story against the local Stripe, as it is and through somebody who tampers with what it says.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::*;
use crate::stripe::{Settings as StripeSettings, Stripe as LocalStripe};

/// 31 January 2026, noon.
const START: i64 = 1_769_860_800;
const KEY: &str = "sk_test_local";

/// A run's lines, and how it ended.
struct Ran {
    lines: Vec<String>,
    ended: Result<(), String>,
}

async fn local() -> LocalStripe {
    let settings = StripeSettings {
        clock: Clock::fixed(START * 1000),
        ..StripeSettings::default()
    };
    LocalStripe::start(settings).await.unwrap()
}

fn settings(base_url: String) -> Settings {
    Settings {
        key: TestKey::parse(KEY).unwrap(),
        base_url: Some(base_url),
        clock: Clock::fixed(START * 1000),
        pace: Pace {
            wait: Duration::ZERO,
            looks_max: 3,
            ..Pace::default()
        },
    }
}

async fn run_at(base_url: String, stop: impl Future<Output = ()>) -> Ran {
    let mut lines = Vec::new();
    let ended = run(settings(base_url), &mut |line| lines.push(line.to_owned()), stop).await;
    Ran {
        lines,
        ended: ended.map_err(|error| format!("{error:#}")),
    }
}

/// Nothing of the run is left but what is sold.
fn is_clean(stripe: &LocalStripe) -> bool {
    stripe.with(|world| {
        let gone = world.customers().iter().all(|customer| customer.deleted);
        gone && !world.is_frozen()
    })
}

fn sold(stripe: &LocalStripe) -> (usize, usize) {
    stripe.with(|world| {
        let catalogue = &world.account.catalogue;
        (catalogue.products.len(), catalogue.prices.len())
    })
}

#[tokio::test]
async fn the_whole_story_goes_well_twice_and_leaves_only_what_is_sold() {
    let stripe = local().await;
    let before = sold(&stripe);
    for made in ["6 of them made now", "0 of them made now"] {
        let ran = run_at(stripe.base_url(), std::future::pending()).await;
        assert_eq!(ran.ended, Ok(()), "{:#?}", ran.lines);
        assert!(
            ran.lines.iter().any(|line| line.contains(made)),
            "{:#?}",
            ran.lines
        );
        assert!(is_clean(&stripe));
        assert_eq!(sold(&stripe), (before.0 + 1, before.1 + 6));
    }
}

#[tokio::test]
async fn each_step_is_told_on_its_line_and_the_key_on_none() {
    let stripe = local().await;
    let ran = run_at(stripe.base_url(), std::future::pending()).await;
    let (last, steps) = ran.lines.split_last().unwrap();
    assert!(last.contains("checkout.session.completed was not seen"), "{last}");
    assert!(!last.contains("not tried"), "{last}");
    let of = |name: &str| {
        let found = steps
            .iter()
            .find(|line| line.starts_with(&format!("ok  {name}: ")));
        found.unwrap_or_else(|| panic!("no {name} in {steps:#?}"))
    };
    assert!(of("upgrade to pro").contains("pro from 2026-01-31T12:00:00Z to 2026-02-28T12:00:00Z, paid"));
    assert!(of("downgrade with the period").contains("essentiel from 2026-02-28T12:00:00Z"));
    assert!(of("renewal, with a card that fails").contains("not paid (PastDue), kept in grace"));
    assert!(of("end at once, twice").contains("free"));
    assert!(ran.lines.iter().all(|line| !line.contains(KEY)));
}

#[tokio::test]
async fn a_sandbox_whose_portal_nobody_has_set_up_is_told_so() {
    let stripe = local().await;
    stripe.with(|world| world.account.portal_saved = false);
    let ran = run_at(stripe.base_url(), std::future::pending()).await;
    assert_eq!(ran.ended, Ok(()));
    let untried = |line: &String| line.starts_with("--  the portal: not tried, save its settings");
    assert!(ran.lines.iter().any(untried), "{:#?}", ran.lines);
    let last = ran.lines.last().unwrap();
    assert!(last.contains("; not tried: the portal; "), "{last}");
}

/// Stands between, and may send another request, or change an answer.
struct Tampering {
    to: String,
    /// What to ask instead of a method and path.
    ask: fn(&Method, &str) -> Option<(Method, String)>,
    /// Changes what is answered to a method and path.
    answer: fn(&Method, &str, &mut Value),
    http: reqwest::Client,
}

const fn as_asked(_: &Method, _: &str) -> Option<(Method, String)> {
    None
}

const fn as_answered(_: &Method, _: &str, _: &mut Value) {}

async fn tamper(
    State(tampering): State<Arc<Tampering>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> (StatusCode, String) {
    let path = uri.path().to_owned();
    let asked = uri.path_and_query().map_or(path.as_str(), |it| it.as_str());
    let other = (tampering.ask)(&method, &path);
    let (sent, to, body) = match other {
        Some((method, path)) => (method, path, Bytes::new()),
        None => (method.clone(), asked.to_owned(), body),
    };
    let mut request = tampering
        .http
        .request(sent, format!("{}{to}", tampering.to))
        .body(body);
    for name in ["authorization", "stripe-version", "idempotency-key"] {
        if let Some(value) = headers.get(name) {
            request = request.header(name, value);
        }
    }
    let answer = request.send().await.unwrap();
    let status = answer.status();
    let mut said: Value = answer.json().await.unwrap();
    (tampering.answer)(&method, &path, &mut said);
    (status, said.to_string())
}

/// How a run ends through somebody who tampers. Whatever it is, nothing is left.
async fn tampered(
    ask: fn(&Method, &str) -> Option<(Method, String)>,
    answer: fn(&Method, &str, &mut Value),
) -> String {
    let stripe = local().await;
    let tampering = Tampering {
        to: stripe.base_url(),
        ask,
        answer,
        http: reqwest::Client::new(),
    };
    let app = Router::new().fallback(tamper).with_state(Arc::new(tampering));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server: JoinHandle<_> = tokio::spawn(async { axum::serve(listener, app).await });
    let ran = run_at(format!("http://{address}"), std::future::pending()).await;
    server.abort();
    assert!(is_clean(&stripe), "{:#?}", ran.lines);
    let ended = ran.ended.expect_err("it must fail");
    assert!(!ended.contains(KEY), "{ended}");
    ended
}

fn is_change(method: &Method, path: &str) -> bool {
    *method == Method::POST && path.starts_with("/v1/subscriptions/")
}

#[tokio::test]
async fn an_upgrade_that_changes_nothing_fails_at_that_step() {
    // It is taken for a question, and answered.
    let ask = |method: &Method, path: &str| is_change(method, path).then(|| (Method::GET, path.to_owned()));
    let ended = tampered(ask, as_answered).await;
    assert!(ended.starts_with("upgrade to pro: expected pro from "), "{ended}");
    assert!(ended.contains(", found essentiel from "), "{ended}");
}

#[tokio::test]
async fn a_renewal_that_moves_the_period_a_day_fails_at_that_step() {
    let ended = tampered(as_asked, |_, path, said| {
        let listed = said["data"]
            .as_array_mut()
            .filter(|_| path == "/v1/subscriptions");
        for it in listed.into_iter().flatten() {
            let item = &mut it["items"]["data"][0];
            if item["current_period_start"] != START {
                item["current_period_start"] = json!(item["current_period_start"].as_i64().unwrap() + 86_400);
            }
        }
    })
    .await;
    assert!(
        ended.starts_with("renewal, with the downgrade: expected "),
        "{ended}"
    );
}

#[tokio::test]
async fn an_event_that_cannot_be_read_fails_with_its_name() {
    let ended = tampered(as_asked, |_, path, said| {
        let listed = said["data"].as_array_mut().filter(|_| path == "/v1/events");
        for event in listed.into_iter().flatten() {
            if event["type"] == "invoice.payment_failed" {
                event["created"] = json!("yesterday");
            }
        }
    })
    .await;
    assert!(
        ended.starts_with("events: expected an event, found Unparsed in "),
        "{ended}"
    );
    assert!(ended.contains("invoice.payment_failed"), "{ended}");
}

#[tokio::test]
async fn an_event_that_never_comes_fails_with_its_name() {
    let ended = tampered(as_asked, |_, path, said| {
        if let Some(listed) = said["data"].as_array_mut().filter(|_| path == "/v1/events") {
            listed.retain(|event| event["type"] != "customer.subscription.deleted");
        }
    })
    .await;
    assert!(ended.starts_with("events: "), "{ended}");
    assert!(
        ended.contains(r#"never found {"customer.subscription.deleted"}"#),
        "{ended}"
    );
}

#[tokio::test]
async fn a_clock_that_is_never_ready_fails_where_it_was_moved() {
    let ended = tampered(as_asked, |method, path, said| {
        if *method == Method::GET && path.starts_with("/v1/test_helpers/") {
            said["status"] = json!("advancing");
        }
    })
    .await;
    let expected = "ten days later: the test clock is still advancing after 3 looks";
    assert_eq!(ended, expected);
}

#[tokio::test]
async fn a_refusal_of_stripe_s_is_told_with_its_step() {
    let ended = tampered(
        |method, path| {
            let pays = *method == Method::POST && path.ends_with("/pay");
            pays.then(|| (Method::POST, "/v1/invoices/in_none/pay".to_owned()))
        },
        as_answered,
    )
    .await;
    assert!(
        ended.starts_with("a card that works, and the invoice is paid: Stripe refuses POST /v1/invoices/in_"),
        "{ended}"
    );
    assert!(
        ended.contains("404 invalid_request_error resource_missing id"),
        "{ended}"
    );
}

#[tokio::test]
async fn whoever_stops_it_leaves_nothing_behind() {
    let stripe = local().await;
    let ran = run_at(stripe.base_url(), std::future::ready(())).await;
    // It may have begun a step or two before it was told.
    let ended = ran.ended.expect_err("it was stopped");
    assert!(ended.ends_with(": stopped"), "{ended}");
    assert!(is_clean(&stripe), "{:#?}", ran.lines);
}

#[tokio::test]
async fn a_run_that_takes_too_long_is_ended_and_leaves_nothing_behind() {
    let stripe = local().await;
    let mut settings = settings(stripe.base_url());
    settings.pace.whole = Duration::ZERO;
    let ended = run(settings, &mut |_| (), std::future::pending()).await;
    let ended = ended.expect_err("it had no time").to_string();
    assert_eq!(ended, "what is sold: not done after 0 s in all");
    assert!(is_clean(&stripe));
}

#[tokio::test]
async fn a_clock_that_cannot_be_deleted_is_named() {
    let stripe = local().await;
    stripe.inject([crate::stripe::Fault::next(crate::stripe::Kind::ServerError)
        .at("/v1/test_helpers/test_clocks/clock_")
        .times(usize::MAX)]);
    let ran = run_at(stripe.base_url(), std::future::pending()).await;
    let ended = ran.ended.expect_err("it must fail");
    assert!(ended.starts_with("ten days later: "), "{ended}");
    assert!(ended.contains("; and the test clock clock_"), "{ended}");
}

fn read(variables: &[(&str, &str)]) -> Result<Settings, String> {
    let variable = |name: &str| {
        let found = variables.iter().find(|(known, _)| *known == name);
        found.map(|(_, value)| (*value).to_owned())
    };
    Settings::read(variable).map_err(|error| error.to_string())
}

#[test]
fn it_takes_a_sandbox_s_key_and_a_confirmation_and_says_what_to_set() {
    let live = ("CORRIGEUSE_LIVE", "1");
    for (variables, refused) in [
        (vec![], "set CORRIGEUSE_LIVE=1 to confirm"),
        (
            vec![("STRIPE_API_KEY", "sk_test_1")],
            "set CORRIGEUSE_LIVE=1 to confirm",
        ),
        (vec![live], "set STRIPE_API_KEY"),
        (vec![live, ("STRIPE_API_KEY", "")], "set STRIPE_API_KEY"),
        (vec![live, ("STRIPE_API_KEY", "sk_live_1")], "is a live key"),
        (vec![live, ("STRIPE_API_KEY", " rk_live_1")], "is a live key"),
        (
            vec![live, ("STRIPE_API_KEY", "pk_test_1")],
            "is no secret key of a sandbox",
        ),
        (
            vec![live, ("STRIPE_API_KEY", "sk_test_1\nx")],
            "is no secret key of a sandbox",
        ),
    ] {
        let error = read(&variables).expect_err(refused);
        assert!(error.contains(refused), "{error}");
        assert!(!error.contains("_1"), "{error}");
    }
    let taken = read(&[live, ("STRIPE_API_KEY", "rk_test_1\n")]).unwrap();
    assert!(!format!("{taken:?}").contains("rk_test_1"));
}

#[tokio::test]
async fn a_live_key_is_refused_without_a_call() {
    let stripe = LocalStripe::start(StripeSettings {
        secret_key: "sk_live_local".to_owned(),
        livemode: true,
        ..StripeSettings::default()
    })
    .await
    .unwrap();
    let base = stripe.base_url();
    let refused = read(&[
        ("CORRIGEUSE_LIVE", "1"),
        ("STRIPE_API_KEY", "sk_live_local"),
        ("STRIPE_BASE_URL", &base),
    ]);
    assert!(refused.is_err_and(|error| error.contains("is a live key")));
    assert_eq!(stripe.calls(), []);
}
