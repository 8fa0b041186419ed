//! Stripe's door: is it Stripe's, is it for us, then into the queue and 200. Nothing is decided here, so nothing
//! can go wrong here that Stripe's next attempt, or the queue's, does not mend.

mod verdict;

use lambda_http::http::{Method, StatusCode, header};
use lambda_http::{Body, Request, Response};
use shared::billing::Signing;
use shared::clock::Clock;
use shared::domain::failure::{Failure, Internal};
use shared::domain::time::UnixMillis;
use shared::store::{BillingQueue, Secrets};
use shared::telemetry::{Metrics, Unit};

pub use verdict::{BODY_BYTES_MAX, Verdict, verdict};

/// What the function needs.
#[derive(Debug, Clone)]
pub struct Doors {
    /// The billing queue.
    pub queue: BillingQueue,
    /// Reads secrets.
    pub secrets: Secrets,
    /// Name of the secret with the endpoint's signing secrets, the new one first.
    pub signing_secret: String,
    /// Whether this stage takes real money.
    pub livemode: bool,
    /// Tells the time.
    pub clock: Clock,
}

/// Answers one delivery.
pub async fn receive(doors: &Doors, request: Request) -> Response<Body> {
    let now = doors.clock.now_millis();
    let (status, metric) = match judge(doors, &request, now).await {
        Ok(verdict) => (verdict.status(), verdict.metric()),
        Err(failure) => {
            tracing::error!(
                cause = failure.cause(),
                "a delivery was not taken; Stripe sends it again"
            );
            (StatusCode::INTERNAL_SERVER_ERROR, "WebhookFailed")
        }
    };
    Metrics::of("webhook").value(metric, Unit::Count, 1).emit(now);
    answer(status)
}

async fn judge(doors: &Doors, request: &Request, now: i64) -> Result<Verdict, Failure> {
    if request.method() != Method::POST {
        return Ok(Verdict::NotAPost);
    }
    // The runtime has undone the function URL's base64; these are the bytes that were signed.
    let body: &[u8] = request.body().as_ref();
    if body.len() > BODY_BYTES_MAX {
        return Ok(Verdict::TooLarge);
    }
    let secret = doors.secrets.get(&doors.signing_secret).await?;
    let signing = Signing::parse(&secret).ok_or_else(|| {
        Failure::Internal(Internal::new(
            "the signing secret holds none, or too many: write a JSON array, or one a line",
        ))
    })?;
    let header = request.headers().get("stripe-signature");
    let header = header.and_then(|value| value.to_str().ok());
    let verdict = verdict(body, header, &signing, doors.livemode, UnixMillis::new(now));
    if let Verdict::Taken(message) = &verdict {
        doors.queue.send(std::slice::from_ref(message)).await?;
    }
    Ok(verdict)
}

/// Stripe reads the status alone; whoever else calls learns nothing more.
fn answer(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Body::Empty);
    *response.status_mut() = status;
    if !status.is_success() {
        let problem = serde_json::json!({ "type": "about:blank", "status": status.as_u16() });
        *response.body_mut() = Body::Text(problem.to_string());
        response.headers_mut().insert(
            header::CONTENT_TYPE,
            header::HeaderValue::from_static("application/problem+json"),
        );
    }
    response
}
