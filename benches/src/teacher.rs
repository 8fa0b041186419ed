//! A teacher at the functions' own doors, in this process.

use anyhow::{Context as _, ensure};
use axum::Router;
use axum::body::Body;
use axum::http::Request;
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use shared::domain::ids::CopyId;
use tower::ServiceExt as _;

use crate::samples::folder;

/// A caller of the API, in this process.
#[derive(Debug)]
pub(crate) struct Teacher {
    pub(crate) token: String,
    pub(crate) assignments: Router,
    pub(crate) grade: Router,
}

impl Teacher {
    /// An assignment with its barème; answers its id.
    pub(crate) async fn assignment(&self, class: &str) -> anyhow::Result<String> {
        let read = |name: &str| -> anyhow::Result<Value> {
            let path = folder(class).join(name);
            let text =
                std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
            Ok(serde_json::from_str(&text)?)
        };
        let mut assignment = read("assignment.json")?;
        if let Some(fields) = assignment.as_object_mut() {
            fields.remove("class");
        }
        let made = self
            .post(&self.assignments, "/api/assignments", &assignment)
            .await?;
        let id = made["id"].as_str().context("no id")?.to_owned();
        let path = format!("/api/assignments/{id}/rubrics");
        self.post(&self.assignments, &path, &read("rubric.json")?).await?;
        Ok(id)
    }

    /// Asks for upload slots; answers the copies' ids.
    pub(crate) async fn slots(
        &self,
        assignment: &str,
        files: &[(String, &[u8])],
    ) -> anyhow::Result<Vec<CopyId>> {
        let wanted: Vec<Value> = files
            .iter()
            .map(|(name, pdf)| json!({ "name": name, "size_bytes": pdf.len() }))
            .collect();
        let path = format!("/api/assignments/{assignment}/copies");
        let made = self
            .post(&self.assignments, &path, &json!({ "files": wanted }))
            .await?;
        let slots = made["slots"].as_array().context("no slots")?;
        let ids = slots
            .iter()
            .map(|slot| Ok(slot["copy"].as_str().context("no copy")?.parse()?));
        ids.collect()
    }

    /// One request; answers its body.
    pub(crate) async fn post(&self, door: &Router, path: &str, body: &Value) -> anyhow::Result<Value> {
        let request = Request::post(path)
            .header("authorization", format!("Bearer {}", self.token))
            .header("content-type", "application/json")
            .header("idempotency-key", uuid::Uuid::new_v4().to_string())
            .body(Body::from(body.to_string()))?;
        let answer = door.clone().oneshot(request).await?;
        let status = answer.status();
        let bytes = answer.into_body().collect().await?.to_bytes();
        ensure!(
            status.is_success(),
            "{path} answered {status}: {}",
            String::from_utf8_lossy(&bytes)
        );
        Ok(serde_json::from_slice(&bytes)?)
    }
}
