//! Session tokens: ES256 JWTs, checked with public keys only. Nothing here can make one without the private
//! key, and there is no way around the check.

use axum::extract::{FromRef, FromRequestParts};
use axum::http::header;
use axum::http::request::Parts;
use axum::response::IntoResponse;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

use crate::clock::Clock;
use crate::domain::failure::{Failure, Internal, Unauthenticated};
use crate::domain::ids::AccountId;

const ISSUER: &str = "corrigeuse";
const AUDIENCE: &str = "api";
/// Clocks may differ by this much. Unit: seconds.
const LEEWAY_SECONDS: i64 = 30;
/// A token's life. Unit: seconds.
pub const ACCESS_SECONDS: i64 = 900;
/// Keys tried for one token, at most: the current one and those being rotated out.
const KEYS_MAX: usize = 4;

#[derive(Debug, Serialize, Deserialize)]
struct Claims {
    iss: String,
    aud: String,
    sub: AccountId,
    iat: i64,
    exp: i64,
}

/// Makes an access token for `account`, good for fifteen minutes.
///
/// # Errors
/// `Internal` when `private_key_pem` is not a P-256 key in PKCS#8.
pub fn mint(private_key_pem: &str, account: AccountId, now_millis: i64) -> Result<String, Failure> {
    let bad_key = |error: jsonwebtoken::errors::Error| {
        Failure::Internal(Internal::new(format!("session key: {error}")))
    };
    let key = EncodingKey::from_ec_pem(private_key_pem.as_bytes()).map_err(bad_key)?;
    let iat = now_millis / 1000;
    let claims = Claims {
        iss: ISSUER.to_owned(),
        aud: AUDIENCE.to_owned(),
        sub: account,
        iat,
        exp: iat + ACCESS_SECONDS,
    };
    jsonwebtoken::encode(&Header::new(Algorithm::ES256), &claims, &key).map_err(bad_key)
}

type KeySource =
    dyn Fn() -> std::pin::Pin<Box<dyn Future<Output = Result<Arc<str>, Failure>> + Send>> + Send + Sync;

/// Checks tokens with the public keys that `source` gives (one PEM after another).
#[derive(Clone)]
pub struct Sessions {
    source: Arc<KeySource>,
    clock: Clock,
}

impl Sessions {
    /// Sessions whose keys come from `source`, asked at each check (it keeps them).
    pub fn new<F, R>(clock: Clock, source: F) -> Self
    where
        F: Fn() -> R + Send + Sync + 'static,
        R: Future<Output = Result<Arc<str>, Failure>> + Send + 'static,
    {
        Self {
            source: Arc::new(move || Box::pin(source())),
            clock,
        }
    }

    async fn check(&self, token: &str) -> Result<AccountId, Failure> {
        let pems = (self.source)().await?;
        let forged = Failure::Unauthenticated(Unauthenticated::Forged);
        let mut rules = Validation::new(Algorithm::ES256);
        rules.set_issuer(&[ISSUER]);
        rules.set_audience(&[AUDIENCE]);
        rules.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        // The moment is the injected clock's, below.
        rules.validate_exp = false;
        let mut keys = 0;
        for pem in public_keys(&pems).take(KEYS_MAX) {
            // A key that cannot be read must not keep the others from being tried.
            let Ok(key) = DecodingKey::from_ec_pem(pem.as_bytes()) else {
                continue;
            };
            keys += 1;
            let Ok(token) = jsonwebtoken::decode::<Claims>(token, &key, &rules) else {
                continue;
            };
            let now = self.clock.now_millis() / 1000;
            if now > token.claims.exp.saturating_add(LEEWAY_SECONDS) {
                return Err(Failure::Unauthenticated(Unauthenticated::Expired));
            }
            if token.claims.iat > now.saturating_add(LEEWAY_SECONDS) {
                return Err(forged);
            }
            return Ok(token.claims.sub);
        }
        if keys == 0 {
            return Err(Failure::Internal(Internal::new("no session key can be read")));
        }
        Err(forged)
    }
}

fn public_keys(pems: &str) -> impl Iterator<Item = &str> {
    const END: &str = "-----END PUBLIC KEY-----";
    pems.split_inclusive(END)
        .map(str::trim)
        .filter(|pem| pem.ends_with(END))
}

/// The account that a request acts for: there only with a valid token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Caller(AccountId);

impl Caller {
    /// The account.
    #[must_use]
    pub const fn account(self) -> AccountId {
        self.0
    }
}

impl<S> FromRequestParts<S> for Caller
where
    S: Send + Sync,
    Sessions: FromRef<S>,
{
    type Rejection = axum::response::Response;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Self::Rejection> {
        let token = parts
            .headers
            .get(header::AUTHORIZATION)
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.strip_prefix("Bearer "))
            .map(str::trim);
        let checked = match token {
            None | Some("") => Err(Failure::Unauthenticated(Unauthenticated::Missing)),
            Some(token) => Sessions::from_ref(state).check(token).await,
        };
        checked.map(Self).map_err(IntoResponse::into_response)
    }
}
