//! Everything that can go wrong with a request, in one enum that knows no HTTP, and everything that can go
//! wrong with one copy.

mod malformed;
mod missing;

use serde::{Deserialize, Serialize};

use super::Language;
use super::catalogue::Upgrade;
use super::ids::CopyId;
use super::quota::Tier;

pub use malformed::Malformed;
pub use missing::Noun;

/// A sentence in both languages: what is wrong, where, and what to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sentence {
    fr: String,
    en: String,
}

impl Sentence {
    /// The same sentence in French and English.
    pub fn new(fr: impl Into<String>, en: impl Into<String>) -> Self {
        Self {
            fr: fr.into(),
            en: en.into(),
        }
    }

    /// The sentence in the caller's language.
    #[must_use]
    pub fn text(&self, language: Language) -> &str {
        match language {
            Language::Fr => &self.fr,
            Language::En => &self.en,
        }
    }
}

/// Text for our log only. It has no `Display`, so it cannot reach an answer by accident.
#[derive(Clone, PartialEq, Eq)]
pub struct Internal(String);

impl Internal {
    /// Wraps what a dependency said.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// For the one place that logs failures.
    #[must_use]
    pub fn for_log(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Internal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Internal(…)")
    }
}

/// Why a token was not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unauthenticated {
    /// No token.
    Missing,
    /// A token whose time is over.
    Expired,
    /// A token that we did not sign, or not for this use.
    Forged,
}

/// Why a request does not fit the state of things.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Conflict {
    /// The idempotency key was used with another body.
    KeyReused,
    /// Some of the copies are in a run that is not finished. How many.
    CopiesBusy(usize),
    /// No copy can be graded: none uploaded, or all graded.
    NothingToGrade,
    /// The assignment has no barème yet.
    NoRubric,
    /// A payment is disputed or was given back: nothing is started.
    AccountFrozen,
    /// The paid period is over, and Stripe has not said that another began.
    RenewalUnknown,
    /// The account has a subscription: it is changed, not bought again.
    Subscribed,
    /// The account has none.
    NotSubscribed,
    /// An invoice waits for its payment.
    PaymentDue,
    /// The bank refused the card.
    PaymentDeclined,
    /// Runs of this period failed after they were paid for, as much as the tier grants.
    TooManyFailures,
}

/// A run that does not fit what is left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuotaExceeded {
    /// The account's tier.
    pub tier: Tier,
    /// Tokens granted for this period.
    pub limit_tokens: u64,
    /// Tokens neither used nor reserved.
    pub remaining_tokens: u64,
    /// Tokens the run would reserve.
    pub needed_tokens: u64,
    /// As many of the asked copies as would fit, the lightest.
    pub fitting: Vec<CopyId>,
    /// Whether the account is subscribed: then its tier is changed, else bought.
    pub subscribed: bool,
    /// The tiers above, cheapest first.
    pub upgrades: Vec<Upgrade>,
}

/// A failure of one request. Each has a status and a stable type in `http::problem`.
#[derive(Debug, Clone, PartialEq)]
pub enum Failure {
    /// The request is not what the route takes: not JSON, a wrong type, a missing field.
    Malformed(Malformed),
    /// A field breaks a rule; `path` names it.
    Invalid {
        /// Where, as `questions[2].points`.
        path: String,
        /// Stable, kebab-case.
        code: &'static str,
        /// What and what to do.
        sentence: Sentence,
    },
    /// The body is larger than the route takes. Unit: bytes.
    BodyTooLarge(usize),
    /// No valid session.
    Unauthenticated(Unauthenticated),
    /// Not there, or not the caller's.
    NotFound(Noun),
    /// The route does not take this method.
    MethodNotAllowed,
    /// The state of things forbids it.
    Conflict(Conflict),
    /// Blocked by the quota; never overage.
    QuotaExceeded(QuotaExceeded),
    /// A dependency throttles, conflicts or is away; the same request may pass later.
    Unavailable(Internal),
    /// Our fault.
    Internal(Internal),
}

impl Failure {
    /// What happened, for the log alone: ours in its own words, any other by its code.
    #[must_use]
    pub fn cause(&self) -> &str {
        match self {
            Self::Internal(internal) | Self::Unavailable(internal) => internal.for_log(),
            other => other.code(),
        }
    }

    /// Whether the same request may succeed later without a change.
    #[must_use]
    pub fn retryable(&self) -> bool {
        match self {
            Self::Unavailable(_) => true,
            Self::Malformed(_)
            | Self::Invalid { .. }
            | Self::BodyTooLarge(_)
            | Self::Unauthenticated(_)
            | Self::NotFound(_)
            | Self::MethodNotAllowed
            | Self::Conflict(_)
            | Self::QuotaExceeded(_)
            | Self::Internal(_) => false,
        }
    }

    /// The field of the body that is wrong, where one is.
    #[must_use]
    pub fn path(&self) -> Option<String> {
        match self {
            Self::Invalid { path, .. } => Some(path.clone()),
            Self::NotFound(noun) => noun.path(),
            _ => None,
        }
    }

    /// The stable type of the problem, kebab-case: `/problems/<code>`.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Malformed(_) => "malformed-body",
            Self::Invalid { code, .. } => code,
            Self::BodyTooLarge(_) => "body-too-large",
            Self::Unauthenticated(Unauthenticated::Missing) => "session-missing",
            Self::Unauthenticated(Unauthenticated::Expired) => "session-expired",
            Self::Unauthenticated(Unauthenticated::Forged) => "session-invalid",
            Self::NotFound(_) => "not-found",
            Self::MethodNotAllowed => "method-not-allowed",
            Self::Conflict(Conflict::KeyReused) => "idempotency-key-reused",
            Self::Conflict(Conflict::CopiesBusy(_)) => "copies-busy",
            Self::Conflict(Conflict::NothingToGrade) => "nothing-to-grade",
            Self::Conflict(Conflict::NoRubric) => "no-rubric",
            Self::Conflict(Conflict::AccountFrozen) => "account-frozen",
            Self::Conflict(Conflict::TooManyFailures) => "too-many-failures",
            Self::Conflict(Conflict::RenewalUnknown) => "renewal-unknown",
            Self::Conflict(Conflict::Subscribed) => "already-subscribed",
            Self::Conflict(Conflict::NotSubscribed) => "not-subscribed",
            Self::Conflict(Conflict::PaymentDue) => "payment-due",
            Self::Conflict(Conflict::PaymentDeclined) => "payment-declined",
            Self::QuotaExceeded(_) => "quota-exceeded",
            Self::Unavailable(_) => "unavailable",
            Self::Internal(_) => "internal",
        }
    }

    /// What the caller reads.
    #[must_use]
    pub fn sentence(&self) -> Sentence {
        match self {
            Self::Malformed(how) => how.sentence(),
            Self::Invalid { sentence, .. } => sentence.clone(),
            Self::BodyTooLarge(bytes_max) => Sentence::new(
                format!("Le corps dépasse {bytes_max} octets : envoyez-en moins à la fois."),
                format!("The body is over {bytes_max} bytes: send less at a time."),
            ),
            Self::Unauthenticated(Unauthenticated::Missing) => Sentence::new(
                "Connectez-vous : la requête ne porte pas de jeton de session.",
                "Sign in: the request carries no session token.",
            ),
            Self::Unauthenticated(Unauthenticated::Expired) => Sentence::new(
                "Votre session a expiré : reconnectez-vous. Rien n'est perdu.",
                "Your session has expired: sign in again. Nothing is lost.",
            ),
            Self::Unauthenticated(Unauthenticated::Forged) => Sentence::new(
                "Ce jeton de session n'est pas valable : reconnectez-vous.",
                "This session token is not valid: sign in again.",
            ),
            Self::NotFound(noun) => noun.sentence(),
            Self::MethodNotAllowed => Sentence::new(
                "Cette adresse n'accepte pas cette méthode : voyez openapi.json.",
                "This address does not take this method: see openapi.json.",
            ),
            Self::Conflict(conflict) => conflict.sentence(),
            Self::QuotaExceeded(quota) => quota.sentence(),
            Self::Unavailable(_) => Sentence::new(
                "Le service est momentanément surchargé. Réessayez dans quelques secondes ; rien n'est perdu.",
                "The service is busy for a moment. Try again in a few seconds; nothing is lost.",
            ),
            Self::Internal(_) => Sentence::new(
                "Une erreur de notre côté. Réessayez ; si elle persiste, écrivez-nous avec l'identifiant.",
                "An error on our side. Try again; if it stays, write to us with the identifier.",
            ),
        }
    }
}

impl QuotaExceeded {
    fn sentence(&self) -> Sentence {
        let (advice, conseil) = match self.fitting.len() {
            0 => (
                "None of these copies fits: change tier, or lower the resolution of heavy files.".to_owned(),
                "Aucune de ces copies n'y tient : changez de formule, ou réduisez la résolution des fichiers lourds."
                    .to_owned(),
            ),
            1 => (
                "Grade the lightest or change tier.".to_owned(),
                "Corrigez la plus légère ou changez de formule.".to_owned(),
            ),
            fit => (
                format!("Grade the {fit} lightest or change tier."),
                format!("Corrigez les {fit} plus légères ou changez de formule."),
            ),
        };
        let (needed, left, limit, tier) = (
            self.needed_tokens,
            self.remaining_tokens,
            self.limit_tokens,
            self.tier.name(),
        );
        Sentence::new(
            format!(
                "Cette correction réserverait {needed} jetons ; il en reste {left} sur {limit} (formule {tier}). \
                 {conseil} Rien de ce qui est déposé n'est perdu."
            ),
            format!(
                "This run would reserve {needed} tokens; {left} of {limit} are left (tier {tier}). {advice} Nothing \
                 already uploaded is lost."
            ),
        )
    }
}

impl Conflict {
    fn sentence(&self) -> Sentence {
        match self {
            Self::KeyReused => Sentence::new(
                "Cette clé d'idempotence a déjà servi à une autre requête : prenez-en une nouvelle.",
                "This idempotency key was used for another request: take a new one.",
            ),
            Self::CopiesBusy(count) => Sentence::new(
                format!(
                    "{count} copie(s) sont dans une correction qui n'est pas finie : attendez-la, ou arrêtez-la."
                ),
                format!("{count} copies are in a run that is not over: wait for it, or stop it."),
            ),
            Self::NothingToGrade => Sentence::new(
                "Aucune copie à corriger : déposez des copies, relancez celles qui ont échoué, ou nommez celles à recorriger.",
                "No copy to grade: upload copies, retry the failed ones, or name those to grade again.",
            ),
            Self::NoRubric => Sentence::new(
                "Ce devoir n'a pas encore de barème : ajoutez-en un avant de corriger.",
                "This assignment has no barème yet: add one before grading.",
            ),
            Self::AccountFrozen => Sentence::new(
                "Un paiement est contesté ou a été remboursé : aucune correction ne part tant que ce n'est pas réglé. Écrivez-nous. Relecture et exports restent ouverts.",
                "A payment is disputed or was given back: nothing is graded until that is settled. Write to us. Review and export stay open.",
            ),
            Self::RenewalUnknown => Sentence::new(
                "Votre période est terminée et son renouvellement n'est pas encore confirmé : nous le demandons à Stripe, réessayez dans une minute.",
                "Your period is over and its renewal is not confirmed yet: we are asking Stripe, try again in a minute.",
            ),
            Self::Subscribed => Sentence::new(
                "Vous avez déjà un abonnement : changez de formule au lieu d'en acheter un second.",
                "You have a subscription already: change its tier instead of buying a second one.",
            ),
            Self::NotSubscribed => Sentence::new(
                "Ce compte n'a pas d'abonnement : choisissez d'abord une formule.",
                "This account has no subscription: choose a tier first.",
            ),
            Self::PaymentDue => Sentence::new(
                "Une facture attend son paiement. Après un renouvellement, elle est prélevée dans l'heure ; sinon réglez-la (pay_page de GET /api/subscription/status), puis changez de formule.",
                "An invoice waits for its payment. After a renewal it is collected within the hour; otherwise pay it (pay_page of GET /api/subscription/status), then change your tier.",
            ),
            Self::TooManyFailures => Sentence::new(
                "Trop de copies ont échoué sans être débitées : plus rien ne part dans cette période. Écrivez-nous, nous regardons avec vous. Rien de ce qui est déposé ou corrigé n'est perdu.",
                "Too many copies failed without being charged: nothing more is graded in this period. Write to us, we will look at it together. Nothing that is uploaded or graded is lost.",
            ),
            Self::PaymentDeclined => Sentence::new(
                "La banque a refusé le paiement : rien n'a changé. Mettez une autre carte (portail de paiement), puis réessayez.",
                "The bank declined the payment: nothing has changed. Put in another card (payment portal), then try again.",
            ),
        }
    }
}

/// Why one copy ended without a proposal. It fails alone: the others of its run go on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CopyFailure {
    code: String,
    sentence: Sentence,
}

impl CopyFailure {
    /// A failure found by another room (the PDF reader, the model's client), with its stable code.
    pub fn new(code: impl Into<String>, sentence: Sentence) -> Self {
        Self {
            code: code.into(),
            sentence,
        }
    }

    /// The slot was given, but no file came.
    #[must_use]
    pub fn file_missing() -> Self {
        Self::new(
            "file-missing",
            Sentence::new(
                "Le fichier n'a pas été déposé : déposez-le, puis relancez cette copie.",
                "The file was not uploaded: upload it, then retry this copy.",
            ),
        )
    }

    /// The copy needs more tokens than its reservation and what is left together.
    #[must_use]
    pub fn quota(needed_tokens: u64) -> Self {
        Self::new(
            "quota-exceeded",
            Sentence::new(
                format!(
                    "Cette copie demande {needed_tokens} jetons, plus qu'il n'en reste : elle n'est pas corrigée, \
                     et rien n'est débité. Changez de formule, puis relancez-la."
                ),
                format!(
                    "This copy needs {needed_tokens} tokens, more than are left: it is not graded, and nothing is \
                     charged. Change tier, then retry it."
                ),
            ),
        )
    }

    /// Its worker died too often.
    #[must_use]
    pub fn attempts_exhausted() -> Self {
        Self::new(
            "attempts-exhausted",
            Sentence::new(
                "La correction de cette copie a été interrompue trop de fois. Rien n'est débité : relancez-la.",
                "Grading this copy was cut short too often. Nothing is charged: retry it.",
            ),
        )
    }

    /// Its run's time was over before it was graded.
    #[must_use]
    pub fn expired() -> Self {
        Self::new(
            "expired",
            Sentence::new(
                "Cette copie n'a pas été corrigée à temps. Rien n'est débité : relancez-la.",
                "This copy was not graded in time. Nothing is charged: retry it.",
            ),
        )
    }

    /// Stable, kebab-case.
    #[must_use]
    pub fn code(&self) -> &str {
        &self.code
    }

    /// What the teacher reads.
    #[must_use]
    pub fn sentence(&self) -> &Sentence {
        &self.sentence
    }
}
