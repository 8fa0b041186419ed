//! The baseline of `coldstart`: `lambda_http`, one answer, and no SDK.

use lambda_http::{Body, Error, Request, Response, run, service_fn};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    run(service_fn(async |_request: Request| {
        Ok::<_, Error>(Response::new(Body::from("hello")))
    }))
    .await
}
