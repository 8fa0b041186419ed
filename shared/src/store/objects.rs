//! The bucket: uploaded copies, paid replies, results.

use aws_sdk_s3::Client;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::primitives::ByteStream;
use std::collections::HashMap;

use crate::domain::failure::{Failure, Internal};
use crate::domain::ids::{AssignmentId, CopyId, RunId};
use crate::domain::run::Address;

/// Pages of 1,000 keys that one list reads, at most.
const LIST_PAGES_MAX: u32 = 10;

/// Where a copy's PDF is uploaded.
#[must_use]
pub fn copy_key(assignment: AssignmentId, copy: CopyId) -> String {
    format!("copies/{assignment}/{copy}.pdf")
}

/// Where a worker puts a result before the transaction that publishes it.
#[must_use]
pub fn result_key(address: &Address, copy: CopyId, epoch: u32) -> String {
    format!(
        "results/{}/{copy}/{}/{epoch}.json",
        address.assignment, address.run
    )
}

/// The run that a result came from, by the result's key.
#[must_use]
pub fn result_run(key: &str) -> Option<RunId> {
    key.rsplit('/').nth(1)?.parse().ok()
}

/// Where a paid reply is kept before it is used, so that a second worker does not pay again.
#[must_use]
pub fn reply_key(address: &Address, copy: Option<CopyId>, digest: &str) -> String {
    let copy = copy.map_or_else(|| "warm-up".to_owned(), |copy| copy.to_string());
    format!(
        "replies/{}/{}/{copy}/{digest}.json",
        address.assignment, address.run
    )
}

/// An object as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// The bucket's id of the version that was read; none in a bucket without versions.
    pub version: Option<String>,
}

/// One bucket.
#[derive(Debug, Clone)]
pub struct Objects {
    s3: Client,
    bucket: String,
}

impl Objects {
    /// The bucket with this name.
    #[must_use]
    pub fn new(s3: Client, bucket: impl Into<String>) -> Self {
        Self {
            s3,
            bucket: bucket.into(),
        }
    }

    /// Stores bytes under a key; the same key is always given the same content, so twice is once.
    ///
    /// # Errors
    /// `Unavailable` when the bucket is.
    pub async fn put(&self, key: &str, content_type: &str, bytes: Vec<u8>) -> Result<(), Failure> {
        self.s3
            .put_object()
            .bucket(&self.bucket)
            .key(key)
            .content_type(content_type)
            .body(ByteStream::from(bytes))
            .send()
            .await
            .map_err(|error| failed("PutObject", &error))?;
        Ok(())
    }

    /// The bytes under a key, at most `bytes_max` of them: an object that is larger is cut there, and its
    /// reader refuses it by its size. `None` when there is no such object.
    ///
    /// # Errors
    /// `Unavailable` when the bucket is.
    pub async fn get(&self, key: &str, bytes_max: usize) -> Result<Option<Vec<u8>>, Failure> {
        let found = self.find(key, bytes_max).await?;
        Ok(found.map(|found| found.bytes))
    }

    /// As [`Objects::get`], and which version it was.
    ///
    /// # Errors
    /// `Unavailable` when the bucket is.
    pub async fn find(&self, key: &str, bytes_max: usize) -> Result<Option<Found>, Failure> {
        let sent = self.s3.get_object().bucket(&self.bucket).key(key).send().await;
        let (mut body, version) = match sent {
            Ok(found) => (found.body, found.version_id),
            Err(error) if error.code() == Some("NoSuchKey") => return Ok(None),
            Err(error) => return Err(failed("GetObject", &error)),
        };
        let mut bytes = Vec::new();
        while let Some(chunk) = body.next().await {
            let chunk = chunk
                .map_err(|error| Failure::Unavailable(Internal::new(format!("GetObject body: {error}"))))?;
            bytes.extend_from_slice(&chunk);
            if bytes.len() > bytes_max {
                break;
            }
        }
        Ok(Some(Found { bytes, version }))
    }

    /// The id of the version that is under a key now; `None` when nothing is.
    ///
    /// # Errors
    /// `Unavailable` when the bucket is.
    pub async fn version(&self, key: &str) -> Result<Option<String>, Failure> {
        // Newest first; the first may be a deletion, which is no version. It needs no right to read the object.
        let page = self
            .s3
            .list_object_versions()
            .bucket(&self.bucket)
            .prefix(key)
            .max_keys(1)
            .send()
            .await
            .map_err(|error| failed("ListObjectVersions", &error))?;
        let latest = page.versions.unwrap_or_default().into_iter().next();
        let latest = latest.filter(|version| version.key() == Some(key) && version.is_latest() == Some(true));
        Ok(latest.and_then(|version| version.version_id))
    }

    /// The sizes of an assignment's uploaded copies. Unit: bytes.
    ///
    /// # Errors
    /// `Unavailable` when the bucket is.
    pub async fn uploaded(&self, assignment: AssignmentId) -> Result<HashMap<CopyId, u64>, Failure> {
        let prefix = format!("copies/{assignment}/");
        let mut sizes = HashMap::new();
        let mut token = None;
        for _ in 0..LIST_PAGES_MAX {
            let page = self
                .s3
                .list_objects_v2()
                .bucket(&self.bucket)
                .prefix(&prefix)
                .set_continuation_token(token.take())
                .send()
                .await
                .map_err(|error| failed("ListObjectsV2", &error))?;
            for object in page.contents() {
                let id = object
                    .key()
                    .and_then(|key| key.strip_prefix(&prefix)?.strip_suffix(".pdf")?.parse().ok());
                if let (Some(id), Some(Ok(size))) = (id, object.size().map(u64::try_from)) {
                    sizes.insert(id, size);
                }
            }
            token = page.next_continuation_token().map(str::to_owned);
            if token.is_none() {
                break;
            }
        }
        Ok(sizes)
    }
}

fn failed<E>(operation: &str, error: &SdkError<E>) -> Failure
where
    E: std::error::Error + ProvideErrorMetadata + Send + Sync + 'static,
{
    let text = format!("{operation}: {}", super::said(error));
    match error.code() {
        Some("NoSuchBucket" | "AccessDenied") => Failure::Internal(Internal::new(text)),
        _ => Failure::Unavailable(Internal::new(text)),
    }
}
