//! Whether a webhook's body is Stripe's: <https://docs.stripe.com/webhooks#verify-manually>.
//!
//! Our own verifier, forty lines long: the library's cannot be had without the decoders of every event
//! (docs/adr/0017-webhook-verification.md). The library and Stripe's own SDKs are its tests.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::wire;
use crate::domain::time::UnixMillis;

/// A signature is good for this long. Unit: seconds.
const TOLERANCE_SECONDS: i64 = 300;
/// Two while a secret is rotated; more are a mistake.
const SECRETS_MAX: usize = 4;

/// The secrets that a signature may have been made with, the new one first. Never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Signing(Vec<String>);

impl Signing {
    /// Reads a JSON array of secrets, or one a line; white space around each is dropped. `None` if none is left,
    /// or too many are.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let listed: Vec<String> =
            serde_json::from_str(text).unwrap_or_else(|_| text.lines().map(str::to_owned).collect());
        let secrets: Vec<String> = listed
            .iter()
            .map(|secret| secret.trim().to_owned())
            .filter(|secret| !secret.is_empty())
            .collect();
        (1..=SECRETS_MAX)
            .contains(&secrets.len())
            .then_some(Self(secrets))
    }
}

impl std::fmt::Debug for Signing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Signing(hidden)")
    }
}

/// Why a body is not taken for Stripe's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rejected {
    /// No `Stripe-Signature`, or not one that can be read.
    Header,
    /// No signature in it is ours.
    Signature,
    /// Signed too long ago: replayed, or badly delayed. Stripe signs each attempt anew.
    Expired,
    /// Signed in the future. Stripe's SDKs accept that; a clock that wrong is worth a look.
    Future,
}

/// What came in.
#[derive(Debug, Clone)]
pub enum Heard {
    /// An event of Stripe's.
    Event(Box<wire::Event>),
    /// Stripe's, but not an event that we can read: another kind of endpoint, or of API.
    Unparsed,
    /// Not Stripe's.
    Rejected(Rejected),
}

/// Verifies and reads a webhook's body, exactly as it came.
#[must_use]
pub fn hear(body: &[u8], header: Option<&str>, secrets: &Signing, now: UnixMillis) -> Heard {
    let verified = header
        .ok_or(Rejected::Header)
        .and_then(|header| verify(body, header, secrets, now));
    if let Err(rejected) = verified {
        return Heard::Rejected(rejected);
    }
    serde_json::from_slice(body).map_or(Heard::Unparsed, |event| Heard::Event(Box::new(event)))
}

/// Whether `header` signs `body` with one of `secrets`, about now.
///
/// # Errors
/// [`Rejected`].
pub fn verify(body: &[u8], header: &str, secrets: &Signing, now: UnixMillis) -> Result<(), Rejected> {
    let mut timestamp = None;
    let mut signatures = Vec::new();
    for (name, value) in header.split(',').filter_map(|part| part.split_once('=')) {
        match name {
            "t" => timestamp = value.parse::<i64>().ok(),
            "v1" => signatures.extend(signature(value)),
            _ => {}
        }
    }
    let timestamp = timestamp.ok_or(Rejected::Header)?;
    if signatures.is_empty() {
        return Err(Rejected::Header);
    }
    let signed = secrets.0.iter().any(|secret| {
        // A key of any length is a key of HMAC's.
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.as_bytes()) else {
            return false;
        };
        mac.update(timestamp.to_string().as_bytes());
        mac.update(b".");
        mac.update(body);
        // `verify_slice` takes the same time wherever the first difference is.
        signatures.iter().any(|it| mac.clone().verify_slice(it).is_ok())
    });
    if !signed {
        return Err(Rejected::Signature);
    }
    let age_seconds = (now.get() / 1000).saturating_sub(timestamp);
    match age_seconds {
        age if age > TOLERANCE_SECONDS => Err(Rejected::Expired),
        age if age < -TOLERANCE_SECONDS => Err(Rejected::Future),
        _ => Ok(()),
    }
}

/// The bytes of a signature as Stripe writes it: in lower case.
fn signature(text: &str) -> Option<Vec<u8>> {
    let upper = text.bytes().any(|byte| byte.is_ascii_uppercase());
    if upper { None } else { hex::decode(text).ok() }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;
    use stripe_webhook::{Webhook, WebhookError};

    use super::*;

    /// Made by Stripe's own SDKs: tests/vectors/stripe_signatures.py.
    const VECTORS: &str = include_str!("../../../tests/vectors/stripe_signatures.json");
    /// Stripe's SDKs accept it, because they measure age alone.
    const FUTURE: &str = "600 seconds in the future";

    #[derive(Deserialize)]
    struct Vectors {
        now: i64,
        cases: Vec<Case>,
    }

    #[derive(Deserialize)]
    struct Case {
        name: String,
        body: String,
        header: String,
        secrets: Vec<String>,
        accepted: bool,
    }

    fn vectors() -> Vectors {
        serde_json::from_str(VECTORS).unwrap()
    }

    #[test]
    fn a_signature_is_accepted_when_stripes_own_sdks_accept_it_unless_it_is_of_the_future() {
        let Vectors { now, cases } = vectors();
        assert!(cases.len() > 30);
        for case in cases {
            let secrets = Signing(case.secrets);
            let verified = verify(
                case.body.as_bytes(),
                &case.header,
                &secrets,
                UnixMillis::new(now * 1000),
            );
            let expected = case.accepted && case.name != FUTURE;
            assert_eq!(verified.is_ok(), expected, "{}: {verified:?}", case.name);
        }
    }

    #[test]
    fn the_library_judges_alike_but_for_two_headers_that_stripe_never_sends() {
        let Vectors { now, cases } = vectors();
        let apart: Vec<String> = cases
            .into_iter()
            .filter(|case| {
                let theirs = case.secrets.iter().any(|secret| {
                    let event =
                        Webhook::construct_event_with_timestamp(&case.body, &case.header, secret, now);
                    matches!(event, Ok(_) | Err(WebhookError::BadParse(_)))
                });
                let secrets = Signing(case.secrets.clone());
                let now = UnixMillis::new(now * 1000);
                theirs != verify(case.body.as_bytes(), &case.header, &secrets, now).is_ok()
            })
            .map(|case| case.name)
            .collect();
        assert_eq!(apart, ["a signature in upper case", "a trailing comma"]);
    }

    #[test]
    fn a_refusal_says_why() {
        let secrets = Signing(vec!["whsec_1".to_owned()]);
        let now = UnixMillis::new(1_790_000_000_000);
        let at = |seconds: i64| Webhook::generate_test_header("{}", "whsec_1", Some(1_790_000_000 + seconds));
        for (header, expected) in [
            (at(0), Ok(())),
            (at(-301), Err(Rejected::Expired)),
            (at(301), Err(Rejected::Future)),
            (at(i64::MAX - 1_790_000_000), Err(Rejected::Future)),
            (at(0).replace("t=17", "t=18"), Err(Rejected::Signature)),
            ("t=1".to_owned(), Err(Rejected::Header)),
            (String::new(), Err(Rejected::Header)),
        ] {
            assert_eq!(verify(b"{}", &header, &secrets, now), expected, "{header}");
        }
        let bytes = b"\xff\xfe";
        assert_eq!(
            verify(bytes, &at(0), &secrets, now),
            Err(Rejected::Signature),
            "bytes that are no text"
        );
    }

    #[test]
    fn secrets_are_read_as_a_list_or_as_lines_and_never_printed() {
        let two = Some(Signing(vec!["whsec_new".to_owned(), "whsec_old".to_owned()]));
        assert_eq!(Signing::parse("[\"whsec_new\", \" whsec_old\\n\"]"), two);
        assert_eq!(Signing::parse("whsec_new\r\n\n whsec_old \n"), two);
        for none in ["", " \n ", "[]", "[\"\"]", "1\n2\n3\n4\n5"] {
            assert_eq!(Signing::parse(none), None, "{none:?}");
        }
        assert!(!format!("{two:?}").contains("whsec"));
    }
}
