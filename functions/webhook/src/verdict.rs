//! What becomes of a delivery.

use lambda_http::http::StatusCode;
use shared::billing::{Heard, Rejected, Signing, Told, hear, told};
use shared::domain::billing::Message;
use shared::domain::time::UnixMillis;

/// The largest body that is looked at: an order of magnitude above Stripe's largest of our events.
pub const BODY_BYTES_MAX: usize = 256 * 1024;

/// What becomes of a delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It goes into the queue.
    Taken(Message),
    /// An event that changes nothing here.
    Ignored,
    /// Test money in production, or real money elsewhere; or another account's event.
    Misdirected,
    /// Stripe's, and not readable as an event: the endpoint is configured for another API. Sending it again
    /// would not help, the daily comparison does.
    Unparsed,
    /// Not Stripe's.
    Rejected(Rejected),
    /// More than [`BODY_BYTES_MAX`].
    TooLarge,
    /// Not a `POST`.
    NotAPost,
}

impl Verdict {
    /// What Stripe is told. Only what Stripe should send again is refused.
    pub(crate) const fn status(&self) -> StatusCode {
        match self {
            Self::Taken(_) | Self::Ignored | Self::Misdirected | Self::Unparsed => StatusCode::OK,
            Self::Rejected(_) => StatusCode::BAD_REQUEST,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::NotAPost => StatusCode::METHOD_NOT_ALLOWED,
        }
    }

    /// Under which name it is counted.
    pub(crate) const fn metric(&self) -> &'static str {
        match self {
            Self::Taken(_) => "WebhookTaken",
            Self::Ignored => "WebhookIgnored",
            Self::Misdirected => "WebhookMisdirected",
            Self::Unparsed => "WebhookUnparsed",
            Self::Rejected(_) | Self::TooLarge | Self::NotAPost => "WebhookRejected",
        }
    }
}

/// Judges a body, exactly as it came, with its `Stripe-Signature`.
#[must_use]
pub fn verdict(
    body: &[u8],
    header: Option<&str>,
    signing: &Signing,
    livemode: bool,
    now: UnixMillis,
) -> Verdict {
    let event = match hear(body, header, signing, now) {
        Heard::Event(event) => event,
        Heard::Unparsed => {
            tracing::error!(
                bytes = body.len(),
                "Stripe signed something that is no event of this API"
            );
            return Verdict::Unparsed;
        }
        Heard::Rejected(rejected) => {
            tracing::warn!(?rejected, "a delivery that is not Stripe's");
            return Verdict::Rejected(rejected);
        }
    };
    let (id, kind) = (event.id.as_str(), event.kind.as_str());
    if event.livemode != livemode || event.account.is_some() {
        tracing::warn!(
            id,
            kind,
            livemode = event.livemode,
            "an event of another mode or account"
        );
        return Verdict::Misdirected;
    }
    match told(&event) {
        Told::Hint(message) => Verdict::Taken(message),
        Told::NotOurs => Verdict::Ignored,
        Told::NoCustomer => {
            tracing::warn!(id, kind, "an event without customer");
            Verdict::Ignored
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use shared::domain::billing::About;
    use stripe_webhook::Webhook;

    use super::*;

    const NOW: UnixMillis = UnixMillis::new(1_790_000_000_000);
    const SECRET: &str = "whsec_test";

    fn event(change: impl FnOnce(&mut Value)) -> String {
        let mut event = json!({
            "id": "evt_1", "object": "event", "type": "invoice.paid", "created": 1_790_000_000, "livemode": false,
            "data": { "object": { "id": "in_1", "object": "invoice", "customer": "cus_1" } },
        });
        change(&mut event);
        event.to_string()
    }

    fn signed(body: &str, secret: &str) -> String {
        Webhook::generate_test_header(body, secret, Some(NOW.get() / 1000))
    }

    fn judged(body: &str) -> Verdict {
        let signing = Signing::parse(SECRET).unwrap();
        let header = signed(body, SECRET);
        verdict(body.as_bytes(), Some(&header), &signing, false, NOW)
    }

    #[test]
    fn a_signed_event_of_ours_is_taken_and_any_other_is_answered_and_forgotten() {
        let taken = Verdict::Taken(Message::Event {
            id: "evt_1".to_owned(),
            kind: "invoice.paid".to_owned(),
            about: About::Customer("cus_1".to_owned()),
        });
        assert_eq!(judged(&event(|_| ())), taken);
        assert_eq!(
            judged(&event(|it| it["type"] = "price.created".into())),
            Verdict::Ignored
        );
        assert_eq!(
            judged(&event(|it| it["livemode"] = true.into())),
            Verdict::Misdirected
        );
        assert_eq!(
            judged(&event(|it| it["account"] = "acct_1".into())),
            Verdict::Misdirected
        );
        assert_eq!(
            judged(&event(|it| it["data"]["object"]["customer"] = Value::Null)),
            Verdict::Ignored
        );
        let thin =
            json!({ "id": "evt_1", "object": "v2.core.event", "type": "v1.billing.meter.no_meter_found" });
        assert_eq!(judged(&thin.to_string()), Verdict::Unparsed);
        for body in ["", "{}", "[]", "not json", "\u{0}"] {
            assert_eq!(judged(body), Verdict::Unparsed, "{body:?}");
        }
    }

    #[test]
    fn stripe_is_told_and_somebody_counts_what_became_of_a_delivery() {
        let Verdict::Taken(message) = judged(&event(|_| ())) else {
            panic!("not taken")
        };
        for (verdict, status, metric) in [
            (Verdict::Taken(message), 200, "WebhookTaken"),
            (Verdict::Ignored, 200, "WebhookIgnored"),
            (Verdict::Misdirected, 200, "WebhookMisdirected"),
            (Verdict::Unparsed, 200, "WebhookUnparsed"),
            (Verdict::Rejected(Rejected::Signature), 400, "WebhookRejected"),
            (Verdict::TooLarge, 413, "WebhookRejected"),
            (Verdict::NotAPost, 405, "WebhookRejected"),
        ] {
            assert_eq!(
                (verdict.status().as_u16(), verdict.metric()),
                (status, metric),
                "{verdict:?}"
            );
        }
    }

    #[test]
    fn what_is_not_signed_is_refused_whatever_it_says() {
        let signing = Signing::parse(SECRET).unwrap();
        let body = event(|_| ());
        let other = signed(&body, "whsec_other");
        for (header, rejected) in [
            (None, Rejected::Header),
            (Some("nonsense"), Rejected::Header),
            (Some(other.as_str()), Rejected::Signature),
        ] {
            let judged = verdict(body.as_bytes(), header, &signing, false, NOW);
            assert_eq!(judged, Verdict::Rejected(rejected));
            assert_eq!(judged.status(), StatusCode::BAD_REQUEST);
        }
    }
}
