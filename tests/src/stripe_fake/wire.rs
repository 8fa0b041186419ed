//! What Stripe's client does not show: keys, versions, refusals, idempotency, pages of lists, faults.

use local::stripe::{Fault, Kind};
use reqwest::{Method, RequestBuilder, Response};
use serde_json::Value;

use super::*;

impl Fake {
    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.browser.request(method, self.stripe.base_url() + path);
        request.bearer_auth(SECRET_KEY)
    }

    async fn post(&self, path: &str, key: &str, form: &'static str) -> reqwest::Result<Response> {
        let request = self.request(Method::POST, path).header("idempotency-key", key);
        request.body(form).send().await
    }

    async fn get(&self, path: &str) -> Value {
        self.request(Method::GET, path)
            .send()
            .await
            .unwrap()
            .json()
            .await
            .unwrap()
    }

    fn customers(&self) -> usize {
        self.stripe.with(|world| world.customers().iter().count())
    }
}

#[tokio::test]
async fn only_the_right_key_and_version_are_let_in() {
    let fake = Fake::start().await;
    let path = fake.stripe.base_url() + "/v1/prices";
    let client = &fake.browser;
    let without = client.get(&path).send().await.unwrap();
    assert_eq!(without.status(), 401);
    let live = client
        .get(&path)
        .bearer_auth("sk_live_local")
        .send()
        .await
        .unwrap();
    assert_eq!(live.status(), 401);
    let old = fake
        .request(Method::GET, "/v1/prices")
        .header("stripe-version", "2020-08-27");
    assert_eq!(old.send().await.unwrap().status(), 400);
    let basic = client
        .get(&path)
        .basic_auth(SECRET_KEY, None::<&str>)
        .send()
        .await
        .unwrap();
    assert_eq!(basic.status(), 200);
    assert!(basic.headers().contains_key("request-id"));
}

#[tokio::test]
async fn what_stripe_does_not_know_is_refused_by_name() {
    let fake = Fake::start().await;
    let id = fake.subscribe(ESSENTIEL, Card::Ok);
    let subscription = format!("/v1/subscriptions/{id}");
    let cases = [
        ("/v1/customers", "mail=a", 400, "parameter_unknown", "mail"),
        ("/v1/customers", "email=a", 400, "email_invalid", "email"),
        ("/v1/customers", "metadata[a]=b&expand[]=nothing", 400, "", ""),
        (
            subscription.as_str(),
            "proration_behavior=sometimes",
            400,
            "",
            "proration_behavior",
        ),
        (
            subscription.as_str(),
            "items[0][prize]=p",
            400,
            "parameter_unknown",
            "items[0][prize]",
        ),
        (
            "/v1/subscription_schedules",
            "",
            400,
            "parameter_missing",
            "from_subscription",
        ),
        ("/v1/invoices/in_none/pay", "", 404, "resource_missing", "id"),
        ("/v1/nowhere", "", 404, "", ""),
    ];
    for (path, form, status, code, param) in cases {
        let answer = fake.request(Method::POST, path).body(form).send().await.unwrap();
        assert_eq!(answer.status(), status, "{path} {form}");
        let error = answer.json::<Value>().await.unwrap()["error"].clone();
        let field = |name: &str| error[name].as_str().unwrap_or_default().to_owned();
        assert_eq!(
            (field("code").as_str(), field("param").as_str()),
            (code, param),
            "{path} {form}"
        );
        assert_eq!(field("type"), "invalid_request_error");
    }
}

#[tokio::test]
async fn the_same_key_gives_the_same_answer_and_no_second_effect() {
    let fake = Fake::start().await;
    let before = fake.customers();
    let first = fake
        .post("/v1/customers", "k1", "name=A")
        .await
        .unwrap()
        .text()
        .await
        .unwrap();
    let again = fake.post("/v1/customers", "k1", "name=A").await.unwrap();
    assert_eq!(again.headers()["idempotent-replayed"], "true");
    assert_eq!(again.text().await.unwrap(), first);
    assert_eq!(fake.customers(), before + 1);
    let other = fake.post("/v1/customers", "k1", "name=B").await.unwrap();
    assert_eq!(other.status(), 400);
    let error = other.json::<Value>().await.unwrap();
    assert_eq!(error["error"]["type"], "idempotency_error");
}

#[tokio::test]
async fn a_lost_reply_has_its_effect_and_the_key_finds_it() {
    let fake = Fake::start().await;
    let before = fake.customers();
    for (kind, made) in [(Kind::Cut, 0), (Kind::ReplyLost, 1)] {
        fake.stripe.inject([Fault::next(kind).at("/v1/customers")]);
        let lost = fake.post("/v1/customers", "k2", "name=A").await;
        let lost = match lost {
            Ok(answer) => answer.bytes().await.map(drop),
            Err(error) => Err(error),
        };
        assert!(lost.is_err(), "{kind:?}");
        assert_eq!(fake.customers(), before + made, "{kind:?}");
    }
    assert_eq!(
        fake.post("/v1/customers", "k2", "name=A").await.unwrap().status(),
        200
    );
    assert_eq!(fake.customers(), before + 1);
}

#[tokio::test]
async fn faults_strike_as_often_and_where_they_are_told() {
    let fake = Fake::start().await;
    let faults = [
        (Kind::RateLimited, 429),
        (Kind::ServerError, 500),
        (Kind::Unavailable, 503),
        (Kind::ServerErrorAfter, 500),
    ];
    for (kind, status) in faults {
        fake.stripe
            .inject([Fault::next(kind).at("/v1/customers").times(2)]);
        assert_eq!(
            fake.request(Method::GET, "/v1/prices")
                .send()
                .await
                .unwrap()
                .status(),
            200
        );
        for expected in [status, status, 200] {
            let answer = fake.request(Method::POST, "/v1/customers").send().await.unwrap();
            assert_eq!(answer.status(), expected, "{kind:?}");
        }
    }
    let struck = fake
        .stripe
        .calls()
        .iter()
        .filter(|call| call.fault.is_some())
        .count();
    assert_eq!(struck, 8);
}

#[tokio::test]
async fn lists_come_in_pages_newest_first() {
    let fake = Fake::start().await;
    fake.subscribe(ESSENTIEL, Card::Ok);
    let all = fake.get("/v1/events?limit=100").await;
    let ids = |page: &Value| -> Vec<String> {
        page["data"]
            .as_array()
            .unwrap()
            .iter()
            .map(|it| it["id"].as_str().unwrap().to_owned())
            .collect()
    };
    let (mut walked, mut path) = (Vec::new(), "/v1/events?limit=4".to_owned());
    loop {
        let page = fake.get(&path).await;
        walked.extend(ids(&page));
        if page["has_more"] == false {
            break;
        }
        path = format!("/v1/events?limit=4&starting_after={}", walked.last().unwrap());
    }
    assert_eq!(walked, ids(&all));
    assert_eq!(all["data"][0]["type"], "checkout.session.completed");
}
