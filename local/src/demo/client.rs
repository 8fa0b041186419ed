//! The API as its callers use it.

use anyhow::{Context as _, bail};
use reqwest::multipart::{Form, Part};
use serde_json::Value;

/// Pages of one list, at most.
const PAGES_MAX: usize = 50;

/// A caller with a session.
#[derive(Debug)]
pub(super) struct Client {
    http: reqwest::Client,
    base: String,
    token: String,
}

impl Client {
    pub(super) fn new(base: String, token: String) -> Self {
        Self {
            http: reqwest::Client::new(),
            base,
            token,
        }
    }

    pub(super) async fn get(&self, path: &str) -> anyhow::Result<Value> {
        let request = self.http.get(format!("{}/api{path}", self.base));
        self.send(request, path).await
    }

    pub(super) async fn post(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        // One key a request: were it sent twice, it would be done once.
        let key = uuid::Uuid::new_v4().to_string();
        let request = self
            .http
            .post(format!("{}/api{path}", self.base))
            .header("idempotency-key", key)
            .json(body);
        self.send(request, path).await
    }

    /// Posts what should be refused with this status; the problem, or `None` when it was accepted.
    pub(super) async fn refused(
        &self,
        path: &str,
        body: &Value,
        status: u16,
    ) -> anyhow::Result<Option<Value>> {
        let answer = self
            .http
            .post(format!("{}/api{path}", self.base))
            .bearer_auth(&self.token)
            .header("accept-language", "fr")
            .json(body)
            .send()
            .await?;
        let met = answer.status();
        let body: Value = answer.json().await?;
        if met.is_success() {
            return Ok(None);
        }
        if met != status {
            bail!(
                "{path} answered {met}: {}",
                body["detail"].as_str().unwrap_or("(no detail)")
            );
        }
        Ok(Some(body))
    }

    /// Presses the button of a checkout page, as a browser does; the session that it sends the browser back with.
    pub(super) async fn pay(&self, page: &str) -> anyhow::Result<String> {
        let browser = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .build()?;
        let answer = browser
            .post(page)
            .header("content-type", "application/x-www-form-urlencoded")
            .body("action=pay&email=professeur%40exemple.fr")
            .send()
            .await?;
        let location = answer
            .headers()
            .get("location")
            .and_then(|value| value.to_str().ok())
            .context("the checkout page sends nobody back")?;
        let (_, session) = location
            .split_once("session_id=")
            .context("the checkout page names no session")?;
        Ok(session.to_owned())
    }

    /// Every item of a list.
    pub(super) async fn all(&self, path: &str) -> anyhow::Result<Vec<Value>> {
        let mut items = Vec::new();
        let mut next = format!("{path}?limit=100");
        for _ in 0..PAGES_MAX {
            let mut page = self.get(&next).await?;
            if let Some(found) = page["items"].as_array_mut() {
                items.append(found);
            }
            match page["cursor"].as_str() {
                Some(cursor) => next = format!("{path}?limit=100&cursor={cursor}"),
                None => break,
            }
        }
        Ok(items)
    }

    /// Fills in a presigned form. The bucket, not the API, takes the file.
    pub(super) async fn upload(&self, form: &Value, pdf: Vec<u8>) -> anyhow::Result<()> {
        let url = form["url"].as_str().context("no url in the form")?;
        let mut body = Form::new();
        for (name, value) in form["fields"].as_object().context("no fields in the form")? {
            body = body.text(name.clone(), value.as_str().unwrap_or_default().to_owned());
        }
        // S3 ignores whatever comes after the file, so the file is last.
        let file = Part::bytes(pdf)
            .file_name("copie.pdf")
            .mime_str("application/pdf")?;
        let answer = self
            .http
            .post(url)
            .multipart(body.part("file", file))
            .send()
            .await?;
        let status = answer.status();
        if !status.is_success() {
            bail!(
                "the bucket answered {status}: {}",
                answer.text().await.unwrap_or_default()
            );
        }
        Ok(())
    }

    async fn send(&self, request: reqwest::RequestBuilder, path: &str) -> anyhow::Result<Value> {
        let answer = request
            .bearer_auth(&self.token)
            .header("accept-language", "fr")
            .send()
            .await
            .with_context(|| format!("no answer from {path}"))?;
        let status = answer.status();
        let body: Value = answer
            .json()
            .await
            .with_context(|| format!("{path} did not answer in JSON"))?;
        if !status.is_success() {
            bail!(
                "{path} answered {status}: {}",
                body["detail"].as_str().unwrap_or("(no detail)")
            );
        }
        Ok(body)
    }
}
