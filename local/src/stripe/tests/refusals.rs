//! What Stripe refuses.

use super::super::change::{PaymentBehavior, Proration, Update};
use super::super::refusal::Refusal;
use super::super::subscription::Cancel;
use super::super::world::Metadata;
use super::*;

type Tried = Result<(), Refusal>;
/// What is done, whether it must be refused, and the status and code of the refusal.
type Case = (
    &'static str,
    fn(&mut Scene, &str) -> Tried,
    u16,
    Option<&'static str>,
);

fn change(scene: &mut Scene, subscription: &str, update: Update) -> Tried {
    let item = update
        .price
        .as_ref()
        .map(|_| scene.subscription(subscription).item.clone());
    let update = Update { item, ..update };
    scene.world.update_subscription(subscription, &update).map(drop)
}

fn open_page(scene: &mut Scene, price: &str) -> Tried {
    let asked = NewSession {
        customer: Some(scene.customer.clone()),
        price: price.to_owned(),
        success_url: Some("http://app/".to_owned()),
        ..NewSession::default()
    };
    scene.world.create_checkout(asked).map(drop)
}

fn cancel(scene: &mut Scene, subscription: &str) -> Tried {
    scene
        .world
        .cancel_subscription(subscription, Cancel::default())
        .map(drop)
}

fn end_with_period() -> Update {
    Update {
        cancel_at_period_end: Some(true),
        ..Update::default()
    }
}

fn price(price: &str) -> Update {
    Update {
        price: Some(price.to_owned()),
        ..Update::default()
    }
}

const CASES: [Case; 16] = [
    (
        "an unknown price",
        |scene, _| open_page(scene, "price_none"),
        400,
        Some("resource_missing"),
    ),
    (
        "an inactive price",
        |scene, _| {
            scene
                .world
                .account
                .catalogue
                .prices
                .iter_mut()
                .for_each(|price| price.active = false);
            open_page(scene, PRO)
        },
        400,
        None,
    ),
    (
        "a page for a deleted customer",
        |scene, _| {
            let customer = scene.customer.clone();
            scene.world.delete_customer(&customer)?;
            open_page(scene, PRO)
        },
        400,
        Some("resource_missing"),
    ),
    (
        "a customer deleted twice",
        |scene, _| {
            let customer = scene.customer.clone();
            scene.world.delete_customer(&customer)?;
            scene.world.delete_customer(&customer)
        },
        404,
        Some("resource_missing"),
    ),
    (
        "the portal of nobody",
        |scene, _| scene.world.create_portal("cus_none", None).map(drop),
        400,
        Some("resource_missing"),
    ),
    (
        "the end of what has ended",
        |scene, subscription| {
            cancel(scene, subscription)?;
            cancel(scene, subscription)
        },
        404,
        Some("resource_missing"),
    ),
    (
        "a change of what has ended",
        |scene, subscription| {
            cancel(scene, subscription)?;
            change(scene, subscription, price(PRO))
        },
        400,
        None,
    ),
    (
        "a second schedule",
        |scene, subscription| {
            scene.world.create_schedule(subscription)?;
            scene.world.create_schedule(subscription).map(drop)
        },
        400,
        None,
    ),
    (
        "the end with the period of what a schedule manages",
        |scene, subscription| {
            scene.world.create_schedule(subscription)?;
            change(scene, subscription, end_with_period())
        },
        400,
        None,
    ),
    (
        "a released schedule, released",
        |scene, subscription| {
            let schedule = scene.world.create_schedule(subscription)?.id.clone();
            scene.world.release_schedule(&schedule)?;
            scene.world.release_schedule(&schedule).map(drop)
        },
        400,
        None,
    ),
    (
        "metadata with a pending update",
        |scene, subscription| {
            let update = Update {
                payment: PaymentBehavior::PendingIfIncomplete,
                metadata: Some(Metadata::new()),
                ..price(PRO)
            };
            change(scene, subscription, update)
        },
        400,
        None,
    ),
    (
        "a payment that must not fail",
        |scene, subscription| {
            let customer = scene.customer.clone();
            scene.world.set_card(&customer, Card::Declined)?;
            let update = Update {
                payment: PaymentBehavior::ErrorIfIncomplete,
                proration: Proration::AlwaysInvoice,
                ..price(PRO)
            };
            change(scene, subscription, update)
        },
        402,
        Some("card_declined"),
    ),
    (
        "a void invoice, paid",
        |scene, subscription| {
            scene.world.set_card(&scene.customer, Card::Declined)?;
            scene.world.advance(32 * DAY);
            let invoice = scene.latest(subscription).id.clone();
            scene.world.void_invoice(&invoice).unwrap();
            scene
                .world
                .pay_invoice(&invoice, super::super::customer::By::Customer)
                .map(drop)
        },
        400,
        None,
    ),
    (
        "an invoice whose page is open, void",
        |scene, _| {
            let session = scene.session(ESSENTIEL);
            scene.world.pay(&session, Card::Declined)?;
            let invoice = scene.world.invoices().iter().next_back().unwrap().id.clone();
            scene.world.void_invoice(&invoice).map(drop)
        },
        400,
        None,
    ),
    (
        "a paid invoice, void",
        |scene, _| {
            let invoice = scene.world.invoices().iter().next().unwrap().id.clone();
            scene.world.void_invoice(&invoice).map(drop)
        },
        400,
        None,
    ),
    (
        "metadata that is too long",
        |scene, subscription| {
            let metadata = Metadata::from([("note".to_owned(), "é".repeat(501))]);
            let update = Update {
                metadata: Some(metadata),
                ..Update::default()
            };
            change(scene, subscription, update)
        },
        400,
        Some("parameter_invalid_string"),
    ),
];

#[test]
fn what_stripe_refuses_is_refused() {
    for (what, act, status, code) in CASES {
        let mut scene = Scene::new();
        let subscription = scene.subscribe(ESSENTIEL, Card::Ok);
        let refused = act(&mut scene, &subscription).expect_err(what);
        assert_eq!(
            (refused.status, refused.code),
            (status, code),
            "{what}: {refused:?}"
        );
    }
}
