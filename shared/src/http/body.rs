//! Bodies, paths, idempotency keys and list parameters, parsed before a handler sees them.

use axum::extract::{FromRequest, FromRequestParts, Query, Request};
use axum::http::request::Parts;
use axum::response::IntoResponse;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};

use crate::domain::failure::{Failure, Noun, Sentence};

/// Bytes of a JSON body, at most: the longest barème and a class list fit several times.
pub const BODY_BYTES_MAX: usize = 256 * 1024;
const KEY_BYTES_MAX: usize = 255;

/// A JSON body, with a digest that tells whether a repeated request is the same one.
#[derive(Debug)]
pub struct Body<T> {
    /// What was sent.
    pub value: T,
    /// SHA-256 of the method, the path and the bytes, in hex.
    pub digest: String,
}

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Body<T> {
    type Rejection = axum::response::Response;

    async fn from_request(request: Request, _: &S) -> Result<Self, Self::Rejection> {
        read(request).await.map_err(IntoResponse::into_response)
    }
}

async fn read<T: DeserializeOwned>(request: Request) -> Result<Body<T>, Failure> {
    let (parts, body) = request.into_parts();
    let bytes = axum::body::to_bytes(body, BODY_BYTES_MAX)
        .await
        .map_err(|_| Failure::BodyTooLarge(BODY_BYTES_MAX))?;
    let mut digest = Sha256::new();
    digest.update(parts.method.as_str());
    digest.update(parts.uri.path());
    digest.update(&bytes);
    // An empty body is an empty object: routes whose every field is optional need none.
    let json: &[u8] = if bytes.is_empty() { b"{}" } else { &bytes };
    let mut reader = serde_json::Deserializer::from_slice(json);
    let value = serde_path_to_error::deserialize(&mut reader).map_err(|error| {
        let path = error.path().to_string();
        Failure::Malformed(format!("{path}: {}", error.into_inner()))
    })?;
    reader
        .end()
        .map_err(|error| Failure::Malformed(error.to_string()))?;
    Ok(Body {
        value,
        digest: hex::encode(digest.finalize()),
    })
}

/// The path's parameters. One that is no text names nothing that exists.
#[derive(Debug)]
pub struct Path<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for Path<T> {
    type Rejection = axum::response::Response;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Self::Rejection> {
        let read = axum::extract::Path::<T>::from_request_parts(parts, state).await;
        read.map(|axum::extract::Path(value)| Self(value))
            .map_err(|_| Failure::NotFound(Noun::Route).into_response())
    }
}

/// The `Idempotency-Key` header, as a digest: what a caller sends never becomes a part of a key.
#[derive(Debug, Clone)]
pub struct IdempotencyKey(Option<String>);

impl IdempotencyKey {
    /// The digest, if the caller sent a key.
    #[must_use]
    pub fn digest(&self) -> Option<&str> {
        self.0.as_deref()
    }
}

impl<S: Send + Sync> FromRequestParts<S> for IdempotencyKey {
    type Rejection = axum::response::Response;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        let Some(value) = parts.headers.get("idempotency-key") else {
            return Ok(Self(None));
        };
        let bytes = value.as_bytes();
        if bytes.is_empty() || bytes.len() > KEY_BYTES_MAX {
            let failure = Failure::Invalid {
                path: "Idempotency-Key".to_owned(),
                code: "invalid-idempotency-key",
                sentence: Sentence::new(
                    "La clé d'idempotence doit avoir de 1 à 255 caractères : envoyez un UUID.",
                    "The idempotency key must have 1 to 255 characters: send a UUID.",
                ),
            };
            return Err(failure.into_response());
        }
        Ok(Self(Some(hex::encode(Sha256::digest(bytes)))))
    }
}

#[derive(Debug, Deserialize)]
struct RawList {
    cursor: Option<String>,
    limit: Option<u16>,
}

/// `?cursor=…&limit=…` of a list.
#[derive(Debug, Clone)]
pub struct ListQuery {
    /// Where to go on.
    pub cursor: Option<String>,
    /// Items asked for; 50 when not said, 1 to 100.
    pub limit: u16,
}

impl<S: Send + Sync> FromRequestParts<S> for ListQuery {
    type Rejection = axum::response::Response;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Self::Rejection> {
        let Query(raw) = Query::<RawList>::from_request_parts(parts, state)
            .await
            .map_err(|_| invalid_list().into_response())?;
        Ok(Self {
            cursor: raw.cursor,
            limit: raw.limit.unwrap_or(50).clamp(1, 100),
        })
    }
}

fn invalid_list() -> Failure {
    Failure::Invalid {
        path: "limit".to_owned(),
        code: "invalid-list",
        sentence: Sentence::new(
            "Une liste prend au plus un « cursor » et une « limit » de 1 à 100 : corrigez l'adresse.",
            "A list takes at most one “cursor” and one “limit” of 1 to 100: correct the address.",
        ),
    }
}
