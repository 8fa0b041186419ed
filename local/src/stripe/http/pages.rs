//! What customers see at Stripe: Checkout, the portal, an invoice. Plain pages that work without scripts, and say
//! that no money moves.

use std::fmt::Write as _;
use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Path, State as Shared};
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse, Redirect, Response};

use super::Desk;
use super::form::Params;
use crate::html::escaped;
use crate::stripe::calendar::{Interval, french_date};
use crate::stripe::checkout::SessionStatus;
use crate::stripe::customer::{By, Card};
use crate::stripe::invoice::InvoiceStatus;
use crate::stripe::payment::{Attempt, IntentStatus};
use crate::stripe::refusal::Refusal;
use crate::stripe::subscription::Subscription;
use crate::stripe::world::World;

const DECLINED: &str = "La carte a été refusée. Vous pouvez réessayer.";
const TO_CONFIRM: &str = "Votre banque demande une confirmation (3-D Secure).";
const CARDS: [(&str, Card, &str); 5] = [
    ("ok", Card::Ok, "tout est accepté"),
    ("declined", Card::Declined, "tout est refusé"),
    ("needs_action", Card::NeedsAction, "3-D Secure à chaque paiement"),
    (
        "declined_later",
        Card::DeclinedLater,
        "refusée aux prochains prélèvements",
    ),
    (
        "action_later",
        Card::ActionLater,
        "3-D Secure aux prochains prélèvements",
    ),
];

pub(super) async fn checkout(Shared(desk): Shared<Arc<Desk>>, Path(session): Path<String>) -> Response {
    desk.with(|state| checkout_page(&state.world, &session, ""))
}

pub(super) async fn pay(
    Shared(desk): Shared<Arc<Desk>>,
    Path(session): Path<String>,
    body: Bytes,
) -> Response {
    let (action, email) = (field(&body, "action"), field(&body, "email"));
    desk.with(|state| {
        let world = &mut state.world;
        if !email.is_empty()
            && let Err(refusal) = world.give_email(&session, email)
        {
            return checkout_page(world, &session, &refusal.message);
        }
        let done = match action.as_str() {
            "pay" => world.pay(&session, Card::Ok),
            "pay_once" => world.pay(&session, Card::DeclinedLater),
            "secure" => world.pay(&session, Card::NeedsAction),
            "decline" => world.pay(&session, Card::Declined),
            "confirm" => world.confirm_checkout(&session, true),
            "refuse" => world.confirm_checkout(&session, false),
            _ => return leave(world, &session),
        };
        match done {
            Ok(Attempt::Paid) => arrive(world, &session),
            Ok(Attempt::Declined) => checkout_page(world, &session, DECLINED),
            Ok(Attempt::ActionRequired) => checkout_page(world, &session, TO_CONFIRM),
            Err(refusal) => checkout_page(world, &session, &refusal.message),
        }
    })
}

fn arrive(world: &World, id: &str) -> Response {
    let url = world
        .session(id)
        .ok()
        .and_then(|session| session.asked.success_url.clone());
    let url = url.unwrap_or_default();
    Redirect::to(&url.replace("{CHECKOUT_SESSION_ID}", id)).into_response()
}

fn leave(world: &World, id: &str) -> Response {
    match world
        .session(id)
        .ok()
        .and_then(|session| session.asked.cancel_url.clone())
    {
        Some(url) => Redirect::to(&url).into_response(),
        None => checkout_page(world, id, "Cette page n’a pas d’adresse de retour."),
    }
}

fn checkout_page(world: &World, id: &str, notice: &str) -> Response {
    let Ok(session) = world.session(id) else {
        return absent();
    };
    let title = format!("Abonnement {}", offer(world, &session.asked.price));
    if session.status != SessionStatus::Open {
        return page(
            &title,
            notice,
            "<p>Cette page de paiement n’est plus ouverte.</p>",
        );
    }
    let waits = session
        .attempt
        .as_deref()
        .and_then(|id| world.subscriptions().get(id))
        .is_some_and(|subscription| to_confirm(world, subscription.latest_invoice.as_deref()));
    let buttons = if waits {
        button("confirm", "Confirmer") + &button("refuse", "Ne pas confirmer")
    } else {
        button("pay", "Payer")
            + &button("secure", "Payer avec 3-D Secure")
            + &button("pay_once", "Payer (la carte sera refusée au renouvellement)")
            + &button("decline", "Carte refusée")
    };
    let email = if world.needs_email(session) {
        "<label>Adresse électronique <input type=\"email\" name=\"email\"></label>"
    } else {
        ""
    };
    let form = format!(
        "<form method=\"post\">{email}{buttons}{}</form>",
        button("cancel", "Annuler")
    );
    page(&title, notice, &form)
}

pub(super) async fn portal(Shared(desk): Shared<Arc<Desk>>, Path(portal): Path<String>) -> Response {
    desk.with(|state| portal_page(&state.world, &portal, ""))
}

pub(super) async fn manage(
    Shared(desk): Shared<Arc<Desk>>,
    Path(portal): Path<String>,
    body: Bytes,
) -> Response {
    let (action, subscription) = (field(&body, "action"), field(&body, "subscription"));
    desk.with(|state| {
        let world = &mut state.world;
        let Some(customer) = world.portals().get(&portal).map(|portal| portal.customer.clone()) else {
            return absent();
        };
        let theirs = |world: &World| {
            let found = world.subscriptions().get(&subscription);
            found.is_some_and(|subscription| subscription.customer == customer)
        };
        if action != "card" && !theirs(world) {
            return absent();
        }
        let done = match action.as_str() {
            "change" => world.portal_change(&subscription, &field(&body, "price")),
            "cancel" => world.portal_cancel(&subscription, true),
            "resume" => world.portal_cancel(&subscription, false),
            "card" => set_card(world, &customer, &field(&body, "card")),
            "pay" => return portal_paid(world, &portal, |world| world.portal_pay(&subscription)),
            "confirm" => {
                return portal_paid(world, &portal, |world| {
                    let latest = world.subscription(&subscription)?.latest_invoice.clone();
                    world.confirm(&latest.unwrap_or_default(), true)
                });
            }
            _ => Err(Refusal::invalid("Action inconnue.")),
        };
        let notice = done.map_or_else(|refusal| refusal.message, |()| "C’est fait.".to_owned());
        portal_page(world, &portal, &notice)
    })
}

fn set_card(world: &mut World, customer: &str, name: &str) -> Result<(), Refusal> {
    let card = CARDS.iter().find(|(known, ..)| *known == name);
    let (_, card, _) = card.ok_or_else(|| Refusal::invalid("Carte inconnue."))?;
    world.set_card(customer, *card)
}

fn portal_paid(
    world: &mut World,
    portal: &str,
    pay: impl FnOnce(&mut World) -> Result<Attempt, Refusal>,
) -> Response {
    let notice = notice_of(pay(world));
    portal_page(world, portal, &notice)
}

fn notice_of(paid: Result<Attempt, Refusal>) -> String {
    match paid {
        Ok(Attempt::Paid) => "Le paiement est accepté.".to_owned(),
        Ok(Attempt::Declined) => DECLINED.to_owned(),
        Ok(Attempt::ActionRequired) => TO_CONFIRM.to_owned(),
        Err(refusal) => refusal.message,
    }
}

fn portal_page(world: &World, id: &str, notice: &str) -> Response {
    let Some(portal) = world.portals().get(id) else {
        return absent();
    };
    let mut body = String::new();
    let theirs = |it: &&Arc<Subscription>| it.customer == portal.customer && !it.status.ended();
    for subscription in world.subscriptions().iter().rev().filter(theirs) {
        body += &subscription_card(world, subscription);
    }
    if body.is_empty() {
        body = "<p>Aucun abonnement en cours.</p>".to_owned();
    }
    let held = world
        .customers()
        .get(&portal.customer)
        .map(|customer| customer.card);
    let options = CARDS
        .iter()
        .map(|(name, card, label)| option(name, label, held == Some(*card)));
    let select = format!("<select name=\"card\">{}</select>", options.collect::<String>());
    body += &format!(
        "<h2>Comportement de la carte</h2><form method=\"post\">{select}{}</form>",
        button("card", "Changer la carte")
    );
    if let Some(url) = &portal.return_url {
        body += &format!("<p><a href=\"{}\">Revenir au site</a></p>", escaped(url));
    }
    page("Votre abonnement", notice, &body)
}

fn subscription_card(world: &World, subscription: &Subscription) -> String {
    let mut body = format!(
        "<h2>{}</h2><p>État : {}. Période en cours jusqu’au {}.</p>",
        escaped(&offer(world, &subscription.price)),
        subscription.status.name(),
        french_date(subscription.period.end)
    );
    if subscription.pending_update.is_some() {
        body += "<p>Un changement de formule attend son paiement.</p>";
    }
    body += "<form method=\"post\">";
    // Writing to a string cannot fail.
    let _ = write!(
        body,
        "<input type=\"hidden\" name=\"subscription\" value=\"{}\">",
        subscription.id
    );
    if to_confirm(world, subscription.latest_invoice.as_deref()) {
        body += &button("confirm", "Confirmer le paiement (3-D Secure)");
    } else if owes(world, subscription) {
        body += &button("pay", "Payer la facture ouverte");
    }
    let prices = world.account.catalogue.prices.iter().filter(|price| price.active);
    let options = prices.map(|price| {
        option(
            &price.id,
            &offer(world, &price.id),
            price.id == subscription.price,
        )
    });
    let _ = write!(
        body,
        "<select name=\"price\">{}</select>",
        options.collect::<String>()
    );
    body += &button("change", "Changer de formule");
    body += &if subscription.cancel_at_period_end {
        button("resume", "Reprendre l’abonnement")
    } else {
        button("cancel", "Résilier à la fin de la période")
    };
    body + "</form>"
}

pub(super) async fn invoice(Shared(desk): Shared<Arc<Desk>>, Path(invoice): Path<String>) -> Response {
    desk.with(|state| invoice_page(&state.world, &invoice, ""))
}

pub(super) async fn settle(
    Shared(desk): Shared<Arc<Desk>>,
    Path(invoice): Path<String>,
    body: Bytes,
) -> Response {
    let action = field(&body, "action");
    desk.with(|state| {
        let world = &mut state.world;
        let notice = notice_of(match action.as_str() {
            "confirm" => world.confirm(&invoice, true),
            "refuse" => world.confirm(&invoice, false),
            _ => world.pay_invoice(&invoice, By::Customer),
        });
        invoice_page(world, &invoice, &notice)
    })
}

fn invoice_page(world: &World, id: &str, notice: &str) -> Response {
    let Ok(invoice) = world.invoice(id) else {
        return absent();
    };
    let title = format!(
        "Facture {}",
        invoice.number.as_deref().unwrap_or("en préparation")
    );
    let mut body = format!(
        "<p>À payer : {}.</p>",
        euros(invoice.amount_due - invoice.amount_paid)
    );
    if invoice.status != InvoiceStatus::Open {
        body += &format!("<p>État : {}.</p>", invoice.status.name());
    } else if to_confirm(world, Some(id)) {
        let buttons = button("confirm", "Confirmer") + &button("refuse", "Ne pas confirmer");
        body += &format!("<form method=\"post\">{buttons}</form>");
    } else {
        body += &format!("<form method=\"post\">{}</form>", button("pay", "Payer"));
    }
    page(&title, notice, &body)
}

fn owes(world: &World, subscription: &Subscription) -> bool {
    let latest = subscription.latest_invoice.as_deref();
    let invoice = latest.and_then(|id| world.invoices().get(id));
    invoice.is_some_and(|invoice| invoice.status == InvoiceStatus::Open)
}

fn to_confirm(world: &World, invoice: Option<&str>) -> bool {
    let invoice = invoice.and_then(|id| world.invoices().get(id));
    let intent = invoice.and_then(|invoice| world.intent_of(invoice));
    intent.is_some_and(|intent| intent.status == IntentStatus::RequiresAction)
}

/// A price in words.
fn offer(world: &World, price: &str) -> String {
    let catalogue = &world.account.catalogue;
    let Some(price) = catalogue.price(price) else {
        return price.to_owned();
    };
    let name = catalogue
        .product(&price.product)
        .map_or("", |product| product.name.as_str());
    let each = match price.interval {
        Interval::Month => "mois",
        Interval::Year => "an",
    };
    format!("{name}, {} par {each}", euros(price.cents))
}

fn euros(cents: i64) -> String {
    format!("{},{:02} €", cents / 100, (cents % 100).abs())
}

fn field(body: &[u8], name: &str) -> String {
    let mut params = Params::parse(&String::from_utf8_lossy(body));
    params.text(name).ok().flatten().unwrap_or_default()
}

fn button(action: &str, label: &str) -> String {
    format!("<button name=\"action\" value=\"{action}\">{label}</button>")
}

fn option(value: &str, label: &str, chosen: bool) -> String {
    let chosen = if chosen { " selected" } else { "" };
    format!(
        "<option value=\"{}\"{chosen}>{}</option>",
        escaped(value),
        escaped(label)
    )
}

fn absent() -> Response {
    let body = page(
        "Page introuvable",
        "",
        "<p>Ce lien n’est pas ou plus valable.</p>",
    );
    (StatusCode::NOT_FOUND, body).into_response()
}

fn page(title: &str, notice: &str, body: &str) -> Response {
    let (title, notice) = (escaped(title), escaped(notice));
    let notice = if notice.is_empty() {
        notice
    } else {
        format!("<p role=\"status\"><strong>{notice}</strong></p>")
    };
    Html(format!(
        "<!doctype html><html lang=\"fr\"><head><meta charset=\"utf-8\"><title>{title}</title>\
         <meta name=\"viewport\" content=\"width=device-width\"><style>\
         body{{font:1rem system-ui,sans-serif;max-width:34rem;margin:2rem auto;padding:0 1rem}}\
         button,select,input{{display:block;width:100%;margin:.5rem 0;padding:.7rem;font:inherit;\
         box-sizing:border-box}}\
         header{{background:#fff3cd;padding:.7rem;border-radius:.3rem}}</style></head>\
         <body><header>Stripe local : aucun paiement réel</header><main><h1>{title}</h1>{notice}{body}</main>\
         </body></html>"
    ))
    .into_response()
}
