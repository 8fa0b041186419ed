use super::*;

const START: UnixMillis = UnixMillis::new(1_790_000_000_000);
const END: UnixMillis = UnixMillis::new(1_792_592_000_000);

fn seen(id: &str, status: Status, tier: &str) -> Seen {
    Seen {
        id: id.to_owned(),
        status,
        price: format!("price_local_{tier}_month"),
        created: START,
        period_start: START,
        period_end: END,
        cancel_at: None,
        scheduled: None,
        update_pending: false,
    }
}

fn invoice(subscription: &str, state: InvoiceState) -> Invoice {
    Invoice {
        id: format!("in_{subscription}"),
        subscription: Some(subscription.to_owned()),
        state,
        created: START,
        covers: vec![START],
        prices: Vec::new(),
        action_required: false,
        page: Some("https://invoice".to_owned()),
        payments: vec![format!("pi_{subscription}")],
    }
}

fn charge(subscription: &str, refunded: bool, dispute: Option<Dispute>) -> Charge {
    Charge {
        id: format!("ch_{subscription}"),
        payment: Some(format!("pi_{subscription}")),
        refunded,
        dispute,
    }
}

fn paid(tier: &str) -> Truth {
    Truth {
        subscriptions: vec![seen("sub_1", Status::Active, tier)],
        invoices: vec![invoice("sub_1", InvoiceState::Paid)],
        charges: vec![charge("sub_1", false, None)],
        contact: None,
    }
}

fn entitled(truth: &Truth) -> Entitlement {
    entitle(truth, &Catalogue::default()).unwrap()
}

#[test]
fn a_paid_subscription_gives_its_tier_and_nothing_else_does() {
    let of = |status| Truth {
        subscriptions: vec![seen("sub_1", status, "pro")],
        ..paid("pro")
    };
    for (status, tier) in [
        (Status::Active, Some(Tier::Pro)),
        (Status::Trialing, Some(Tier::Pro)),
        (Status::PastDue, Some(Tier::Pro)),
        (Status::Without, None),
    ] {
        let subscription = entitled(&of(status)).subscription;
        assert_eq!(subscription.map(|it| it.tier), tier, "{status:?}");
    }
    assert_eq!(entitled(&Truth::default()), Entitlement::default());
}

#[test]
fn the_money_is_told_by_the_invoice_of_the_period() {
    let with = |status, change: fn(&mut Invoice)| {
        let mut truth = paid("pro");
        truth.subscriptions[0].status = status;
        change(&mut truth.invoices[0]);
        let subscription = entitled(&truth).subscription.unwrap();
        let kept = subscription.kept_until.is_some();
        (subscription.paid, subscription.payment, kept)
    };
    let open: fn(&mut Invoice) = |it| it.state = InvoiceState::Open;
    let confirm: fn(&mut Invoice) = |it| {
        it.state = InvoiceState::Open;
        it.action_required = true;
    };
    let (active, late) = (Status::Active, Status::PastDue);
    assert_eq!(with(active, |_| ()), (true, Payment::Paid, false));
    assert_eq!(
        with(active, |it| it.state = InvoiceState::Draft),
        (false, Payment::Awaiting, false)
    );
    assert_eq!(with(active, open), (false, Payment::Awaiting, false));
    assert_eq!(with(late, open), (false, Payment::PastDue, true));
    assert_eq!(with(late, confirm), (false, Payment::ActionRequired, true));
    // The invoice of an earlier period, or of a proration, pays for this period no more than none.
    assert_eq!(
        with(active, |it| it.covers.clear()),
        (false, Payment::Awaiting, false)
    );
}

#[test]
fn a_subscription_owes_until_its_invoice_and_its_upgrade_are_paid() {
    let owes = |change: fn(&mut Truth)| {
        let mut truth = paid("pro");
        change(&mut truth);
        entitled(&truth).subscription.unwrap().owes()
    };
    assert!(!owes(|_| ()));
    assert!(!owes(|it| it.subscriptions[0].cancel_at = Some(END)));
    assert!(owes(|it| it.subscriptions[0].update_pending = true));
    assert!(owes(|it| it.invoices[0].state = InvoiceState::Open));
    assert!(owes(|it| it.invoices.clear()));
}

#[test]
fn an_announced_change_is_shown_and_a_cancellation_does_not_renew() {
    let with = |change: fn(&mut Seen)| {
        let mut truth = paid("pro");
        change(&mut truth.subscriptions[0]);
        let subscription = entitled(&truth).subscription.unwrap();
        (subscription.tier, subscription.renews, subscription.pending)
    };
    let downgrade = Pending::Tier {
        tier: Tier::Essentiel,
        at: END,
    };
    assert_eq!(with(|_| ()), (Tier::Pro, true, None));
    assert_eq!(
        with(|it| it.cancel_at = Some(END)),
        (Tier::Pro, false, Some(Pending::Cancel { at: END }))
    );
    assert_eq!(
        with(|it| it.update_pending = true),
        (Tier::Pro, true, Some(Pending::Upgrade))
    );
    assert_eq!(
        with(|it| it.scheduled = Some(("price_local_essentiel_month".to_owned(), END))),
        (Tier::Pro, true, Some(downgrade))
    );
}

#[test]
fn of_several_subscriptions_the_best_counts_and_somebody_is_told() {
    let truth = Truth {
        subscriptions: vec![
            seen("sub_late", Status::PastDue, "max"),
            seen("sub_low", Status::Active, "essentiel"),
            seen("sub_high", Status::Active, "pro"),
            seen("sub_over", Status::Without, "max"),
        ],
        ..Truth::default()
    };
    let entitlement = entitled(&truth);
    assert_eq!(entitlement.subscription.unwrap().id, "sub_high");
    let all = ["sub_high", "sub_low", "sub_late"].map(str::to_owned).to_vec();
    assert_eq!(entitlement.alerts, [Alert::SeveralSubscriptions(all)]);
}

#[test]
fn money_given_back_freezes_and_ends_only_the_subscription_that_it_paid() {
    let with = |charge: Charge| {
        let entitlement = entitled(&Truth {
            charges: vec![charge],
            ..paid("pro")
        });
        let frozen = entitlement.subscription.unwrap().frozen;
        (
            frozen,
            !entitlement.cancel.is_empty(),
            !entitlement.alerts.is_empty(),
        )
    };
    assert_eq!(with(charge("sub_1", false, None)), (false, false, false));
    assert_eq!(with(charge("sub_1", true, None)), (true, true, true));
    assert_eq!(
        with(charge("sub_1", false, Some(Dispute::Open))),
        (true, false, true)
    );
    assert_eq!(
        with(charge("sub_1", false, Some(Dispute::Inquiry))),
        (false, false, true),
        "no money has moved"
    );
    assert_eq!(
        with(charge("sub_1", false, Some(Dispute::Won))),
        (false, false, false)
    );
    assert_eq!(
        with(charge("sub_1", false, Some(Dispute::Lost))),
        (true, true, true)
    );
    assert_eq!(with(charge("sub_old", true, None)), (false, false, false));
    assert_eq!(
        with(charge("sub_old", false, Some(Dispute::Lost))),
        (false, false, false)
    );
    assert_eq!(
        with(charge("sub_old", false, Some(Dispute::Open))),
        (true, false, true)
    );
}

/// Essentiel, and Pro from `day` of its thirty on.
fn upgraded(day: i64, state: InvoiceState) -> Truth {
    let mut truth = paid("pro");
    truth.invoices[0].prices = vec![("price_local_essentiel_month".to_owned(), START)];
    truth.invoices.push(Invoice {
        id: "in_change".to_owned(),
        created: START.plus_seconds(day * 86_400),
        covers: Vec::new(),
        prices: vec![(
            "price_local_pro_month".to_owned(),
            START.plus_seconds(day * 86_400),
        )],
        payments: vec!["pi_change".to_owned()],
        ..invoice("sub_1", state)
    });
    truth.charges.push(charge("change", false, None));
    truth
}

#[test]
fn the_tier_that_was_paid_for_counts_however_high_the_one_that_stripe_shows() {
    let of = |truth: &Truth| {
        let entitlement = entitled(truth);
        let subscription = entitlement.subscription.unwrap();
        (subscription.paid, subscription.tier, entitlement.alerts)
    };
    let unpaid = || (true, Tier::Essentiel, vec![Alert::UnpaidTier("sub_1".to_owned())]);
    assert_eq!(
        of(&upgraded(3, InvoiceState::Paid)),
        (true, Tier::Pro, Vec::new())
    );
    for state in [InvoiceState::Draft, InvoiceState::Open, InvoiceState::Closed] {
        assert_eq!(of(&upgraded(3, state)), unpaid(), "{state:?}");
    }
    let mut without_invoice = upgraded(3, InvoiceState::Paid);
    without_invoice.invoices.pop();
    assert_eq!(of(&without_invoice), unpaid());
    // Stripe keeps the old price while the change waits: that is paid.
    let mut waiting = upgraded(3, InvoiceState::Open);
    waiting.subscriptions[0].update_pending = true;
    waiting.subscriptions[0].price = "price_local_essentiel_month".to_owned();
    assert_eq!(of(&waiting), (true, Tier::Essentiel, Vec::new()));
    // What Stripe does not say blocks nobody.
    let mut silent = upgraded(3, InvoiceState::Paid);
    silent
        .invoices
        .iter_mut()
        .for_each(|invoice| invoice.prices.clear());
    assert_eq!(of(&silent), (true, Tier::Pro, Vec::new()));
}

#[test]
fn of_two_subscriptions_one_that_is_paid_counts_before_a_higher_one_that_is_not() {
    let mut truth = paid("essentiel");
    truth.subscriptions.push(seen("sub_2", Status::Active, "max"));
    truth.invoices.push(invoice("sub_2", InvoiceState::Draft));
    assert_eq!(entitled(&truth).subscription.unwrap().id, "sub_1");
    truth.invoices[1].state = InvoiceState::Paid;
    assert_eq!(entitled(&truth).subscription.unwrap().id, "sub_2");
}

#[test]
fn of_two_subscriptions_that_are_paid_the_one_that_gives_most_counts_whatever_stripe_shows() {
    let mut truth = paid("pro");
    truth.invoices[0].prices = vec![("price_local_pro_month".to_owned(), START)];
    truth.subscriptions.push(seen("sub_2", Status::Active, "max"));
    truth.invoices.push(Invoice {
        prices: vec![("price_local_essentiel_month".to_owned(), START)],
        ..invoice("sub_2", InvoiceState::Paid)
    });
    let subscription = entitled(&truth).subscription.unwrap();
    assert_eq!(
        (subscription.id.as_str(), subscription.tier),
        ("sub_1", Tier::Pro)
    );
}

#[test]
fn a_difference_for_days_of_the_period_before_pays_nothing_of_this_one() {
    let mut truth = paid("max");
    let before = START.plus_seconds(-86_400);
    truth.invoices[0].prices = vec![
        ("price_local_max_month".to_owned(), before),
        ("price_local_essentiel_month".to_owned(), START),
    ];
    assert_eq!(entitled(&truth).subscription.unwrap().tier, Tier::Essentiel);
}

#[test]
fn a_change_that_is_past_due_takes_nothing_of_the_period_that_is_paid() {
    let mut truth = upgraded(3, InvoiceState::Open);
    truth.subscriptions[0].status = Status::PastDue;
    let subscription = entitled(&truth).subscription.unwrap();
    assert_eq!(
        (subscription.paid, subscription.tier, subscription.kept_until),
        (true, Tier::Essentiel, None)
    );
}

#[test]
fn a_period_whose_invoice_is_given_up_has_its_grace_and_no_more() {
    let mut truth = paid("max");
    truth.invoices[0].state = InvoiceState::Closed;
    let grace = |truth: &Truth| {
        let subscription = entitled(truth).subscription.unwrap();
        (subscription.paid, subscription.kept_until)
    };
    let until = START.plus_seconds(PAST_DUE_GRACE_SECONDS);
    assert_eq!(grace(&truth), (false, Some(until)));
    // Nor does a change that is not paid prolong it.
    truth.invoices.push(Invoice {
        created: START.plus_seconds(86_400),
        covers: Vec::new(),
        ..invoice("sub_1", InvoiceState::Open)
    });
    assert_eq!(grace(&truth), (false, Some(until)));
}

#[test]
fn a_dispute_of_what_ended_does_not_freeze_what_was_bought_since() {
    let of = |disputed: &str, status: Status| {
        let mut truth = paid("pro");
        truth.subscriptions.push(seen("sub_old", Status::Without, "max"));
        truth.subscriptions[0].status = status;
        truth.invoices.push(invoice("sub_old", InvoiceState::Paid));
        truth.charges.push(charge(disputed, false, Some(Dispute::Open)));
        let entitlement = entitled(&truth);
        let frozen = entitlement.subscription.map(|it| it.frozen);
        (frozen, entitlement.alerts.len())
    };
    assert_eq!(of("sub_old", Status::Active), (Some(false), 1));
    assert_eq!(of("sub_1", Status::Active), (Some(true), 1));
    assert_eq!(of("nobody_knows_what", Status::Active), (Some(true), 1));
}

#[test]
fn a_payment_that_is_lost_after_its_period_ends_the_subscription_nevertheless() {
    let with = |refunded, dispute| {
        let mut truth = paid("pro");
        truth.invoices.push(Invoice {
            id: "in_before".to_owned(),
            created: UnixMillis::new(1),
            covers: vec![UnixMillis::new(1)],
            payments: vec!["pi_before".to_owned()],
            ..invoice("sub_1", InvoiceState::Paid)
        });
        truth.charges.push(charge("before", refunded, dispute));
        let entitlement = entitled(&truth);
        (entitlement.cancel, entitlement.alerts)
    };
    let lost = vec![Alert::PaymentReturned("ch_before".to_owned())];
    assert_eq!(with(false, Some(Dispute::Lost)), (vec!["sub_1".to_owned()], lost));
    // What we gave back of a period that is over is between the teacher and whoever gave it back.
    assert_eq!(with(true, None), (Vec::new(), Vec::new()));
    assert_eq!(with(false, Some(Dispute::Won)), (Vec::new(), Vec::new()));
}

#[test]
fn the_difference_of_a_change_that_was_given_back_is_told_and_one_that_was_lost_ends_it() {
    let with = |refunded, dispute| {
        let mut truth = upgraded(3, InvoiceState::Paid);
        truth.charges[1] = charge("change", refunded, dispute);
        let entitlement = entitled(&truth);
        (!entitlement.cancel.is_empty(), entitlement.alerts)
    };
    let returned = || vec![Alert::PaymentReturned("ch_change".to_owned())];
    assert_eq!(with(false, None), (false, vec![]));
    assert_eq!(with(true, None), (false, returned()));
    assert_eq!(with(false, Some(Dispute::Lost)), (true, returned()));
}

#[test]
fn a_higher_tier_for_the_last_days_of_a_period_is_told() {
    let alerts = |day| entitled(&upgraded(day, InvoiceState::Paid)).alerts;
    assert_eq!(alerts(26), []);
    assert_eq!(alerts(28), [Alert::LateUpgrade("in_change".to_owned())]);
}

#[test]
fn a_price_that_is_not_ours_stops_the_derivation() {
    let refused = entitle(&paid("gold"), &Catalogue::default()).unwrap_err();
    assert!(
        refused.to_string().contains("price_local_gold_month"),
        "{refused}"
    );
    let mut over = paid("gold");
    over.subscriptions[0].status = Status::Without;
    assert_eq!(entitled(&over).subscription, None);
}
