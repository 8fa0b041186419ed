//! A key pair, its tokens, and tokens that nobody should believe.

use aws_lc_rs::encoding::{AsDer as _, PublicKeyX509Der};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};
use shared::domain::ids::AccountId;
use shared::http::{ACCESS_SECONDS, mint};

/// What signs the sessions of one test.
pub(crate) struct Keys {
    private_pem: String,
    pub(crate) public_pem: String,
}

impl Keys {
    pub(crate) fn new() -> Self {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
        let public: PublicKeyX509Der<'_> = pair.public_key().as_der().unwrap();
        Self {
            private_pem: pem("PRIVATE KEY", pair.to_pkcs8v1().unwrap().as_ref()),
            public_pem: pem("PUBLIC KEY", public.as_ref()),
        }
    }

    pub(crate) fn token(&self, account: AccountId, now_millis: i64) -> String {
        mint(&self.private_pem, account, now_millis).unwrap()
    }

    /// A token that was good until a minute ago.
    pub(super) fn expired(&self, account: AccountId, now_millis: i64) -> String {
        self.token(account, now_millis - (ACCESS_SECONDS + 60) * 1000)
    }

    /// Tokens that someone without our key could make, or that we made for another use.
    pub(super) fn forged(&self, account: AccountId, now_millis: i64) -> Vec<(&'static str, String)> {
        let claims = claims(account, now_millis / 1000);
        let changed = |field: &str, value: Value| {
            let mut changed = claims.clone();
            changed[field] = value;
            changed
        };
        let ours = |claims: &Value| self.sign(claims);
        let hours_ahead = now_millis / 1000 + 7200;
        let good = self.token(account, now_millis);
        let (signed, signature) = good.rsplit_once('.').unwrap();
        let (head, _) = signed.split_once('.').unwrap();
        let someone_else = segment(&changed("sub", json!(uuid_of(9))));
        vec![
            ("signed by another key", Self::new().sign(&claims)),
            (
                "without a signature",
                format!("{}.{}.", segment(&json!({"alg": "none"})), segment(&claims)),
            ),
            (
                "signed with our public key as a secret",
                self.sign_with_public_key(&claims),
            ),
            (
                "another account under our signature",
                format!("{head}.{someone_else}.{signature}"),
            ),
            ("for another audience", ours(&changed("aud", json!("mail")))),
            ("by another issuer", ours(&changed("iss", json!("someone")))),
            ("issued in the future", ours(&self::claims(account, hours_ahead))),
            ("without an end", ours(&without(&claims, "exp"))),
            ("for nobody", ours(&without(&claims, "sub"))),
            ("not a token", "bonjour".to_owned()),
        ]
    }

    fn sign(&self, claims: &Value) -> String {
        let key = EncodingKey::from_ec_pem(self.private_pem.as_bytes()).unwrap();
        jsonwebtoken::encode(&Header::new(Algorithm::ES256), claims, &key).unwrap()
    }

    fn sign_with_public_key(&self, claims: &Value) -> String {
        let key = EncodingKey::from_secret(self.public_pem.as_bytes());
        jsonwebtoken::encode(&Header::new(Algorithm::HS256), claims, &key).unwrap()
    }
}

fn claims(account: AccountId, iat: i64) -> Value {
    json!({ "iss": "corrigeuse", "aud": "api", "sub": account, "iat": iat, "exp": iat + ACCESS_SECONDS })
}

fn without(claims: &Value, field: &str) -> Value {
    let mut rest = claims.clone();
    rest.as_object_mut().unwrap().remove(field);
    rest
}

fn segment(json: &Value) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(json.to_string())
}

/// An id that nothing has.
pub(super) fn uuid_of(digit: u8) -> String {
    format!("019aa000-0000-7000-8000-00000000000{digit}")
}

fn pem(label: &str, der: &[u8]) -> String {
    let base64 = BASE64_STANDARD.encode(der);
    let lines: Vec<&str> = base64
        .as_bytes()
        .chunks(64)
        .map(|line| str::from_utf8(line).unwrap())
        .collect();
    format!(
        "-----BEGIN {label}-----\n{}\n-----END {label}-----\n",
        lines.join("\n")
    )
}
