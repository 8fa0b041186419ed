//! Model calls whose answers are kept: a paid reply is stored before it is used, so that whoever takes the copy
//! over after a crash finds it instead of paying again.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use shared::domain::copy::Copy;
use shared::domain::failure::{CopyFailure, Failure, Internal, Sentence};
use shared::domain::money::{Spent, Usage, add_spent};
use shared::domain::run::Address;
use shared::grading::cost::cost;
use shared::grading::reply::ReplyError;
use shared::grading::{Part, Phase, Prompt};
use shared::llm::{Model, ModelFailure, Reason};
use shared::store::{Extended, reply_key};
use shared::telemetry::{Metrics, Unit};
use tokio::time::Instant;

use crate::meter::{Bill, unknown_tokens_max, unseen_calls};
use crate::{Doors, WAIT_SECONDS_MAX, wait_seconds};

/// Answers asked of the model for one prompt in one lease: a broken one is asked again once.
const ANSWERS_MAX: usize = 2;
const REPLY_BYTES_MAX: usize = 1024 * 1024;

/// Why a copy is not graded by this lease.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// The copy ends without a proposal.
    Copy(CopyFailure),
    /// Time may heal it.
    Later { seconds: i64, failure: CopyFailure },
    /// The worker no longer holds the copy.
    Fenced,
    /// A dependency of ours.
    Ours(Failure),
}

impl From<Failure> for Trouble {
    fn from(failure: Failure) -> Self {
        Self::Ours(failure)
    }
}

/// A reply as it is kept.
#[derive(Debug, Serialize, Deserialize)]
struct Kept {
    text: String,
    usage: Usage,
    model: String,
    request_id: Option<String>,
}

/// What one lease of a copy asked and spent.
pub(crate) struct Asking<'a, M> {
    pub(crate) doors: &'a Doors,
    pub(crate) model: &'a M,
    pub(crate) address: &'a Address,
    pub(crate) copy: &'a mut Copy,
    pub(crate) deadline: Instant,
    /// What earlier leases paid for answers that they kept. Unit: tokens.
    pub(crate) kept_before: u64,
    /// By phase and model: the answers that were used.
    pub(crate) spent: Vec<Spent>,
    /// Paid, and of no use. Unit: tokens.
    pub(crate) waste_tokens: u64,
    /// Paid by this lease, used or not. Unit: tokens.
    pub(crate) paid_tokens: u64,
    /// The models that answered, as the provider names them.
    pub(crate) models: Vec<String>,
    /// The provider's names of the calls.
    pub(crate) request_ids: Vec<String>,
}

impl<M: Model> Asking<'_, M> {
    /// Tokens of the answers that were used.
    pub(crate) fn used_tokens(&self) -> u64 {
        self.spent.iter().map(|line| line.usage.charged_tokens()).sum()
    }

    /// What the lease came to so far.
    pub(crate) fn bill(&self) -> Bill {
        let (used, paid) = (self.used_tokens(), self.paid_tokens);
        let found = (used + self.waste_tokens).saturating_sub(paid);
        Bill {
            used,
            waste: self.waste_tokens + self.kept_before.saturating_sub(found),
            broken: self.waste_tokens,
            paid,
        }
    }

    /// Shows the teacher which step the copy is in.
    pub(crate) async fn show(&mut self, phase: Phase) -> Result<(), Trouble> {
        let phase = phase.name();
        if self.copy.phase.as_deref() == Some(phase) {
            return Ok(());
        }
        if !self.doors.store.set_phase(self.address, self.copy, phase).await? {
            return Err(Trouble::Fenced);
        }
        self.copy.phase = Some(phase.to_owned());
        Ok(())
    }

    /// Takes hold of what the next calls may use beyond what the copy reserves already. Nothing is sent before.
    pub(crate) async fn hold(&mut self, tokens: u64) -> Result<(), Trouble> {
        let needed = self.used_tokens().saturating_add(tokens);
        if needed <= self.copy.reserved_tokens {
            return Ok(());
        }
        let (store, now) = (&self.doors.store, self.doors.now());
        match store.extend(self.address, self.copy, needed, now).await? {
            Extended::To(reserved) => {
                self.copy.reserved_tokens = reserved;
                Ok(())
            }
            // What the run's other copies leave may be enough; on its last lease the copy ends.
            Extended::Later => Err(Trouble::Later {
                seconds: wait_seconds(self.copy.epoch),
                failure: CopyFailure::quota(needed),
            }),
            Extended::QuotaExceeded => Err(Trouble::Copy(CopyFailure::quota(needed))),
            Extended::Fenced => Err(Trouble::Fenced),
        }
    }

    /// Asks until `read` accepts an answer, at most [`ANSWERS_MAX`] times.
    pub(crate) async fn ask<T>(
        &mut self,
        prompt: &Prompt,
        read: impl Fn(&str) -> Result<T, ReplyError>,
    ) -> Result<T, Trouble> {
        let mut last = None;
        for attempt in 0..ANSWERS_MAX {
            let key = reply_key(
                self.address,
                Some(self.copy.copy),
                &digest(&self.doors.model, prompt, attempt),
            );
            let kept = match self.kept(&key).await? {
                Some(kept) => kept,
                None => self.call(prompt, &key).await?,
            };
            match read(&kept.text) {
                Ok(value) => {
                    self.count(prompt.phase, &kept)?;
                    return Ok(value);
                }
                Err(error) => {
                    tracing::warn!(cause = %error, "an answer that cannot be used");
                    self.waste_tokens += kept.usage.charged_tokens();
                    last = Some(error);
                }
            }
        }
        tracing::warn!(cause = last.map(|error| error.to_string()), "no usable answer");
        Err(Trouble::Copy(CopyFailure::new(
            "answer-unusable",
            Sentence::new(
                "Le modèle n'a pas donné de réponse utilisable. Rien n'est débité : relancez cette copie.",
                "The model gave no usable answer. Nothing is charged: retry this copy.",
            ),
        )))
    }

    /// A reply that an earlier lease paid for. The first lease has none.
    async fn kept(&self, key: &str) -> Result<Option<Kept>, Failure> {
        if self.copy.epoch <= 1 {
            return Ok(None);
        }
        let bytes = self.doors.objects.get(key, REPLY_BYTES_MAX).await?;
        Ok(bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok()))
    }

    async fn call(&mut self, prompt: &Prompt, key: &str) -> Result<Kept, Trouble> {
        let (kept, attempts, unknown_calls) = match self.model.answer(prompt, self.deadline).await {
            Ok(answer) => {
                let receipt = answer.receipt;
                let kept = Kept {
                    text: answer.text,
                    usage: receipt.usage,
                    model: receipt.model,
                    request_id: receipt.request_id,
                };
                (kept, receipt.attempts, receipt.unknown_calls)
            }
            Err(failure) => match failure.billed.filter(|_| failure.retryable()) {
                None => {
                    let usage = failure.billed.unwrap_or_default();
                    self.paid_tokens += usage.charged_tokens();
                    self.measure(prompt, &usage, failure.attempts, unseen_calls(&failure));
                    return Err(self.refused(&failure));
                }
                // Paid for, but not JSON. Kept like any answer, it is metered whoever takes the copy over, and
                // counts among those that may be asked for.
                Some(usage) => {
                    let unseen = unseen_calls(&failure);
                    let kept = Kept {
                        text: String::new(),
                        usage,
                        model: self.doors.model.clone(),
                        request_id: failure.request_id,
                    };
                    (kept, failure.attempts, unseen)
                }
            },
        };
        self.paid_tokens += kept.usage.charged_tokens();
        self.measure(prompt, &kept.usage, attempts, unknown_calls);
        let bytes =
            serde_json::to_vec(&kept).map_err(|error| Failure::Internal(Internal::new(error.to_string())))?;
        if let Err(failure) = self.doors.objects.put(key, "application/json", bytes).await {
            // The answer is here and can be used; only a crash right now would pay for it twice.
            tracing::warn!(code = failure.code(), "a paid reply could not be kept");
        }
        Ok(kept)
    }

    /// What one call was billed.
    fn measure(&self, prompt: &Prompt, usage: &Usage, attempts: u32, unknown_calls: u32) {
        let phase = prompt.phase;
        let missed = phase == Phase::Grading && usage.prompt_tokens() > 0 && usage.cache_read_tokens == 0;
        self.emit(
            Metrics::of("worker")
                .by("phase", phase.name())
                .value("Calls", Unit::Count, u64::from(attempts))
                .value("UnknownCalls", Unit::Count, u64::from(unknown_calls))
                .value("ChargedTokens", Unit::Count, usage.charged_tokens())
                .value("CacheReadTokens", Unit::Count, usage.cache_read_tokens)
                .value("CacheMisses", Unit::Count, u64::from(missed)),
        );
        if unknown_calls > 0 {
            let tokens = unknown_tokens_max(prompt, unknown_calls);
            self.emit(Metrics::of("worker").value("UnknownTokensMax", Unit::Count, tokens));
        }
    }

    /// Measures a phase that is done, with its calls and without.
    pub(crate) fn took(&self, phase: Phase, started: i64) {
        let elapsed = self.doors.clock.now_millis() - started;
        self.emit(Metrics::of("worker").by("phase", phase.name()).value(
            "PhaseMilliseconds",
            Unit::Milliseconds,
            u64::try_from(elapsed).unwrap_or(0),
        ));
    }

    /// Writes a line of metrics about the copy.
    pub(crate) fn emit(&self, metrics: Metrics) {
        let metrics = metrics.with("run", self.address.run).with("copy", self.copy.copy);
        self.doors.emit(&metrics);
    }

    fn count(&mut self, phase: Phase, kept: &Kept) -> Result<(), Failure> {
        let rates = self.doors.rates(kept.usage.prompt_tokens())?;
        let line = Spent {
            phase: phase.name().to_owned(),
            model: self.doors.model.clone(),
            usage: kept.usage,
            cost: cost(&kept.usage, &rates),
        };
        add_spent(&mut self.spent, &[line]);
        if !self.models.contains(&kept.model) {
            self.models.push(kept.model.clone());
        }
        self.request_ids.extend(kept.request_id.clone());
        Ok(())
    }

    fn refused(&mut self, failure: &ModelFailure) -> Trouble {
        tracing::warn!(cause = %failure, "the model did not answer");
        self.waste_tokens += failure.billed.map_or(0, |usage| usage.charged_tokens());
        let reason = copy_failure(&failure.reason);
        if !failure.retryable() {
            return Trouble::Copy(reason);
        }
        let asked = match &failure.reason {
            Reason::RateLimited {
                retry_after: Some(wait),
            } => i64::try_from(wait.as_secs()).unwrap_or(i64::MAX),
            _ => wait_seconds(self.copy.epoch),
        };
        Trouble::Later {
            seconds: asked.clamp(1, WAIT_SECONDS_MAX),
            failure: reason,
        }
    }
}

/// Names a question by all that it says, so that another prompt never finds this one's answer.
fn digest(model: &str, prompt: &Prompt, attempt: usize) -> String {
    let mut hash = Sha256::new();
    let mut add = |bytes: &[u8]| {
        hash.update((bytes.len() as u64).to_be_bytes());
        hash.update(bytes);
    };
    add(model.as_bytes());
    add(prompt.prefix.as_bytes());
    for part in &prompt.copy {
        match part {
            Part::Text(text) => add(text.as_bytes()),
            Part::Jpeg(jpeg) => add(jpeg),
        }
    }
    add(prompt.schema.to_string().as_bytes());
    add(&prompt.output_tokens_max.to_be_bytes());
    add(&[u8::try_from(attempt).unwrap_or(u8::MAX)]);
    hex::encode(hash.finalize())
}

fn copy_failure(reason: &Reason) -> CopyFailure {
    let (code, fr, en) = match reason {
        Reason::Refused => (
            "model-refused",
            "Le modèle a refusé de corriger cette copie : corrigez-la à la main.",
            "The model declined to grade this copy: mark it by hand.",
        ),
        Reason::Truncated => (
            "answer-truncated",
            "La réponse du modèle dépasse la longueur prévue : découpez la copie ou le barème.",
            "The model's answer passes its bound: split the copy or the barème.",
        ),
        Reason::Unauthorized | Reason::SpendLimit => (
            "provider-account",
            "Le fournisseur du modèle refuse notre compte : prévenez l'administrateur, puis relancez.",
            "The model's provider refuses our account: tell the administrator, then retry.",
        ),
        Reason::NotConfigured => (
            "provider-not-configured",
            "La correction n'est pas configurée sur ce serveur : la clé du fournisseur du modèle manque ou ne peut \
             servir. Rien n'a été envoyé, rien n'est débité : prévenez l'administrateur, puis relancez.",
            "Grading is not configured on this server: the key of the model's provider is missing or unusable. \
             Nothing was sent and nothing is charged: tell the administrator, then retry.",
        ),
        Reason::Rejected { .. } => (
            "provider-rejected",
            "Le fournisseur du modèle rejette la demande : prévenez l'administrateur.",
            "The model's provider rejects the request: tell the administrator.",
        ),
        _ => (
            "provider-unavailable",
            "Le fournisseur du modèle ne répond pas. Rien n'est débité : relancez plus tard.",
            "The model's provider does not answer. Nothing is charged: retry later.",
        ),
    };
    CopyFailure::new(code, Sentence::new(fr, en))
}
