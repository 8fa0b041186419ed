//! Bodies, paths, idempotency keys and list parameters, parsed before a handler sees them.

use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use axum::response::IntoResponse;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};
use utoipa::IntoParams;
use utoipa::openapi::path::{Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::{ObjectBuilder, Required, Type};

use crate::domain::failure::{Failure, Malformed, Noun, Sentence};
use crate::domain::page::{Cursor, PAGE_MAX, Paging};

/// Bytes of a JSON body, at most: the longest barème and a class list fit several times.
pub const BODY_BYTES_MAX: usize = 256 * 1024;
/// What of a field's path is told back: a caller's own field may be as long as the body. Unit: characters.
const PATH_CHARS_MAX: usize = 100;
const KEY_BYTES_MAX: usize = 255;
/// Items of a page when the caller does not say.
const LIMIT: u16 = 50;

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
        Failure::Malformed(malformed(&path, error.inner()))
    })?;
    reader
        .end()
        .map_err(|error| Failure::Malformed(malformed("", &error)))?;
    Ok(Body {
        value,
        digest: hex::encode(digest.finalize()),
    })
}

/// What serde found, without its words, which are English. `path` is where, `.` for the whole body.
fn malformed(path: &str, error: &serde_json::Error) -> Malformed {
    if !error.is_data() {
        return Malformed::Json {
            line: error.line(),
            column: error.column(),
        };
    }
    let path = path.trim_start_matches('.');
    let said = error.to_string();
    let named = |kind: &str| {
        let field = said.strip_prefix(kind)?.split('`').next()?;
        // The path ends with the field or with what lacks it.
        let there = path == field || path.ends_with(&format!(".{field}"));
        let path = match path {
            "" => field.to_owned(),
            _ if there => path.to_owned(),
            _ => format!("{path}.{field}"),
        };
        Some(path.chars().take(PATH_CHARS_MAX).collect())
    };
    if let Some(path) = named("unknown field `") {
        Malformed::UnknownField(path)
    } else if let Some(path) = named("missing field `") {
        Malformed::MissingField(path)
    } else {
        Malformed::Value(path.chars().take(PATH_CHARS_MAX).collect())
    }
}

/// The path's parameters. One that cannot be read, as an id of another spelling, names nothing that exists.
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

/// The query's parameters.
#[derive(Debug)]
pub struct Query<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Query<T> {
    type Rejection = axum::response::Response;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Self::Rejection> {
        let read = axum::extract::Query::<T>::from_request_parts(parts, state).await;
        read.map(|axum::extract::Query(value)| Self(value))
            .map_err(|_| Failure::Malformed(Malformed::Query).into_response())
    }
}

/// The `Idempotency-Key` header, as a digest: what a caller sends never becomes a part of a key.
#[derive(Debug, Clone)]
pub struct IdempotencyKey(Option<String>);

impl IdempotencyKey {
    /// The digests of the key, if the caller sent one, and of what is asked under it: see [`Body::digest`].
    #[must_use]
    pub fn asking<'a>(&'a self, digest: &'a str) -> Option<(&'a str, &'a str)> {
        self.0.as_deref().map(|key| (key, digest))
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

impl IntoParams for IdempotencyKey {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let text = ObjectBuilder::new().schema_type(Type::String);
        let about = "1 to 255 characters, as a UUID. For a week, a repeat of the request under the same key makes \
                     nothing new: it is answered with what the first one made, as it stands now. Another request \
                     under it is refused.";
        vec![optional("Idempotency-Key", ParameterIn::Header, about, text)]
    }
}

#[derive(Debug, Deserialize)]
struct RawPaging {
    cursor: Option<String>,
    limit: Option<u16>,
}

impl<S: Send + Sync> FromRequestParts<S> for Paging {
    type Rejection = axum::response::Response;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Self::Rejection> {
        let read = axum::extract::Query::<RawPaging>::from_request_parts(parts, state).await;
        let axum::extract::Query(raw) = read.map_err(|_| invalid_list().into_response())?;
        let cursor = raw.cursor.as_deref().map(Cursor::parse).transpose();
        let limit = raw.limit.unwrap_or(LIMIT);
        if !(1..=PAGE_MAX).contains(&limit) {
            return Err(invalid_list().into_response());
        }
        Ok(Self {
            cursor: cursor.map_err(IntoResponse::into_response)?,
            limit,
        })
    }
}

impl IntoParams for Paging {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let text = ObjectBuilder::new().schema_type(Type::String);
        let number = ObjectBuilder::new()
            .schema_type(Type::Integer)
            .minimum(Some(1))
            .maximum(Some(PAGE_MAX))
            .default(Some(LIMIT.into()));
        vec![
            optional("cursor", ParameterIn::Query, "From the previous page.", text),
            optional("limit", ParameterIn::Query, "Items of a page, at most.", number),
        ]
    }
}

fn optional(name: &str, place: ParameterIn, about: &str, schema: ObjectBuilder) -> Parameter {
    ParameterBuilder::new()
        .name(name)
        .parameter_in(place)
        .required(Required::False)
        .description(Some(about))
        .schema(Some(schema))
        .build()
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Language;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only what cannot be read is looked at")]
    struct Files {
        files: Vec<File>,
        language: Option<Language>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only what cannot be read is looked at")]
    struct File {
        size_bytes: u64,
    }

    async fn refused(body: String) -> Failure {
        let request = Request::builder().body(axum::body::Body::from(body)).unwrap();
        read::<Files>(request).await.map(|read| read.value).unwrap_err()
    }

    #[tokio::test]
    async fn a_body_that_cannot_be_read_is_told_by_its_place_alone() {
        let path = |path: &str| path.to_owned();
        let long = "x".repeat(1_000);
        for (body, how) in [
            ("{\"files\":\n  x", Malformed::Json { line: 2, column: 3 }),
            ("{\"files\": [", Malformed::Json { line: 1, column: 11 }),
            ("{\"files\": []} {}", Malformed::Json { line: 1, column: 15 }),
            ("", Malformed::MissingField(path("files"))),
            ("[]", Malformed::Value(path(""))),
            ("7", Malformed::Value(path(""))),
            (
                "{\"files\": [], \"colour\": 1}",
                Malformed::UnknownField(path("colour")),
            ),
            (
                "{\"files\": [{\"size_bytes\": 1, \"x\": 1}]}",
                Malformed::UnknownField(path("files[0].x")),
            ),
            (
                "{\"files\": [{}]}",
                Malformed::MissingField(path("files[0].size_bytes")),
            ),
            (
                "{\"files\": [{\"size_bytes\": -1}]}",
                Malformed::Value(path("files[0].size_bytes")),
            ),
            (
                "{\"files\": [], \"language\": \"de\"}",
                Malformed::Value(path("language")),
            ),
            (
                &format!("{{\"files\": [], \"{long}\": 1}}"),
                Malformed::UnknownField(long[..PATH_CHARS_MAX].to_owned()),
            ),
        ] {
            assert_eq!(refused(body.to_owned()).await, Failure::Malformed(how), "{body}");
        }
    }
}
