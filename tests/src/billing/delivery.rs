//! However messages come, the account is what Stripe says.

use local::stripe::customer::Card;
use local::stripe::{Fault, Kind};
use shared::domain::Language;
use shared::domain::billing::{About, Cause, Message};
use shared::domain::catalogue::{Catalogue, Interval};
use shared::domain::failure::Failure;
use shared::domain::ids::AccountId;
use shared::domain::quota::Tier;

use super::acts::Act;
use super::world::{DAY, World};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_is_looked_at_once_and_a_sync_whenever_it_is_asked() {
    let mut world = World::new().await;
    world.buy(Tier::Pro, Card::Ok).await;
    let hints = world.hints();
    world.tell(&hints).await;
    let calls = world.fake.calls().len();
    world.tell(&hints).await;
    assert_eq!(world.fake.calls().len(), calls, "their effect is written");
    world.tell(&[world.sync(Cause::Asked)]).await;
    assert!(world.fake.calls().len() > calls);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_message_that_fails_its_group_waits_and_others_go_on() {
    let world = World::new().await;
    world.buy(Tier::Pro, Card::Ok).await;
    let about = |customer: &str, id: &str| Message::Event {
        id: id.to_owned(),
        kind: "invoice.paid".to_owned(),
        about: About::Customer(customer.to_owned()),
    };
    let mine = world.customer.clone();
    let others = about("cus_of_nobody", "evt_other");
    // The one call that the first group makes fails as often as it is tried.
    world
        .fake
        .inject([Fault::next(Kind::Unavailable).at("/v1/subscriptions").times(3)]);
    let batch = [
        about(&mine, "evt_1"),
        others,
        about(&mine, "evt_2"),
        about(&mine, "evt_3"),
    ];
    let failed = world.handle(&batch).await.batch_item_failures;
    let places: Vec<&str> = failed.iter().map(|it| it.item_identifier.as_str()).collect();
    assert_eq!(places, ["0", "2", "3"]);
    world.tell(&batch).await;
    assert_eq!(world.may_use().await, (Tier::Pro, 6_000_000));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_price_that_is_not_ours_stops_its_own_account_as_it_was() {
    let mut world = World::new().await;
    world.buy(Tier::Pro, Card::Ok).await;
    world.hear().await;
    let before = world.billing().await.subscription;
    let sync = world.sync(Cause::Asked);
    let other = serde_json::to_string(&Catalogue::default())
        .unwrap()
        .replace("_pro_", "_gold_");
    let ours = std::mem::replace(&mut world.doors.catalogue, serde_json::from_str(&other).unwrap());
    let failed = world
        .handle(std::slice::from_ref(&sync))
        .await
        .batch_item_failures;
    assert_eq!(failed.len(), 1);
    assert_eq!(world.billing().await.subscription, before);
    assert_eq!(world.measured("BillingAlerts"), ["unknown-price"]);
    world.doors.catalogue = ours;
    world.tell(&[sync]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_else_is_paid_holds_in_the_sync_that_ends_what_was_given_back() {
    let mut world = World::new().await;
    world.buy(Tier::Essentiel, Card::Ok).await;
    world.buy(Tier::Pro, Card::Ok).await;
    world.hear().await;
    assert_eq!(world.may_use().await.0, Tier::Pro);
    world.act(Act::Refund).await;
    world.tell(&[world.sync(Cause::Asked)]).await;
    let left = world.billing().await.subscription.unwrap();
    assert_eq!(
        (left.tier, left.paid, left.frozen),
        (Tier::Essentiel, true, false)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_bought_at_a_price_that_was_raised_since_keeps_the_tier_and_renews_it() {
    let mut world = World::new().await;
    world.buy(Tier::Pro, Card::Ok).await;
    world.hear().await;
    let mut raised = serde_json::to_value(&world.doors.catalogue).unwrap();
    let month = &mut raised["pro"]["month"];
    let old = month["id"].clone();
    *month = serde_json::json!({ "id": "price_dearer", "amount_cents": 4_500, "former": [old] });
    world.doors.catalogue = serde_json::from_value(raised).unwrap();
    world.pass(32 * DAY);
    world.hear().await;
    assert_eq!(world.may_use().await, (Tier::Pro, 6_000_000));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_customer_of_an_account_is_adopted_with_what_it_paid() {
    let mut world = World::new().await;
    world.pass(2 * DAY);
    // Another key than the first time: the race that the key cannot prevent a day later.
    let account = world.account.to_string();
    let second = world.fake.with(|stripe| {
        let details = local::stripe::customer::Details {
            metadata: [("account".to_owned(), account)].into(),
            ..Default::default()
        };
        stripe.create_customer(details).unwrap().id.clone()
    });
    world.buy_as(&second, Tier::Essentiel, Card::Ok).await;
    world.hear().await;
    assert_eq!(world.may_use().await, (Tier::Essentiel, 1_200_000));
    let billing = world.billing().await;
    assert_eq!(billing.customer.as_deref(), Some(world.customer.as_str()));
    assert_eq!(billing.others, [second]);
    let alerts = world.measured("BillingAlerts");
    assert!(
        !alerts.is_empty() && alerts.iter().all(|it| it == "second-customer"),
        "{alerts:?}"
    );
    world.buy(Tier::Pro, Card::Ok).await;
    world.hear().await;
    assert_eq!(world.may_use().await.0, Tier::Pro, "the best of both counts");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_account_takes_a_few_customers_more_and_refuses_those_beyond() {
    let world = World::new().await;
    let (store, account) = (&world.doors.store, world.account);
    for number in 1..=4 {
        let another = format!("cus_{number}");
        for _ in ["adopted", "and asked again"] {
            store.adopt_customer(account, &another).await.unwrap();
        }
    }
    let refused = store.adopt_customer(account, "cus_5").await;
    assert!(matches!(refused, Err(Failure::Internal(_))), "{refused:?}");
    assert_eq!(store.account_of("cus_5").await, Ok(None));
    let others = world.billing().await.others;
    assert_eq!(others, ["cus_1", "cus_2", "cus_3", "cus_4"]);

    // Nobody takes a customer that is another account's, or has others without one of its own.
    let stranger = AccountId::mint(world.now());
    for theirs in ["cus_1", "cus_6"] {
        let refused = store.adopt_customer(stranger, theirs).await;
        assert!(matches!(refused, Err(Failure::Internal(_))), "{refused:?}");
    }
    assert_eq!(store.account_of("cus_1").await, Ok(Some(account)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_customer_of_nobody_ends_without_effect() {
    let world = World::new().await;
    let stranger = world.fake.with(|stripe| {
        let details = local::stripe::customer::Details::default();
        stripe.create_customer(details).unwrap().id.clone()
    });
    for about in [
        About::Customer(stranger),
        About::Customer("cus_unknown".to_owned()),
        About::Charge("ch_unknown".to_owned()),
    ] {
        let event = Message::Event {
            id: "evt_1".to_owned(),
            kind: "invoice.paid".to_owned(),
            about,
        };
        world.tell(&[event]).await;
    }
    assert_eq!(
        world.measured("UnknownCustomer"),
        ["customer", "customer", "charge"]
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reply_that_is_lost_at_stripe_makes_nothing_twice() {
    let world = World::new().await;
    world
        .fake
        .inject([Fault::next(Kind::ReplyLost).at("/v1/customers").times(1)]);
    let account = AccountId::mint(world.now());
    let made = world
        .stripe
        .create_customer(account, Language::Fr, "first")
        .await
        .unwrap();
    let customers = world.fake.with(|stripe| stripe.customers().iter().count());
    assert_eq!(customers, 2, "the world's and {made}");
    let price = world.doors.catalogue.price(Tier::Max, Interval::Year).unwrap();
    assert!(world.stripe.price(&price.id).await.unwrap().is_some());
    assert_eq!(
        shared::billing::mismatches(&world.stripe, &world.doors.catalogue).await,
        Ok(vec![])
    );
}
