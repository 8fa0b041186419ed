use shared::domain::money::Usage;
use shared::llm::{Model, ModelFailure, Reason};

use super::*;

/// The failure of one call that meets `faults`, and how often the provider was asked.
async fn fail(faults: impl IntoIterator<Item = Fault>) -> (ModelFailure, Provider) {
    let provider = start(options()).await;
    provider.inject(faults);
    let mut settings = settings(&provider);
    settings.attempt_timeout = Duration::from_millis(150);
    let model = settings.build().unwrap();
    let failure = model.answer(&prompt(600, "copie"), soon()).await.unwrap_err();
    (failure, provider)
}

#[tokio::test]
async fn every_failure_is_told_apart_retried_as_it_deserves_and_accounted_for() {
    let limited = Kind::RateLimited {
        retry_after_seconds: 2,
    };
    let limited_reason = Reason::RateLimited {
        retry_after: Some(Duration::from_secs(2)),
    };
    // The last columns: attempts, calls whose bill is unknown, and whether a bill is known.
    let cases = [
        (limited, limited_reason, true, 4, 0, false),
        (Kind::Overloaded, Reason::Overloaded, true, 4, 0, false),
        (
            Kind::ServerError,
            Reason::Unavailable { status: 500 },
            true,
            4,
            0,
            false,
        ),
        (Kind::SpendLimit, Reason::SpendLimit, false, 1, 0, false),
        (Kind::Hang, Reason::Timeout, true, 2, 2, false),
        (Kind::ReplyLost, Reason::ReplyLost, true, 2, 2, false),
        (
            Kind::BrokenReply,
            Reason::Invalid {
                what: "not a message",
            },
            true,
            1,
            0,
            false,
        ),
        (
            Kind::BrokenAnswer,
            Reason::Invalid {
                what: "the answer is not JSON",
            },
            true,
            1,
            0,
            true,
        ),
        (Kind::Truncated, Reason::Truncated, false, 1, 0, true),
        (Kind::Refusal, Reason::Refused, false, 1, 0, true),
        (Kind::UsageMissing, Reason::MissingUsage, true, 1, 0, false),
    ];
    for (kind, reason, retryable, attempts, unknown_calls, billed) in cases {
        let (failure, provider) = fail([Fault::times(kind.clone(), 9)]).await;
        assert_eq!(failure.reason, reason, "{kind:?}");
        assert_eq!(failure.retryable(), retryable, "{kind:?}");
        assert_eq!(
            (failure.attempts, failure.unknown_calls),
            (attempts, unknown_calls),
            "{kind:?}"
        );
        let ledger = provider.ledger();
        assert_eq!(failure.billed.is_some(), billed, "{kind:?}");
        if let Some(billed) = failure.billed {
            assert_eq!(
                billed,
                ledger.iter().map(|entry| entry.usage).sum::<Usage>(),
                "{kind:?}"
            );
        }
        if unknown_calls > 0 {
            assert_eq!(ledger.len(), 2, "{kind:?}: what was lost was billed");
        }
        if kind.refusal().is_some() {
            assert_eq!(ledger, [], "{kind:?}: an error reply bills nothing");
        }
    }
}

#[tokio::test]
async fn a_call_outlives_passing_faults_and_says_how_often_it_asked() {
    let provider = start(options()).await;
    let passing = [
        Kind::RateLimited {
            retry_after_seconds: 1,
        },
        Kind::ReplyLost,
        Kind::Overloaded,
    ];
    provider.inject(passing.map(Fault::next));
    let answer = settings(&provider)
        .build()
        .unwrap()
        .answer(&prompt(600, "copie"), soon())
        .await
        .unwrap();
    assert_eq!(answer.text, ANSWER);
    assert_eq!((answer.receipt.attempts, answer.receipt.unknown_calls), (4, 1));
    assert_eq!(answer.receipt.request_id.as_deref(), Some("req_local_000004"));
}

#[tokio::test]
async fn the_wait_that_the_provider_asks_for_is_kept_and_never_passes_the_deadline() {
    let provider = start(options()).await;
    let waits = Arc::new(Mutex::new(Vec::new()));
    let mut settings = settings(&provider);
    let seen = Arc::clone(&waits);
    let sleep = move |wait| -> shared::llm::retry::Waiting {
        seen.lock().unwrap().push(wait);
        Box::pin(std::future::ready(()))
    };
    settings.pace = shared::llm::retry::Pace::new(sleep, || 0.0);
    let model = settings.build().unwrap();

    let limited = |retry_after_seconds| Fault::next(Kind::RateLimited { retry_after_seconds });
    provider.inject([limited(7), limited(90)]);
    let failure = model.answer(&prompt(600, "copie"), soon()).await.unwrap_err();
    assert_eq!(
        failure.reason,
        Reason::RateLimited {
            retry_after: Some(Duration::from_secs(90))
        }
    );
    assert_eq!(*waits.lock().unwrap(), [Duration::from_secs(7)]);
}

#[tokio::test]
async fn nothing_is_waited_for_past_the_deadline() {
    let provider = start(options()).await;
    let model = settings(&provider).build().unwrap();
    let failure = model
        .answer(&prompt(600, "copie"), Deadline::now())
        .await
        .unwrap_err();
    assert_eq!((failure.reason, failure.attempts), (Reason::Timeout, 1));
}

#[tokio::test]
async fn an_answer_longer_than_its_bound_is_truncated_and_billed_up_to_it() {
    let provider = start(options()).await;
    let model = settings(&provider).build().unwrap();
    let short = Prompt {
        output_tokens_max: 5,
        ..prompt(600, "copie")
    };
    let failure = model.answer(&short, soon()).await.unwrap_err();
    assert_eq!(failure.reason, Reason::Truncated);
    assert_eq!(failure.billed.unwrap().output_tokens, 5);
}

#[tokio::test]
async fn a_provider_that_is_not_there_is_unreachable_and_bills_nothing() {
    let gone = start(options()).await;
    let mut settings = settings(&gone);
    let free = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    settings.base_url = Some(format!("http://{}", free.local_addr().unwrap()));
    drop(free);
    let failure = settings
        .build()
        .unwrap()
        .answer(&prompt(600, "copie"), soon())
        .await
        .unwrap_err();
    assert_eq!(
        (failure.reason, failure.attempts, failure.unknown_calls),
        (Reason::Unreachable, 4, 0)
    );
}

#[tokio::test]
async fn a_model_or_schema_that_the_provider_does_not_take_is_our_mistake() {
    let provider = start(options()).await;
    let mut wrong = settings(&provider);
    wrong.model = "claude-sonet".to_owned();
    let failure = wrong
        .build()
        .unwrap()
        .answer(&prompt(600, "copie"), soon())
        .await
        .unwrap_err();
    assert_eq!(
        failure.reason,
        Reason::Rejected {
            status: 404,
            kind: "not_found_error"
        }
    );

    let model = settings(&provider).build().unwrap();
    let mut bounded = prompt(600, "copie");
    bounded.schema["properties"]["points"]["minimum"] = 0.into();
    let failure = model.answer(&bounded, soon()).await.unwrap_err();
    assert_eq!(
        failure.reason,
        Reason::Rejected {
            status: 400,
            kind: "invalid_request_error"
        }
    );
    assert!(!failure.retryable());
    assert_eq!(provider.ledger(), []);
}

#[tokio::test]
async fn neither_words_nor_keys_appear_in_what_can_be_printed() {
    let (failure, provider) = fail([Fault::next(Kind::BrokenAnswer)]).await;
    let model = settings(&provider).build().unwrap();
    let answer = model.answer(&prompt(600, "copie"), soon()).await.unwrap();
    let printed = format!("{failure} {failure:?} {answer:?} {model:?}");
    for secret in ["glucose", "barème", "sk-test"] {
        assert!(!printed.contains(secret), "{secret}: {printed}");
    }
}

#[tokio::test]
async fn requests_over_the_limit_are_told_when_to_come_back() {
    let clock = Clock::fixed(0);
    let provider = start(Options {
        requests_per_minute: Some(1),
        clock: clock.clone(),
        ..options()
    })
    .await;
    let mut settings = settings(&provider);
    settings.retry.attempts_max = 1;
    let model = settings.build().unwrap();
    let copy = prompt(600, "copie");
    model.answer(&copy, soon()).await.unwrap();
    clock.advance_seconds(20);
    let failure = model.answer(&copy, soon()).await.unwrap_err();
    assert_eq!(
        failure.reason,
        Reason::RateLimited {
            retry_after: Some(Duration::from_secs(40))
        }
    );
    clock.advance_seconds(40);
    model.answer(&copy, soon()).await.unwrap();
}
