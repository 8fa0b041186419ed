//! Buying and changing, through the function's own doors.

use futures::future::join;
use local::stripe::checkout::SessionStatus;
use local::stripe::customer::Card;
use local::stripe::{Fault, Kind};
use serde_json::{Value, json};
use shared::domain::billing::{Cause, Message, Whose};
use shared::domain::ids::AccountId;

use super::buyer::{Buyer, problem, refusal};
use super::world::DAY;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_comes_back_from_paying_is_not_blocked_any_more() {
    let buyer = Buyer::bought("essentiel").await;
    let (_, standing) = buyer.get("return").await;
    assert_eq!(standing["payment_state"], "paid");
    assert_eq!(
        (&standing["limit"], &standing["remaining"]),
        (&json!(1_200_000), &json!(1_200_000))
    );
    assert_eq!(standing["has_monthly_reset"], true);
    let (_, invoices) = buyer.get("invoices").await;
    let paid = &invoices["items"][0];
    assert_eq!(
        (&paid["status"], &paid["total_cents"]),
        (&json!("paid"), &json!(1_200))
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_clicks_are_one_checkout_and_another_tier_closes_the_first() {
    let buyer = Buyer::new().await;
    let (one, two) = join(buyer.begin("pro"), buyer.begin("pro")).await;
    assert_eq!(one, two);
    assert_eq!(buyer.begin("pro").await, one);
    let other = buyer.begin("max").await;
    assert_ne!(other, one);
    let refused = buyer
        .world
        .fake
        .with(|stripe| stripe.pay(&one, Card::Ok).is_err());
    assert!(refused, "the first page can no longer be paid");
    buyer.pay(&other, Card::Ok);
    assert_eq!(
        refusal(buyer.get("checkout/pro").await),
        problem(409, "already-subscribed")
    );
    assert_eq!(buyer.world.may_use().await.1, 24_000_000);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_checkout_that_ends_soon_is_closed_before_another_is_opened() {
    let buyer = Buyer::new().await;
    let first = buyer.begin("pro").await;
    let ends = buyer.world.billing().await.checkout.unwrap().expires_at;
    let left = (ends.get() - buyer.world.now().get()) / 1_000;
    buyer.world.pass(left - 60);
    let second = buyer.begin("pro").await;
    assert_ne!(first, second);
    let refused = buyer
        .world
        .fake
        .with(|stripe| stripe.pay(&first, Card::Ok).is_err());
    assert!(refused, "only one page can be paid");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upgrade_holds_at_once_and_a_downgrade_can_be_taken_back() {
    let buyer = Buyer::bought("essentiel").await;
    let (status, standing) = buyer.change("pro").await;
    assert_eq!(
        (status, &standing["tier"], &standing["limit"]),
        (200, &json!("pro"), &json!(6_000_000))
    );
    let (_, standing) = buyer.change("essentiel").await;
    assert_eq!(
        (&standing["tier"], &standing["pending_change"]["tier"]),
        (&json!("pro"), &json!("essentiel"))
    );
    let (_, standing) = buyer.ask("POST", "keep", &json!({})).await;
    assert_eq!(standing["pending_change"], Value::Null);
    let (_, standing) = buyer.change("free").await;
    assert_eq!(
        (&standing["tier"], &standing["pending_change"]["tier"]),
        (&json!("pro"), &json!("free"))
    );
    let (_, standing) = buyer.change("max").await;
    assert_eq!(
        (&standing["tier"], &standing["pending_change"]),
        (&json!("max"), &Value::Null)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_customer_who_was_deleted_at_stripe_can_buy_again() {
    let buyer = Buyer::bought("pro").await;
    let gone = buyer.world.billing().await.customer.unwrap();
    buyer
        .world
        .fake
        .with(|stripe| stripe.delete_customer(&gone))
        .unwrap();
    let (status, standing) = buyer.get("return").await;
    assert_eq!((status, &standing["tier"]), (200, &json!("free")), "{standing}");
    assert_eq!(
        refusal(buyer.ask("POST", "portal", &json!({})).await),
        problem(409, "not-subscribed")
    );
    assert_eq!(buyer.get("invoices").await.0, 200);

    let (one, two) = join(buyer.begin("essentiel"), buyer.begin("essentiel")).await;
    assert_eq!(one, two);
    assert_ne!(buyer.world.billing().await.customer.unwrap(), gone);
    buyer.pay(&one, Card::Ok);
    // Late news of the deleted one is still this account's, and takes nothing away.
    let late = Message::Sync {
        whose: Whose::Customer(gone),
        cause: Cause::Reconcile,
        at: buyer.world.now(),
    };
    buyer.world.tell(&[late]).await;
    let (_, standing) = buyer.get("return").await;
    assert_eq!(standing["tier"], "essentiel", "{standing}");
    let (_, invoices) = buyer.get("invoices").await;
    assert_eq!(invoices["items"][0]["total_cents"], 1_200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upgrade_that_the_bank_refuses_changes_nothing() {
    let buyer = Buyer::bought("essentiel").await;
    let customer = buyer.world.customer.clone();
    buyer
        .world
        .fake
        .with(|stripe| stripe.set_card(&customer, Card::Declined))
        .unwrap();
    let (status, answer) = buyer.change("pro").await;
    let unchanged = match status {
        200 => (&answer["tier"], &answer["limit"]) == (&json!("essentiel"), &json!(1_200_000)),
        _ => refusal((status, answer)) == problem(409, "payment-declined"),
    };
    assert!(unchanged);
    assert_eq!(buyer.world.may_use().await.1, 1_200_000);
    assert_eq!(refusal(buyer.change("max").await), problem(409, "payment-due"));

    // Stripe gives such a change up within a day; with another card it is made, and no answer of before stands in its way.
    buyer.world.pass(DAY);
    buyer
        .world
        .fake
        .with(|stripe| stripe.set_card(&customer, Card::Ok))
        .unwrap();
    let (status, standing) = buyer.change("pro").await;
    assert_eq!((status, &standing["tier"]), (200, &json!("pro")), "{standing}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_to_leave_still_is_when_the_card_for_an_upgrade_is_declined() {
    let buyer = Buyer::bought("pro").await;
    let (_, standing) = buyer.change("free").await;
    let announced = standing["pending_change"].clone();
    assert_eq!(announced["tier"], "free", "{standing}");
    let customer = buyer.world.customer.clone();
    let with = |card| buyer.world.fake.with(|stripe| stripe.set_card(&customer, card));
    with(Card::Declined).unwrap();
    buyer.change("max").await;
    buyer.world.pass(DAY);
    let (_, standing) = buyer.get("return").await;
    assert_eq!(
        (&standing["tier"], &standing["pending_change"]),
        (&json!("pro"), &announced),
        "{standing}"
    );
    with(Card::Ok).unwrap();
    let (_, standing) = buyer.change("max").await;
    assert_eq!(
        (&standing["tier"], &standing["pending_change"]),
        (&json!("max"), &Value::Null),
        "{standing}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_tiers_begun_at_once_leave_one_page_that_can_be_paid() {
    for _ in 0..5 {
        let buyer = Buyer::new().await;
        join(buyer.get("checkout/pro"), buyer.get("checkout/max")).await;
        let open = buyer.world.fake.with(|stripe| {
            let sessions = stripe.sessions().iter();
            sessions
                .filter(|session| session.status == SessionStatus::Open)
                .count()
        });
        assert_eq!(open, 1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_stripe_failed_to_give_once_does_not_stand_for_a_day() {
    let buyer = Buyer::new().await;
    let failing = |path| Fault::next(Kind::ServerErrorAfter).at(path).times(1);
    buyer.world.fake.inject([failing("/v1/checkout/sessions")]);
    let (status, _) = buyer.get("checkout/pro").await;
    assert_eq!(status, 503);
    buyer.world.pass(60);
    buyer.begin("pro").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_changed_while_money_is_disputed() {
    let buyer = Buyer::bought("essentiel").await;
    let dispute = |stripe: &mut local::stripe::world::World| {
        let charge = stripe.charges().iter().next_back().unwrap().id.clone();
        stripe.open_dispute(&charge).map(drop)
    };
    buyer.world.fake.with(dispute).unwrap();
    assert_eq!(refusal(buyer.change("pro").await), problem(409, "account-frozen"));
    // But to leave.
    let (status, standing) = buyer.change("free").await;
    assert_eq!(
        (status, &standing["pending_change"]["tier"]),
        (200, &json!("free")),
        "{standing}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_comes_in_without_a_session() {
    let buyer = Buyer::new().await;
    for (method, path) in [
        ("GET", "checkout/pro"),
        ("GET", "return"),
        ("POST", "change"),
        ("POST", "keep"),
        ("POST", "portal"),
        ("GET", "invoices"),
    ] {
        for (bearer, code) in [(None, "session-missing"), (Some("forged"), "session-invalid")] {
            let answer = buyer
                .ask_as(bearer, method, path, &json!({ "tier": "pro" }))
                .await;
            assert_eq!(refusal(answer), problem(401, code), "{method} {path}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_bought_or_changed_is_a_clear_problem() {
    let buyer = Buyer::new().await;
    assert_eq!(
        refusal(buyer.get("checkout/gold").await),
        problem(422, "unknown-tier")
    );
    assert_eq!(
        refusal(buyer.get("checkout/free").await),
        problem(422, "unknown-tier")
    );
    assert_eq!(
        refusal(buyer.get("checkout/pro?interval=day").await),
        problem(400, "malformed-body")
    );
    assert_eq!(refusal(buyer.change("pro").await), problem(409, "not-subscribed"));
    for no_session in ["cs_nobody", "cs_1%2Fline_items", ""] {
        assert_eq!(
            refusal(buyer.get(&format!("return?session_id={no_session}")).await),
            problem(404, "not-found"),
            "{no_session}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_comes_back_from_what_another_account_pays() {
    let buyer = Buyer::new().await;
    let session = buyer.begin("pro").await;
    let path = format!("return?session_id={session}");
    let now = buyer.world.now();
    let stranger = buyer.shop.keys.token(AccountId::mint(now), now.get());
    let nosy = async || refusal(buyer.ask_as(Some(&stranger), "GET", &path, &json!({})).await);
    assert_eq!(nosy().await, problem(404, "not-found"));
    buyer.pay(&session, Card::Ok);
    assert_eq!(nosy().await, problem(404, "not-found"));
    let (status, standing) = buyer.get(&path).await;
    assert_eq!((status, &standing["tier"]), (200, &json!("pro")), "{standing}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_changed_while_an_invoice_is_unpaid_or_stripe_is_away() {
    let buyer = Buyer::new().await;
    let session = buyer.begin("essentiel").await;
    buyer.pay(&session, Card::DeclinedLater);
    buyer.world.pass(32 * DAY);
    let (_, standing) = buyer.get("return").await;
    assert_eq!(
        (&standing["tier"], &standing["payment_state"]),
        (&json!("essentiel"), &json!("past-due"))
    );
    assert_eq!(refusal(buyer.change("pro").await), problem(409, "payment-due"));
    buyer
        .world
        .fake
        .inject([Fault::next(Kind::Unavailable).at("/v1/subscriptions").times(3)]);
    assert_eq!(refusal(buyer.get("return").await), problem(503, "unavailable"));
}
