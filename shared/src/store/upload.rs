//! Presigned POST for uploads: the browser sends a PDF straight to S3, and S3 itself holds it to the exact key,
//! the type and the size that we signed. The SDK has no such thing
//! (<https://github.com/awslabs/aws-sdk-rust/issues/863>), so the policy is signed here:
//! <https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-HTTPPOSTConstructPolicy.html>.

use aws_credential_types::Credentials;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use serde::Serialize;
use serde_json::json;
use sha2::Sha256;
use std::collections::BTreeMap;
use time::OffsetDateTime;
use time::macros::format_description;

use crate::domain::failure::{Failure, Internal};
use crate::domain::time::UnixMillis;

/// Bytes of one PDF, at most.
pub const PDF_BYTES_MAX: u64 = 50 * 1024 * 1024;
/// How long a slot can be used. Unit: seconds.
const SLOT_SECONDS: i64 = 900;

/// A form that uploads one file: send every field, then the file in a field named `file`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PresignedPost {
    /// Where to POST.
    pub url: String,
    /// The form's fields.
    pub fields: BTreeMap<String, String>,
    /// When it stops working, RFC 3339.
    pub expires_at: String,
}

/// Signs upload forms for one bucket.
#[derive(Debug, Clone)]
pub struct UploadSigner {
    url: String,
    bucket: String,
    region: String,
    credentials: Option<SharedCredentialsProvider>,
}

impl UploadSigner {
    /// `endpoint` replaces S3's own address (a local emulator); `None` on AWS.
    #[must_use]
    pub fn new(
        bucket: &str,
        region: &str,
        credentials: Option<SharedCredentialsProvider>,
        endpoint: Option<&str>,
    ) -> Self {
        let url = match endpoint {
            Some(endpoint) => format!("{}/{bucket}", endpoint.trim_end_matches('/')),
            None => format!("https://{bucket}.s3.{region}.amazonaws.com/"),
        };
        Self {
            url,
            bucket: bucket.to_owned(),
            region: region.to_owned(),
            credentials,
        }
    }

    /// The credentials to sign with: the function's role. Asked once for a whole list of slots.
    ///
    /// # Errors
    /// `Unavailable` when there are none.
    pub async fn credentials(&self) -> Result<Credentials, Failure> {
        let lost = |text: String| Failure::Unavailable(Internal::new(format!("credentials: {text}")));
        let provider = self
            .credentials
            .as_ref()
            .ok_or_else(|| lost("none configured".to_owned()))?;
        provider
            .provide_credentials()
            .await
            .map_err(|error| lost(error.to_string()))
    }

    /// A form that puts one PDF of at most 50 MB at `key`, and nothing else.
    #[must_use]
    pub fn presign(&self, key: &str, credentials: &Credentials, now: UnixMillis) -> PresignedPost {
        let at = OffsetDateTime::from_unix_timestamp(now.get() / 1000).unwrap_or(OffsetDateTime::UNIX_EPOCH);
        let date = at
            .format(format_description!("[year][month][day]"))
            .unwrap_or_default();
        let stamp = at
            .format(format_description!("[year][month][day]T[hour][minute][second]Z"))
            .unwrap_or_default();
        let scope = format!("{date}/{}/s3/aws4_request", self.region);
        let expires_at = now.plus_seconds(SLOT_SECONDS).rfc3339();
        let mut fields = BTreeMap::from([
            ("key".to_owned(), key.to_owned()),
            ("Content-Type".to_owned(), "application/pdf".to_owned()),
            ("success_action_status".to_owned(), "204".to_owned()),
            ("x-amz-algorithm".to_owned(), "AWS4-HMAC-SHA256".to_owned()),
            (
                "x-amz-credential".to_owned(),
                format!("{}/{scope}", credentials.access_key_id()),
            ),
            ("x-amz-date".to_owned(), stamp),
        ]);
        if let Some(token) = credentials.session_token() {
            fields.insert("x-amz-security-token".to_owned(), token.to_owned());
        }
        let mut conditions: Vec<_> = fields
            .iter()
            .map(|(name, value)| json!({ name: value }))
            .collect();
        conditions.push(json!({ "bucket": self.bucket }));
        conditions.push(json!(["content-length-range", 1, PDF_BYTES_MAX]));
        let policy =
            STANDARD.encode(json!({ "expiration": expires_at, "conditions": conditions }).to_string());
        let signature = hex::encode(sign(
            credentials.secret_access_key(),
            &date,
            &self.region,
            &policy,
        ));
        fields.insert("policy".to_owned(), policy);
        fields.insert("x-amz-signature".to_owned(), signature);
        PresignedPost {
            url: self.url.clone(),
            fields,
            expires_at,
        }
    }
}

fn sign(secret: &str, date: &str, region: &str, policy: &str) -> Vec<u8> {
    let mut key = format!("AWS4{secret}").into_bytes();
    for part in [date, region, "s3", "aws4_request", policy] {
        key = mac(&key, part.as_bytes());
    }
    key
}

fn mac(key: &[u8], message: &[u8]) -> Vec<u8> {
    // HMAC takes keys of any length, so there is no error to handle.
    Hmac::<Sha256>::new_from_slice(key)
        .map(|mut mac| {
            mac.update(message);
            mac.finalize().into_bytes().to_vec()
        })
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A function's role has credentials with a token, which the bucket refuses when the policy does not name it.
    #[test]
    fn a_role_s_token_is_in_the_form_and_in_its_policy() {
        let signer = UploadSigner::new("copies", "eu-west-3", None, None);
        let of = |token: Option<&str>| {
            let credentials = Credentials::new("id", "secret", token.map(str::to_owned), None, "test");
            let fields = signer.presign("a.pdf", &credentials, UnixMillis::new(0)).fields;
            let policy = STANDARD.decode(&fields["policy"]).unwrap();
            let policy: serde_json::Value = serde_json::from_slice(&policy).unwrap();
            let named = json!({ "x-amz-security-token": "token" });
            let conditions = policy["conditions"].as_array().unwrap();
            (
                fields.get("x-amz-security-token").cloned(),
                conditions.contains(&named),
            )
        };
        assert_eq!(of(Some("token")), (Some("token".to_owned()), true));
        assert_eq!(of(None), (None, false));
    }

    /// The example of
    /// <https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-post-example.html>.
    #[test]
    fn the_signature_is_that_of_the_documentation() {
        let policy = "eyAiZXhwaXJhdGlvbiI6ICIyMDE1LTEyLTMwVDEyOjAwOjAwLjAwMFoiLA0KICAiY29uZGl0aW9ucyI6IFsNCiAgICB7ImJ1Y2tldCI6ICJzaWd2NGV4YW1wbGVidWNrZXQifSwNCiAgICBbInN0YXJ0cy13aXRoIiwgIiRrZXkiLCAidXNlci91c2VyMS8iXSwNCiAgICB7ImFjbCI6ICJwdWJsaWMtcmVhZCJ9LA0KICAgIHsic3VjY2Vzc19hY3Rpb25fcmVkaXJlY3QiOiAiaHR0cDovL3NpZ3Y0ZXhhbXBsZWJ1Y2tldC5zMy5hbWF6b25hd3MuY29tL3N1Y2Nlc3NmdWxfdXBsb2FkLmh0bWwifSwNCiAgICBbInN0YXJ0cy13aXRoIiwgIiRDb250ZW50LVR5cGUiLCAiaW1hZ2UvIl0sDQogICAgeyJ4LWFtei1tZXRhLXV1aWQiOiAiMTQzNjUxMjM2NTEyNzQifSwNCiAgICB7IngtYW16LXNlcnZlci1zaWRlLWVuY3J5cHRpb24iOiAiQUVTMjU2In0sDQogICAgWyJzdGFydHMtd2l0aCIsICIkeC1hbXotbWV0YS10YWciLCAiIl0sDQoNCiAgICB7IngtYW16LWNyZWRlbnRpYWwiOiAiQUtJQUlPU0ZPRE5ON0VYQU1QTEUvMjAxNTEyMjkvdXMtZWFzdC0xL3MzL2F3czRfcmVxdWVzdCJ9LA0KICAgIHsieC1hbXotYWxnb3JpdGhtIjogIkFXUzQtSE1BQy1TSEEyNTYifSwNCiAgICB7IngtYW16LWRhdGUiOiAiMjAxNTEyMjlUMDAwMDAwWiIgfQ0KICBdDQp9";
        let signature = sign(
            "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
            "20151229",
            "us-east-1",
            policy,
        );
        assert_eq!(
            hex::encode(signature),
            "8afdbf4008c03f22c2cd3cdb72e4afbb1f6a588f3255ac628749a66d7f09699e"
        );
    }
}
