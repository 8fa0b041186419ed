//! Counts DynamoDB write units at the SDK's HTTP connector: every write is asked for what it consumed, so retries
//! and refusals count as well, and nothing in the store knows.
//!
//! The units are those that the emulator reports (1 KB a unit, twice that in a transaction, condition checks
//! like writes, the index where its keys change). Beside them stands the floor that the requests alone give: the
//! same rules, were every item at most 1 KB and without index. A refused write reports nothing and is counted at
//! the floor.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
    SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::byte_stream::ByteStream;
use serde_json::{Value, json};

/// What one kind of write took.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Line {
    /// Requests that were carried out.
    pub requests: u64,
    /// Requests that were refused: a condition did not hold, or another transaction held an item.
    pub refused: u64,
    /// Write units, refused requests included.
    pub units: f64,
    /// The same, were every item at most 1 KB and in no index.
    pub floor: f64,
}

/// An HTTP client for the SDK that counts. Cloning shares the counts.
#[derive(Debug, Clone)]
pub struct Meter {
    real: SharedHttpClient,
    lines: Arc<Mutex<BTreeMap<&'static str, Line>>>,
}

impl Default for Meter {
    fn default() -> Self {
        Self {
            real: aws_smithy_http_client::Builder::new().build_http(),
            lines: Arc::default(),
        }
    }
}

impl Meter {
    /// What was counted since the last call, by kind of write.
    #[must_use]
    pub fn take(&self) -> BTreeMap<&'static str, Line> {
        std::mem::take(&mut *locked(&self.lines))
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl HttpClient for Meter {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(Counting {
            real: self.real.http_connector(settings, components),
            lines: Arc::clone(&self.lines),
        })
    }
}

#[derive(Debug)]
struct Counting {
    real: SharedHttpConnector,
    lines: Arc<Mutex<BTreeMap<&'static str, Line>>>,
}

impl HttpConnector for Counting {
    fn call(&self, mut request: HttpRequest) -> HttpConnectorFuture {
        let Some(write) = Write::of(&request) else {
            return self.real.call(request);
        };
        let mut body = write.body.clone();
        body["ReturnConsumedCapacity"] = json!("INDEXES");
        let body = body.to_string();
        request
            .headers_mut()
            .insert("content-length", body.len().to_string());
        *request.body_mut() = SdkBody::from(body);
        let answer = self.real.call(request);
        let lines = Arc::clone(&self.lines);
        HttpConnectorFuture::new(async move {
            let mut answer: HttpResponse = answer.await?;
            let body = std::mem::replace(answer.body_mut(), SdkBody::taken());
            let bytes = ByteStream::new(body)
                .collect()
                .await
                .map_err(|error| ConnectorError::io(error.into()))?
                .into_bytes();
            write.count(
                answer.status().is_success(),
                &bytes,
                locked(&lines).entry(write.name()).or_default(),
            );
            *answer.body_mut() = SdkBody::from(bytes);
            Ok(answer)
        })
    }
}

/// One write request.
struct Write {
    operation: String,
    body: Value,
}

impl Write {
    fn of(request: &HttpRequest) -> Option<Self> {
        let (_, operation) = request.headers().get("x-amz-target")?.rsplit_once('.')?;
        let body = match operation {
            "PutItem" | "UpdateItem" | "DeleteItem" | "TransactWriteItems" => request.body().bytes()?,
            _ => return None,
        };
        Some(Self {
            operation: operation.to_owned(),
            body: serde_json::from_slice(body).ok()?,
        })
    }

    fn count(&self, carried_out: bool, answer: &[u8], line: &mut Line) {
        let floor = match self.body["TransactItems"].as_array() {
            Some(items) => 2.0 * items.len() as f64,
            None => 1.0,
        };
        line.floor += floor;
        if !carried_out {
            line.refused += 1;
            line.units += floor;
            return;
        }
        line.requests += 1;
        let answer: Value = serde_json::from_slice(answer).unwrap_or_default();
        let units = |capacity: &Value| capacity["CapacityUnits"].as_f64();
        let reported = match &answer["ConsumedCapacity"] {
            Value::Array(tables) => tables.iter().map(units).sum(),
            one => units(one),
        };
        line.units += reported.unwrap_or(floor);
    }

    /// What the write is for, told by the items that it names.
    fn name(&self) -> &'static str {
        let keys = self.sort_keys();
        let any = |kind: &str| keys.iter().any(|key| key.starts_with(kind));
        let entry = keys.iter().find(|key| key.starts_with("ENTRY#"));
        if let Some(entry) = entry {
            return match entry.split('#').nth(3).unwrap_or_default() {
                "reserve" => "run: reserve",
                "warm" => "run: charge the warm-up",
                "post" => "run: post",
                "extend" => "copy: hold more tokens",
                "copy" => "copy: settle",
                _ => "account: open the counter",
            };
        }
        let change = self.body["UpdateExpression"].as_str().unwrap_or_default();
        match self.operation.as_str() {
            // A reservation and a copy, no line: the counter did not move. A claim has messages beside them.
            "TransactWriteItems" if keys.len() == 2 => "copy: hold more tokens",
            "TransactWriteItems" => "copy: claim",
            "PutItem" => "copy: upload slot",
            "DeleteItem" => "run: message sent",
            _ if change.contains("prepare_epoch") => "run: lease of the preparation",
            _ if change.contains("prepared") => "run: prepared",
            _ if any("IDEMPOTENCY#") => "run: key of the upload request",
            _ if change.contains("lease_until = :until") => "copy: lease",
            _ => "copy: phase",
        }
    }

    fn sort_keys(&self) -> Vec<&str> {
        let single = [&self.body["Item"], &self.body["Key"]];
        let items = self.body["TransactItems"].as_array().into_iter().flatten();
        let many = items.flat_map(|item| {
            [
                &item["Put"]["Item"],
                &item["Update"]["Key"],
                &item["ConditionCheck"]["Key"],
                &item["Delete"]["Key"],
            ]
        });
        single
            .into_iter()
            .chain(many)
            .filter_map(|key| key["sk"]["S"].as_str())
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settle() -> Write {
        Write {
            operation: "TransactWriteItems".to_owned(),
            body: json!({ "TransactItems": [
                { "Update": { "Key": { "pk": { "S": "G#a" }, "sk": { "S": "COPY#c" } } } },
                { "Put": { "Item": { "pk": { "S": "L#a#free" }, "sk": { "S": "ENTRY#run#r#copy#c" } } } },
            ] }),
        }
    }

    #[test]
    fn a_write_is_counted_as_reported_and_a_refused_one_at_the_floor() {
        let mut line = Line::default();
        let reported = br#"{"ConsumedCapacity":[{"TableName":"t","CapacityUnits":6.0}]}"#;
        settle().count(true, reported, &mut line);
        settle().count(false, b"{}", &mut line);
        let expected = Line {
            requests: 1,
            refused: 1,
            units: 10.0,
            floor: 8.0,
        };
        assert_eq!(line, expected);
    }

    #[test]
    fn a_write_is_named_by_its_ledger_line() {
        assert_eq!(settle().name(), "copy: settle");
    }
}
