//! What the billing queue carries.

use serde::{Deserialize, Serialize};

use super::ids::AccountId;
use super::time::UnixMillis;

/// One thing to look at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "ask", rename_all = "kebab-case")]
pub enum Message {
    /// Stripe says that something happened to a customer.
    Event {
        /// The event's id.
        id: String,
        /// What happened, as `invoice.paid`.
        kind: String,
        /// To whom.
        about: About,
    },
    /// A truth is asked for, whatever was heard before: no record of events keeps it from being fetched.
    Sync {
        /// Whose.
        whose: Whose,
        /// Why.
        cause: Cause,
        /// When it was asked.
        at: UnixMillis,
    },
    /// A page of the daily comparison.
    Reconcile {
        /// Of which list.
        list: List,
        /// Which page, from 0.
        page: u16,
        /// The page after this one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        after: Option<String>,
        /// When the comparison began.
        at: UnixMillis,
    },
}

/// Whom an event is about.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum About {
    /// A customer.
    Customer(String),
    /// Whoever made a charge.
    Charge(String),
}

/// Whose truth is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Whose {
    /// An account's.
    Account(AccountId),
    /// A customer's, whoever that is.
    Customer(String),
}

/// Why a truth is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cause {
    /// A renewal that nobody told us of, or a person who asks.
    Asked,
    /// The daily comparison: what it changes, an event should have.
    Reconcile,
}

/// What the daily comparison goes through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum List {
    /// The accounts that we take for subscribed.
    Ours,
    /// The subscriptions that are live at Stripe.
    Theirs,
    /// The events that Stripe could not deliver.
    Undelivered,
    /// The catalogue's prices.
    Prices,
    /// How the portal is set up: one page.
    Portal,
}

impl List {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Ours,
        Self::Theirs,
        Self::Undelivered,
        Self::Prices,
        Self::Portal,
    ];

    const fn name(self) -> &'static str {
        match self {
            Self::Ours => "ours",
            Self::Theirs => "theirs",
            Self::Undelivered => "undelivered",
            Self::Prices => "prices",
            Self::Portal => "portal",
        }
    }
}

impl About {
    /// The id at Stripe.
    #[must_use]
    pub fn id(&self) -> &str {
        match self {
            Self::Customer(id) | Self::Charge(id) => id,
        }
    }
}

impl Whose {
    fn id(&self) -> String {
        match self {
            Self::Account(account) => account.to_string(),
            Self::Customer(customer) => customer.clone(),
        }
    }
}

impl Message {
    /// What is handled one after the other.
    #[must_use]
    pub fn group(&self) -> String {
        match self {
            Self::Event { about, .. } => about.id().to_owned(),
            Self::Sync { whose, .. } => whose.id(),
            Self::Reconcile { list, .. } => format!("reconcile-{}", list.name()),
        }
    }

    /// The same for messages that ask the same: the queue drops the second within five minutes. A sync is asked
    /// at most once a minute.
    #[must_use]
    pub fn deduplication(&self) -> String {
        match self {
            Self::Event { id, .. } => id.clone(),
            Self::Sync { whose, at, .. } => format!("sync-{}-{}", whose.id(), at.get() / 60_000),
            Self::Reconcile { list, page, at, .. } => {
                format!("reconcile-{}-{}-{page}", list.name(), at.get())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_reads_as_it_was_written_and_is_deduplicated_by_what_it_asks() {
        let at = UnixMillis::new(1_790_000_040_000);
        let account = AccountId::mint(at);
        let event = Message::Event {
            id: "evt_1".to_owned(),
            kind: "invoice.paid".to_owned(),
            about: About::Customer("cus_1".to_owned()),
        };
        let sync = |at| Message::Sync {
            whose: Whose::Account(account),
            cause: Cause::Asked,
            at,
        };
        let page = Message::Reconcile {
            list: List::Ours,
            page: 3,
            after: Some("a".to_owned()),
            at,
        };
        for message in [event.clone(), sync(at), page.clone()] {
            let text = serde_json::to_string(&message).unwrap();
            assert_eq!(serde_json::from_str::<Message>(&text).unwrap(), message);
        }
        assert_eq!(
            (event.group(), event.deduplication()),
            ("cus_1".to_owned(), "evt_1".to_owned())
        );
        assert_eq!(
            sync(at).deduplication(),
            sync(at.plus_seconds(19)).deduplication()
        );
        assert_ne!(
            sync(at).deduplication(),
            sync(at.plus_seconds(60)).deduplication()
        );
        assert_eq!(page.deduplication(), "reconcile-ours-1790000040000-3");
    }
}
