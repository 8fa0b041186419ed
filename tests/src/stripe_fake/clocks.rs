//! What a test asks of Stripe and a teacher never does: clocks, cards by name, what is sold, a first subscription
//! without a page.

use reqwest::Method;
use serde_json::Value;

use super::*;

/// A path and a form, and the status, code and parameter of the refusal.
type Refused<'a> = (&'a str, &'a str, u16, &'a str, &'a str);

impl Fake {
    async fn ask(&self, method: Method, path: &str, form: &str) -> (u16, Value) {
        let request = self
            .browser
            .request(method, self.stripe.base_url() + path)
            .bearer_auth(SECRET_KEY)
            .body(form.to_owned());
        let answer = request.send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap())
    }

    /// The answer to a call that is taken.
    async fn done(&self, path: &str, form: &str) -> Value {
        let (status, answer) = self.ask(Method::POST, path, form).await;
        assert_eq!(status, 200, "{path} {form}: {answer}");
        answer
    }

    async fn shown(&self, path: &str) -> Value {
        self.ask(Method::GET, path, "").await.1
    }

    /// Where time is what this says.
    async fn on_a_machine(clock: &Clock) -> Self {
        let settings = Settings {
            clock: clock.clone(),
            ..Settings::default()
        };
        Self {
            stripe: Stripe::start(settings).await.unwrap(),
            ..Self::start().await
        }
    }

    /// A clock that stands now, and a customer on it with a card.
    async fn on_a_clock(&self, card: &str) -> (String, String) {
        let made = self
            .done("/v1/test_helpers/test_clocks", &format!("frozen_time={START}"))
            .await;
        let clock = made["id"].as_str().unwrap().to_owned();
        let form = format!(
            "test_clock={clock}&payment_method={card}&invoice_settings[default_payment_method]={card}"
        );
        let customer = self.done("/v1/customers", &form).await;
        (clock, customer["id"].as_str().unwrap().to_owned())
    }

    async fn refuses(&self, cases: &[Refused<'_>]) {
        for (path, form, status, code, param) in cases {
            let (answered, answer) = self.ask(Method::POST, path, form).await;
            let error = &answer["error"];
            let field = |name: &str| error[name].as_str().unwrap_or_default();
            assert_eq!(
                (answered, field("code"), field("param")),
                (*status, *code, *param),
                "{path} {form}: {answer}"
            );
        }
    }
}

#[tokio::test]
async fn time_stands_on_a_clock_until_it_is_advanced_and_goes_on_when_it_is_deleted() {
    let fake = Fake::start().await;
    let (clock, customer) = fake.on_a_clock("pm_card_visa").await;
    let path = format!("/v1/test_helpers/test_clocks/{clock}");
    let form = format!("customer={customer}&items[0][price]={ESSENTIEL}");
    let subscription = fake.done("/v1/subscriptions", &form).await;
    assert_eq!(
        (&subscription["status"], &subscription["test_clock"]),
        (&"active".into(), &clock.as_str().into())
    );
    let to = START + 29 * DAY;
    let moving = fake
        .done(&format!("{path}/advance"), &format!("frozen_time={to}"))
        .await;
    assert_eq!(
        (&moving["status"], &moving["frozen_time"]),
        (&"advancing".into(), &START.into())
    );
    assert_eq!(moving["status_details"]["advancing"]["target_frozen_time"], to);
    let ready = fake.shown(&path).await;
    assert_eq!(
        (&ready["status"], &ready["frozen_time"]),
        (&"ready".into(), &to.into())
    );
    let invoices = fake.shown(&format!("/v1/invoices?customer={customer}")).await;
    let newest = &invoices["data"][0];
    assert_eq!(
        (&newest["status"], &newest["billing_reason"]),
        (&"paid".into(), &"subscription_cycle".into())
    );
    let (status, gone) = fake.ask(Method::DELETE, &path, "").await;
    assert_eq!((status, &gone["deleted"]), (200, &true.into()));
    assert_eq!(fake.ask(Method::GET, &path, "").await.0, 404);
    assert_eq!(
        fake.shown(&format!("/v1/customers/{customer}")).await["deleted"],
        true
    );
    let ended = fake
        .shown(&format!(
            "/v1/subscriptions/{}",
            subscription["id"].as_str().unwrap()
        ))
        .await;
    assert_eq!(ended["status"], "canceled");
}

#[tokio::test]
async fn the_machine_s_time_moves_nothing_while_there_is_a_clock() {
    let machine = Clock::fixed(START * 1000);
    let fake = Fake::on_a_machine(&machine).await;
    let made = fake
        .done("/v1/test_helpers/test_clocks", &format!("frozen_time={START}"))
        .await;
    let path = format!("/v1/test_helpers/test_clocks/{}", made["id"].as_str().unwrap());
    machine.advance_seconds(60);
    let now = || fake.stripe.with(|world| world.now());
    assert_eq!(now(), START);
    fake.done(
        &format!("{path}/advance"),
        &format!("frozen_time={}", START + DAY),
    )
    .await;
    machine.advance_seconds(60);
    assert_eq!(now(), START + DAY);
    fake.ask(Method::DELETE, &path, "").await;
    machine.advance_seconds(60);
    assert_eq!(now(), START + DAY + 60);
}

#[tokio::test]
async fn time_is_the_machine_s_again_after_a_clock_that_only_stood() {
    let machine = Clock::fixed(START * 1000);
    let fake = Fake::on_a_machine(&machine).await;
    let form = format!("frozen_time={START}");
    let made = fake.done("/v1/test_helpers/test_clocks", &form).await;
    machine.advance_seconds(3_600);
    assert_eq!(fake.stripe.with(|world| world.now()), START);
    let path = format!("/v1/test_helpers/test_clocks/{}", made["id"].as_str().unwrap());
    fake.ask(Method::DELETE, &path, "").await;
    assert_eq!(fake.stripe.with(|world| world.now()), START + 3_600);
}

#[tokio::test]
async fn a_clock_of_the_past_stands_at_the_present() {
    let fake = Fake::start().await;
    let made = fake.done("/v1/test_helpers/test_clocks", "frozen_time=0").await;
    assert_eq!(made["frozen_time"], START);
    assert_eq!(made["deletes_after"], START + 7 * DAY);
}

#[tokio::test]
async fn what_lives_on_a_clock_shows_only_to_who_asks_for_it() {
    let fake = Fake::start().await;
    let (clock, customer) = fake.on_a_clock("pm_card_visa").await;
    let form = format!("customer={customer}&items[0][price]={ESSENTIEL}");
    fake.done("/v1/subscriptions", &form).await;
    let elsewhere = fake.subscribe(PRO, Card::Ok);
    for (query, found) in [
        (String::new(), vec![elsewhere.as_str()]),
        (format!("?customer={customer}"), vec!["on the clock"]),
        (format!("?test_clock={clock}"), vec!["on the clock"]),
    ] {
        let listed = fake.shown(&format!("/v1/subscriptions{query}")).await;
        let listed = listed["data"].as_array().unwrap().iter();
        let ids: Vec<&str> = listed
            .map(|it| {
                let elsewhere = it["test_clock"].is_null();
                if elsewhere {
                    it["id"].as_str().unwrap()
                } else {
                    "on the clock"
                }
            })
            .collect();
        assert_eq!(ids, found, "{query}");
    }
}

#[tokio::test]
async fn a_clock_goes_ahead_and_not_too_far() {
    let fake = Fake::start().await;
    let (clock, customer) = fake.on_a_clock("pm_card_visa").await;
    let advance = format!("/v1/test_helpers/test_clocks/{clock}/advance");
    let (now, far) = (
        format!("frozen_time={START}"),
        format!("frozen_time={}", START + 800 * DAY),
    );
    let year = format!("frozen_time={}", START + 365 * DAY);
    fake.refuses(&[
        (
            "/v1/test_helpers/test_clocks",
            "",
            400,
            "parameter_missing",
            "frozen_time",
        ),
        (
            "/v1/test_helpers/test_clocks/clock_none/advance",
            &now,
            404,
            "resource_missing",
            "id",
        ),
        (&advance, "", 400, "parameter_missing", "frozen_time"),
        (&advance, &now, 400, "", "frozen_time"),
        (&advance, &far, 400, "", "frozen_time"),
        (
            "/v1/customers",
            "test_clock=clock_none",
            400,
            "resource_missing",
            "test_clock",
        ),
    ])
    .await;
    let form = format!("customer={customer}&items[0][price]={ESSENTIEL}");
    fake.done("/v1/subscriptions", &form).await;
    // Two intervals of the shortest subscription: two months.
    fake.refuses(&[(&advance, &year, 400, "", "frozen_time")]).await;
}

#[tokio::test]
async fn a_card_is_attached_and_chosen_and_behaves_as_its_name_says() {
    let fake = Fake::start().await;
    let (_, customer) = fake.on_a_clock("pm_card_chargeCustomerFail").await;
    let path = format!("/v1/customers/{customer}");
    let form = format!("customer={customer}&items[0][price]={ESSENTIEL}");
    let waiting = fake.done("/v1/subscriptions", &form).await;
    assert_eq!(waiting["status"], "incomplete");
    let strict = form.clone() + "&payment_behavior=error_if_incomplete";
    fake.refuses(&[("/v1/subscriptions", &strict, 402, "card_declined", "")])
        .await;
    let attach = format!("customer={customer}");
    let attached = fake
        .done("/v1/payment_methods/pm_card_visa/attach", &attach)
        .await;
    let method = attached["id"].as_str().unwrap();
    assert_eq!(
        (&attached["type"], &attached["customer"]),
        (&"card".into(), &customer.as_str().into())
    );
    let chosen = fake
        .done(
            &path,
            &format!("invoice_settings[default_payment_method]={method}"),
        )
        .await;
    assert_eq!(chosen["invoice_settings"]["default_payment_method"], method);
    assert_eq!(fake.done("/v1/subscriptions", &strict).await["status"], "active");
    let invoice = waiting["latest_invoice"].as_str().unwrap();
    assert_eq!(
        fake.done(&format!("/v1/invoices/{invoice}/pay"), "").await["status"],
        "paid"
    );
    let other = format!("customer={}", fake.customer);
    let default = "invoice_settings[default_payment_method]";
    fake.refuses(&[
        (
            "/v1/payment_methods/pm_none/attach",
            &attach,
            404,
            "resource_missing",
            "id",
        ),
        (
            "/v1/payment_methods/pm_card_visa/attach",
            "",
            400,
            "parameter_missing",
            "customer",
        ),
        (
            "/v1/payment_methods/pm_card_visa/attach",
            "customer=cus_none",
            400,
            "resource_missing",
            "customer",
        ),
        (
            "/v1/payment_methods/pm_card_chargeDeclined/attach",
            &attach,
            402,
            "card_declined",
            "",
        ),
        (
            &format!("/v1/payment_methods/{method}/attach"),
            &other,
            400,
            "",
            "",
        ),
        (
            &path,
            &format!("{default}=pm_card_visa"),
            400,
            "resource_missing",
            default,
        ),
        (
            "/v1/customers",
            &format!("{default}=pm_card_visa"),
            400,
            "resource_missing",
            default,
        ),
    ])
    .await;
}

#[tokio::test]
async fn a_first_subscription_needs_a_customer_a_price_and_a_card() {
    let fake = Fake::start().await;
    let customer = format!("customer={}", fake.customer);
    let priced = format!("{customer}&items[0][price]={ESSENTIEL}");
    fake.refuses(&[
        ("/v1/subscriptions", "", 400, "parameter_missing", "customer"),
        ("/v1/subscriptions", &customer, 400, "parameter_missing", "items"),
        (
            "/v1/subscriptions",
            "customer=cus_none&items[0][price]=p",
            400,
            "resource_missing",
            "customer",
        ),
        ("/v1/subscriptions", &priced, 400, "resource_missing", ""),
        (
            "/v1/subscriptions",
            &format!("{priced}&payment_behavior=pending_if_incomplete"),
            400,
            "",
            "payment_behavior",
        ),
    ])
    .await;
    let later = format!("{priced}&payment_behavior=default_incomplete&metadata[account]=019a");
    let waiting = fake.done("/v1/subscriptions", &later).await;
    assert_eq!(
        (&waiting["status"], &waiting["metadata"]["account"]),
        (&"incomplete".into(), &"019a".into())
    );
}

#[tokio::test]
async fn what_is_sold_is_made_once_and_found_by_its_key() {
    let fake = Fake::start().await;
    let product = fake.done("/v1/products", "id=of_ours&name=Essai").await;
    assert_eq!(
        (&product["id"], &product["active"]),
        (&"of_ours".into(), &true.into())
    );
    let form = "product=of_ours&currency=eur&unit_amount=1200&recurring[interval]=month&lookup_key=k";
    let price = fake.done("/v1/prices", form).await;
    let again = form.to_owned() + "&transfer_lookup_key=true";
    fake.refuses(&[
        (
            "/v1/products",
            "id=of_ours&name=Essai",
            400,
            "resource_already_exists",
            "",
        ),
        ("/v1/products", "", 400, "parameter_missing", "name"),
        ("/v1/prices", "", 400, "parameter_missing", "currency"),
        ("/v1/prices", "currency=eur", 400, "parameter_missing", "product"),
        (
            "/v1/prices",
            "currency=eur&product=prod_none&unit_amount=1&recurring[interval]=month",
            400,
            "resource_missing",
            "product",
        ),
        ("/v1/prices", form, 400, "", "lookup_key"),
    ])
    .await;
    let found = fake.shown("/v1/prices?lookup_keys[0]=k&active=true").await;
    assert_eq!(found["data"], Value::from(vec![price]));
    let newer = fake.done("/v1/prices", &again).await;
    let found = fake.shown("/v1/prices?lookup_keys[0]=k").await;
    assert_eq!(found["data"], Value::from(vec![newer]));
}

#[tokio::test]
async fn no_portal_opens_until_its_settings_are_saved() {
    let fake = Fake::start().await;
    let form = format!("customer={}", fake.customer);
    let configured = "/v1/billing_portal/configurations?is_default=true&active=true";
    assert_eq!(fake.shown(configured).await["data"][0]["is_default"], true);
    fake.stripe.with(|world| world.account.portal_saved = false);
    assert_eq!(
        fake.shown(configured).await["data"],
        Value::from(Vec::<Value>::new())
    );
    fake.refuses(&[("/v1/billing_portal/sessions", &form, 400, "", "")])
        .await;
}
