//! Letters, from what happens at Stripe to what SES takes.

use futures::future::{Either, join, select};
use local::mail::{Captured, captured, verify};
use local::stripe::customer::{Card, Details};
use shared::domain::billing::Cause;
use shared::domain::catalogue::Catalogue;
use shared::domain::quota::Tier;
use shared::store::Clients;
use sweeper::{Doors, Post, Swept, sweep};

use super::world::{DAY, World};
use crate::emulators::Emulator;
use crate::faulty::{Fault, Faulty, Kind, Script, connections};

const ORIGIN: &str = "https://app.example";
const HOUR: i64 = 3_600;
/// A letter that was taken and not sent comes again within this.
const RETRY: i64 = 301;

/// The emulator's SES, or one that does what the test says with the one letter of a sweep.
fn mail(fault: Option<Fault>) -> Faulty {
    let script = |fault| Script {
        kind: Kind::Write,
        place: 0,
        fault,
        stubborn: true,
    };
    Faulty::new(&connections(), fault.map(script))
}

fn doors(world: &World, from: &str, mail: &Faulty) -> Doors {
    Doors {
        store: world.doors.store.clone(),
        queue: Clients::on(world.config.clone()).queue("http://queue.test/work"),
        post: Some(Post {
            mail: Clients::on(mail.config(&world.config))
                .mail(from, Some("aide@corrigeuse.example".to_owned())),
            catalogue: Catalogue::default(),
            web_origin: ORIGIN.to_owned(),
        }),
        clock: world.doors.clock.clone(),
    }
}

/// One sweep, in which no step fails.
async fn swept(world: &World, fault: Option<Fault>) -> Swept {
    let swept = sweep(&doors(world, local::mail::FROM, &mail(fault))).await;
    assert_eq!(swept.failures, 0, "{swept:?}");
    swept
}

/// Sent, lost, waiting for an address, late.
fn letters(swept: Swept) -> [u64; 4] {
    [
        swept.letters_sent,
        swept.letters_lost,
        swept.letters_unaddressed,
        swept.letters_late,
    ]
}

fn address(world: &World) -> String {
    format!("{}@exemple.fr", world.account)
}

fn tell_stripe(world: &World, email: &str, locale: &str) {
    let details = Details {
        email: Some(email.to_owned()),
        preferred_locales: vec![locale.to_owned()],
        ..Details::default()
    };
    world
        .fake
        .with(|stripe| stripe.update_customer(&world.customer, &details).map(drop))
        .unwrap();
}

/// An account whose owner can be written to.
async fn world(locale: &str) -> World {
    let world = World::new().await;
    verify(Emulator::Ministack.endpoint()).await.unwrap();
    tell_stripe(&world, &address(&world), locale);
    world
}

/// The same, with one letter due.
async fn with_a_letter() -> World {
    let mut world = world("fr").await;
    world.buy(Tier::Pro, Card::Ok).await;
    world.hear().await;
    world
}

/// What came for this account, oldest first.
async fn mailbox(world: &World) -> Vec<Captured> {
    let mut all = captured(Emulator::Ministack.endpoint()).await.unwrap();
    all.retain(|letter| letter.to == [address(world)]);
    all
}

/// The newest letter says `words` in both parts.
async fn last_says(world: &World, subject: &str, words: &[&str]) {
    let letters = mailbox(world).await;
    let letter = letters.last().expect("a letter");
    let html = letter.body_html.as_deref().expect("an HTML part");
    assert_eq!(letter.subject, subject);
    assert_eq!(letter.source, format!("La Corrigeuse <{}>", local::mail::FROM));
    for word in words {
        assert!(letter.body_text.contains(word), "{word}: {}", letter.body_text);
        assert!(html.contains(word), "{word}: {html}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_teacher_hears_of_a_new_tier_and_of_its_end_in_their_language() {
    for (locale, raised, tokens, ending, kept) in [
        (
            "fr",
            "Votre formule est maintenant Pro",
            "6\u{202f}000\u{202f}000 jetons par mois",
            "Votre formule Pro s’arrête le 21 octobre 2026",
            "vos corrections resteront où ils sont",
        ),
        (
            "en-GB",
            "Your plan is now Pro",
            "6,000,000 tokens a month",
            "Your Pro plan ends on 21 October 2026",
            "marks stay where they are",
        ),
    ] {
        let mut world = world(locale).await;
        world.buy(Tier::Pro, Card::Ok).await;
        world.hear().await;
        assert_eq!(letters(swept(&world, None).await), [1, 0, 0, 0]);
        last_says(&world, raised, &[tokens, ORIGIN]).await;

        let id = world.theirs().id.clone();
        world.stripe.cancel_at_period_end(&id, true).await.unwrap();
        world.pass(25 * DAY);
        world.tell(&[world.sync(Cause::Asked)]).await;
        assert_eq!(letters(swept(&world, None).await), [1, 0, 0, 0]);
        last_says(&world, ending, &[kept, ORIGIN]).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_teacher_whose_payment_failed_is_led_to_the_page_that_takes_it() {
    for (locale, subject, slice) in [
        (
            "fr",
            "Le paiement de votre formule Essentiel n’est pas passé",
            "60\u{202f}000 jetons",
        ),
        (
            "en",
            "The payment for your Essentiel plan did not go through",
            "60,000 tokens",
        ),
    ] {
        let mut world = world(locale).await;
        world.buy(Tier::Essentiel, Card::DeclinedLater).await;
        world.hear().await;
        swept(&world, None).await;
        for _ in 0..4 {
            world.pass(8 * DAY);
            world.hear().await;
        }
        assert_eq!(letters(swept(&world, None).await), [1, 0, 0, 0]);
        let page = world.billing().await.subscription.unwrap().pay_page.unwrap();
        last_says(&world, subject, &[slice, &page]).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_paid_before_its_letter_leaves_is_not_asked_for() {
    let mut world = world("fr").await;
    world.buy(Tier::Essentiel, Card::DeclinedLater).await;
    world.hear().await;
    swept(&world, None).await;
    for _ in 0..4 {
        world.pass(8 * DAY);
        world.hear().await;
    }
    assert_eq!(world.letters().await, ["payment-failed"]);
    let (customer, subscription) = (world.customer.clone(), world.theirs().id.clone());
    world.fake.with(|stripe| {
        stripe.set_card(&customer, Card::Ok).unwrap();
        stripe.portal_pay(&subscription).map(drop).unwrap();
    });
    world.hear().await;
    assert_eq!(letters(swept(&world, None).await), [0, 0, 0, 0]);
    assert_eq!(mailbox(&world).await.len(), 1, "the first, of the new tier");
    world.pass(DAY);
    assert!(world.letters().await.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_letter_is_sent_once_by_two_sweeps_at_once_and_by_all_that_follow() {
    let world = with_a_letter().await;
    let (one, other) = join(swept(&world, None), swept(&world, None)).await;
    assert_eq!(one.letters_sent + other.letters_sent, 1);
    for _ in 0..3 {
        world.pass(HOUR);
        assert_eq!(letters(swept(&world, None).await), [0, 0, 0, 0]);
    }
    world.tell(&[world.sync(Cause::Asked)]).await;
    assert_eq!(letters(swept(&world, None).await), [0, 0, 0, 0]);
    assert_eq!(mailbox(&world).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_who_saw_a_letter_wait_one_takes_it() {
    let world = with_a_letter().await;
    let (store, now) = (&world.doors.store, world.now());
    let seen = store.due_letters(now, 1).await.unwrap().remove(0);
    assert_eq!(store.take_letter(&seen, now).await, Ok(true));
    assert_eq!(store.take_letter(&seen, now).await, Ok(false));
}

/// Whether a letter is kept of which this is known.
async fn keeps_a_letter_with(world: &World, attribute: &str) -> bool {
    use aws_sdk_dynamodb::types::AttributeValue::S;
    let found = aws_sdk_dynamodb::Client::new(&world.config)
        .query()
        .table_name(&world.table)
        .key_condition_expression("pk = :account AND begins_with(sk, :letter)")
        .expression_attribute_values(":account", S(format!("A#{}", world.account)))
        .expression_attribute_values(":letter", S("LETTER#".to_owned()))
        .consistent_read(true)
        .send()
        .await
        .unwrap();
    found.items().iter().any(|item| item.contains_key(attribute))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_became_of_a_letter_first_stays() {
    let world = with_a_letter().await;
    let (store, now) = (&world.doors.store, world.now());
    let seen = store.due_letters(now, 1).await.unwrap().remove(0);
    store.letter_sent(&seen, now).await.unwrap();
    store.letter_lost(&seen, "refused", now).await.unwrap();
    assert!(keeps_a_letter_with(&world, "sent_at").await);
    assert!(!keeps_a_letter_with(&world, "lost_at").await);
    store.forget_letter(&seen).await.unwrap();
    store.letter_sent(&seen, now).await.unwrap();
    assert!(!keeps_a_letter_with(&world, "sk").await, "it is forgotten");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_letter_that_is_taken_between_a_look_at_the_index_and_at_itself_is_not_taken_again() {
    let world = with_a_letter().await;
    let (store, now) = (&world.doors.store, world.now());
    // The first read is the index, the second the letter.
    let script = Script {
        kind: Kind::Read,
        place: 1,
        fault: Fault::Held,
        stubborn: false,
    };
    let faulty = Faulty::new(&connections(), Some(script));
    let (slow, _) = faulty.doors(&world.config, &world.table);
    let quick = async {
        faulty.held().await;
        let due = store.due_letters(now, 10).await.unwrap();
        assert!(store.take_letter(&due[0], now).await.unwrap());
        faulty.go();
    };
    let (seen, ()) = join(slow.due_letters(now, 10), quick).await;
    assert_eq!(seen.unwrap(), []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_letter_that_ses_does_not_take_now_waits_and_is_late_after_an_hour() {
    let world = with_a_letter().await;
    let mut late = 0;
    for fault in [
        Fault::Status(503),
        Fault::RequestLost,
        Fault::Refused("TooManyRequestsException"),
        Fault::Refused("LimitExceededException"),
        Fault::Refused("SendingPausedException"),
        Fault::Refused("AccountSuspendedException"),
        Fault::Refused("MailFromDomainNotVerifiedException"),
        Fault::Refused("AccessDeniedException"),
    ] {
        assert_eq!(
            letters(swept(&world, Some(fault)).await),
            [0, 0, 0, late],
            "{fault:?}"
        );
        assert_eq!(letters(swept(&world, None).await), [0, 0, 0, 0], "not its turn");
        world.pass(HOUR + 1);
        late = 1;
    }
    assert_eq!(letters(swept(&world, None).await), [1, 0, 0, 0]);
    assert_eq!(mailbox(&world).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_letter_from_an_address_that_is_not_verified_waits_for_whoever_mends_that() {
    let world = with_a_letter().await;
    let early = sweep(&doors(&world, "bonjour@unverified.example", &mail(None))).await;
    assert_eq!((letters(early), early.failures), ([0, 0, 0, 0], 0));
    world.pass(RETRY);
    assert_eq!(letters(swept(&world, None).await), [1, 0, 0, 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_letter_that_ses_refuses_for_good_is_counted_once_and_not_tried_again() {
    for code in ["MessageRejected", "BadRequestException"] {
        let world = with_a_letter().await;
        let refused = swept(&world, Some(Fault::Refused(code))).await;
        assert_eq!(letters(refused), [0, 1, 0, 0], "{code}");
        world.pass(DAY);
        assert_eq!(letters(swept(&world, None).await), [0, 0, 0, 0], "{code}");
        world.tell(&[world.sync(Cause::Asked)]).await;
        assert!(world.letters().await.is_empty(), "{code}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_letter_without_an_address_waits_for_one() {
    let mut world = World::new().await;
    verify(Emulator::Ministack.endpoint()).await.unwrap();
    world.buy(Tier::Pro, Card::Ok).await;
    world.hear().await;
    assert_eq!(letters(swept(&world, None).await), [0, 0, 1, 0]);
    world.pass(2 * HOUR);
    assert_eq!(letters(swept(&world, None).await), [0, 0, 1, 1]);
    tell_stripe(&world, &address(&world), "fr");
    world.hear().await;
    world.pass(HOUR);
    assert_eq!(letters(swept(&world, None).await), [1, 0, 0, 0]);
    assert_eq!(mailbox(&world).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_letter_that_never_finds_an_address_is_given_up_after_a_week() {
    let mut world = World::new().await;
    world.buy(Tier::Pro, Card::Ok).await;
    world.hear().await;
    world.pass(7 * DAY);
    assert_eq!(letters(swept(&world, None).await), [0, 0, 1, 1]);
    world.pass(HOUR);
    assert_eq!(letters(swept(&world, None).await), [0, 1, 0, 0]);
    world.pass(DAY);
    assert_eq!(letters(swept(&world, None).await), [0, 0, 0, 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_goes_when_its_customer_does() {
    let world = with_a_letter().await;
    assert!(world.billing().await.contact.is_some());
    let customer = world.customer.clone();
    world
        .fake
        .with(|stripe| stripe.delete_customer(&customer))
        .unwrap();
    world.tell(&[world.sync(Cause::Asked)]).await;
    assert_eq!(world.billing().await.contact, None);
}

/// What lies between SES's taking a letter and our writing it down may be lost: then it is sent again, never
/// left unsent.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sweep_that_dies_while_it_sends_leaves_the_letter_to_a_later_one() {
    for (fault, copies) in [
        (Fault::DeathBefore, 1),
        (Fault::DeathAfter, 2),
        (Fault::ReplyLost, 2),
    ] {
        let world = with_a_letter().await;
        let faulty = mail(Some(fault));
        let doors = doors(&world, local::mail::FROM, &faulty);
        let (sweeping, death) = (Box::pin(sweep(&doors)), Box::pin(faulty.death()));
        match select(sweeping, death).await {
            Either::Left((swept, _)) => assert_eq!((letters(swept), fault), ([0; 4], Fault::ReplyLost)),
            Either::Right(_) => assert_ne!(fault, Fault::ReplyLost),
        }
        assert_eq!(letters(swept(&world, None).await), [0; 4], "another may be at it");
        world.pass(RETRY);
        assert_eq!(letters(swept(&world, None).await), [1, 0, 0, 0]);
        world.pass(DAY);
        assert_eq!(letters(swept(&world, None).await), [0; 4]);
        assert_eq!(mailbox(&world).await.len(), copies, "{fault:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_an_address_to_send_from_letters_wait() {
    let world = with_a_letter().await;
    let silent = Doors {
        post: None,
        ..doors(&world, local::mail::FROM, &mail(None))
    };
    assert_eq!(letters(sweep(&silent).await), [0; 4]);
    assert_eq!(world.letters().await, ["plan-changed"]);
    assert_eq!(letters(swept(&world, None).await), [1, 0, 0, 0]);
}
