//! Calls against a stub that answers what it is told and keeps what it was asked.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use super::*;
use crate::billing::{Order, truth};
use crate::domain::Language;
use crate::domain::catalogue::Interval;
use crate::domain::failure::Failure;
use crate::domain::ids::AccountId;
use crate::domain::time::UnixMillis;

const CUSTOMER: &str = r#"{"id":"cus_1"}"#;
const EMPTY: &str = r#"{"data":[],"has_more":false}"#;

/// What the stub answers: status, further headers, body. Status 0 hangs up instead.
type Reply = (u16, &'static str, &'static str);

struct Stub {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Stub {
    fn answering(replies: Vec<Reply>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let kept = asked.clone();
        std::thread::spawn(move || {
            for (status, headers, body) in replies {
                let (mut stream, _) = listener.accept().unwrap();
                kept.lock().unwrap().push(read(&mut stream));
                if status > 0 {
                    let length = body.len();
                    let head = format!(
                        "HTTP/1.1 {status} X\r\nconnection: close\r\ncontent-length: {length}\r\n{headers}\r\n"
                    );
                    stream.write_all(format!("{head}{body}").as_bytes()).unwrap();
                }
            }
        });
        Self { address, asked }
    }

    fn stripe(&self) -> Stripe {
        let patience = Patience {
            wait_first: Duration::ZERO,
            ..Patience::default()
        };
        let connection = Connection::new(Some(&format!("http://{}", self.address)), patience);
        connection.unwrap().with_key("sk_test_1").unwrap()
    }

    /// The requests, each as its head and, below an empty line, its form.
    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }

    fn header(&self, name: &str) -> Vec<String> {
        let of = |request: &String| {
            let lines = request.lines();
            let mut values = lines.filter_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
            values.next().unwrap_or_default().to_owned()
        };
        self.asked().iter().map(of).collect()
    }

    /// First lines without the version, and forms without their escapes.
    fn forms(&self) -> Vec<(String, String)> {
        let plain = |text: &str| {
            text.replace("%5B", "[")
                .replace("%5D", "]")
                .replace("%3A", ":")
                .replace("%2F", "/")
        };
        let split = |request: String| {
            let (head, form) = request.split_once("\r\n\r\n").unwrap();
            let first = head.lines().next().unwrap().trim_end_matches(" HTTP/1.1");
            (plain(first), plain(form))
        };
        self.asked().into_iter().map(split).collect()
    }
}

fn read(stream: &mut TcpStream) -> String {
    let mut request = String::new();
    let mut buffer = [0; 4096];
    loop {
        let count = stream.read(&mut buffer).unwrap();
        request.push_str(std::str::from_utf8(&buffer[..count]).unwrap());
        let Some((head, body)) = request.split_once("\r\n\r\n") else {
            continue;
        };
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length: "));
        if body.len() >= length.map_or(0, |length| length.parse().unwrap()) {
            return request;
        }
    }
}

fn account() -> AccountId {
    AccountId::derive(UnixMillis::new(1_790_000_000_000), b"account")
}

#[tokio::test]
async fn a_call_that_fails_for_a_moment_is_repeated_under_one_key() {
    let lock = r#"{"error":{"type":"invalid_request_error","code":"lock_timeout"}}"#;
    let stub = Stub::answering(vec![(0, "", ""), (409, "", lock), (200, "", CUSTOMER)]);
    let created = stub
        .stripe()
        .create_customer(account(), Language::Fr, "first")
        .await;
    assert_eq!(created, Ok("cus_1".to_owned()));
    let key = format!("customer-{}-fr-first", account());
    assert_eq!(stub.header("idempotency-key"), [key.clone(), key.clone(), key]);

    let stub = Stub::answering(vec![(500, "", "{}"), (503, "", "{}"), (429, "", "{}")]);
    let refused = stub
        .stripe()
        .cancel_at_period_end("sub_1", true)
        .await
        .unwrap_err();
    assert_eq!(refused, Refusal::Unavailable("429 no_code".to_owned()));
    let keys = stub.header("idempotency-key");
    assert!(keys.len() == 3 && keys[0].len() == 36 && keys.iter().all(|key| *key == keys[0]));
}

#[tokio::test]
async fn a_call_ends_with_the_time_of_the_answer_that_needs_it() {
    let stub = Stub::answering(vec![(500, "", "{}"), (200, "", CUSTOMER)]);
    let over = stub.stripe().until(Instant::now());
    let refused = over.customer("cus_1").await.unwrap_err();
    assert!(matches!(refused, Refusal::Unavailable(_)), "{refused}");
    assert_eq!(stub.asked().len(), 0, "nobody would wait for it");
    let in_time = stub.stripe().until(Instant::now() + Duration::from_secs(3_600));
    in_time.customer("cus_1").await.unwrap();
    assert_eq!(stub.asked().len(), 2);
}

#[tokio::test]
async fn a_call_that_is_refused_is_not_repeated_unless_stripe_says_so() {
    let declined = r#"{"error":{"type":"card_error","code":"card_declined"}}"#;
    let stub = Stub::answering(vec![(402, "", declined)]);
    let refused = stub.stripe().change_price("sub_1", "si_1", "price_1").await;
    assert_eq!(
        refused.unwrap_err(),
        Refusal::Declined("card_declined".to_owned())
    );
    assert_eq!(stub.asked().len(), 1);

    let stub = Stub::answering(vec![(500, "stripe-should-retry: false\r\n", "{}")]);
    let refused = stub.stripe().customer("cus_1").await.unwrap_err();
    assert!(matches!(refused, Refusal::Unavailable(_)), "{refused}");
    assert_eq!(stub.asked().len(), 1);

    let stub = Stub::answering(vec![
        (400, "stripe-should-retry: true\r\n", "{}"),
        (200, "", CUSTOMER),
    ]);
    assert!(stub.stripe().customer("cus_1").await.is_ok());
}

#[tokio::test]
async fn every_call_names_the_version_that_its_types_are_of() {
    let stub = Stub::answering(vec![(200, "", CUSTOMER)]);
    stub.stripe().customer("cus_1").await.unwrap();
    assert_eq!(stub.header("stripe-version"), ["2026-09-30.endive"]);
    assert_eq!(stub.header("authorization"), ["Bearer sk_test_1"]);
    assert_eq!(stub.header("idempotency-key"), [""], "a GET needs none");
}

#[tokio::test]
async fn lists_are_followed_page_after_page_up_to_a_bound() {
    let full = r#"{"data":[{"id":"ch_1"}],"has_more":true}"#;
    let last = r#"{"data":[{"id":"ch_2"}],"has_more":false}"#;
    let stub = Stub::answering(vec![(200, "", full), (200, "", last)]);
    let listed = stub.stripe().charges_of("cus_1", 3).await.unwrap();
    let ids: Vec<&str> = listed.objects.iter().map(|it| it.id.as_str()).collect();
    assert_eq!((ids, listed.cut), (vec!["ch_1", "ch_2"], false));
    let (second, _) = stub.forms().pop().unwrap();
    assert!(second.contains("starting_after=ch_1"), "{second}");
    assert!(second.contains("customer=cus_1"), "{second}");

    let stub = Stub::answering(vec![(200, "", full), (200, "", full)]);
    assert!(stub.stripe().charges_of("cus_1", 2).await.unwrap().cut);
}

#[tokio::test]
async fn a_customer_with_more_subscriptions_than_are_read_is_left_undecided() {
    let full = r#"{"data":[{"id":"sub_1","status":"canceled","customer":"cus_1","created":1,"items":{"data":[]}}],
        "has_more":true}"#;
    let mut answers = vec![(200, "", full); 5];
    answers.extend([(200, "", EMPTY), (200, "", EMPTY)]);
    let stub = Stub::answering(answers);
    let decided = truth(&stub.stripe(), "cus_1").await;
    assert!(matches!(decided, Err(Failure::Internal(_))), "{decided:?}");
}

#[tokio::test]
async fn requests_say_what_stripe_is_to_do() {
    let schedule =
        r#"{"id":"sub_sched_1","status":"active","current_phase":{"start_date":20,"end_date":30}}"#;
    let subscription = r#"{"id":"sub_1","status":"active","customer":"cus_1","created":1,"items":{"data":[
        {"id":"si_1","price":{"id":"price_1"},"current_period_start":20,"current_period_end":30}]}}"#;
    let session = r#"{"id":"cs_1","url":"https://pay"}"#;
    let stub = Stub::answering(vec![
        (200, "", session),
        (200, "", subscription),
        (200, "", schedule),
        (200, "", schedule),
        (200, "", EMPTY),
    ]);
    let stripe = stub.stripe();
    let order = Order {
        account: account(),
        customer: "cus_1",
        price: "price_1",
        language: Language::Fr,
        success_url: "https://app/ok",
        cancel_url: "https://app/no",
        expires_at: UnixMillis::new(1_790_003_600_000),
        key: "order-1",
    };
    stripe.create_checkout(&order).await.unwrap();
    let subscription = stripe.change_price("sub_1", "si_1", "price_2").await.unwrap();
    stripe
        .change_price_at_period_end(&subscription, "price_0", Interval::Month)
        .await
        .unwrap();
    stripe.subscriptions_of("cus_1", 1).await.unwrap();
    let forms = stub.forms();
    let says = |nth: usize, first: &str, parts: &[&str]| {
        let (line, form) = &forms[nth];
        assert!(line.starts_with(first), "{line}");
        for part in parts {
            assert!(form.split('&').any(|it| it == *part), "{part} in {form}");
        }
    };
    let account = format!("metadata[account]={}", account());
    says(
        0,
        "POST /v1/checkout/sessions",
        &[
            "mode=subscription",
            "customer=cus_1",
            "line_items[0][price]=price_1",
            "line_items[0][quantity]=1",
            &account,
            "locale=fr",
            "success_url=https://app/ok",
            "expires_at=1790003600",
        ],
    );
    says(
        1,
        "POST /v1/subscriptions/sub_1",
        &[
            "items[0][id]=si_1",
            "items[0][price]=price_2",
            "proration_behavior=always_invoice",
            "payment_behavior=pending_if_incomplete",
        ],
    );
    says(2, "POST /v1/subscription_schedules", &["from_subscription=sub_1"]);
    says(
        3,
        "POST /v1/subscription_schedules/sub_sched_1",
        &[
            "phases[0][start_date]=20",
            "phases[0][end_date]=30",
            "phases[0][items][0][price]=price_1",
            "phases[1][items][0][price]=price_0",
            "phases[1][duration][interval]=month",
            "phases[1][proration_behavior]=none",
            "end_behavior=release",
        ],
    );
    let (list, _) = &forms[4];
    assert!(
        list.contains("status=all") && list.contains("data.schedule"),
        "{list}"
    );
    let keys = stub.header("idempotency-key");
    assert_eq!(keys[0], "order-1");
    // The last one asks, and has none.
    let another = keys[1..4].iter().all(|key| key.len() == 36 && *key != keys[0]);
    assert!(another, "{keys:?}");
}

#[tokio::test]
async fn an_id_that_is_none_reaches_no_other_path() {
    let stub = Stub::answering(vec![]);
    for id in [
        "../customers/cus_1",
        "cs_1/line_items",
        "cus_1",
        "",
        "cs_1?expand=x",
        "cs 1",
        "cs_1%2e",
    ] {
        let refused = stub.stripe().checkout(id).await.unwrap_err();
        assert_eq!(refused, Refusal::Missing, "{id}");
    }
    assert_eq!(stub.asked().len(), 0);
}

#[test]
fn a_key_goes_only_where_it_is_safe_and_is_never_printed() {
    let connection = |base: &str| Connection::new(Some(base), Patience::default());
    for base in [
        "https://api.stripe.com/",
        "http://127.0.0.1:4242",
        "http://localhost:1",
    ] {
        assert!(connection(base).is_ok(), "{base}");
    }
    for base in [
        "http://stripe.example",
        "https://api.stripe.com/v1",
        "ftp://x",
        "stripe",
    ] {
        assert_eq!(connection(base).unwrap_err(), BadSettings::Address, "{base}");
    }
    let here = connection("http://127.0.0.1:4242").unwrap();
    for key in ["", "pk_test_1", "sk_\n1"] {
        assert_eq!(here.with_key(key).unwrap_err(), BadSettings::Key, "{key:?}");
    }
    let stripe = here.with_key(" sk_test_1\n").unwrap();
    assert!(!format!("{stripe:?}").contains("sk_test"), "{stripe:?}");
}
