//! Typed ids: swapping two of them does not compile. UUIDv7, so that they sort by creation.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use sha2::{Digest, Sha256};
use std::fmt;
use std::str::FromStr;
use uuid::{NoContext, Timestamp, Uuid};

use super::time::UnixMillis;

/// A text that is not an id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not an id: expected a UUID")]
pub struct NotAnId;

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
        #[serde(transparent)]
        pub struct $name(Uuid);

        impl $name {
            /// A new id that sorts at `now`; its other bits are random.
            #[must_use]
            pub fn mint(now: UnixMillis) -> Self {
                let millis = now.unsigned();
                let nanos = u32::try_from(millis % 1000).unwrap_or(0) * 1_000_000;
                Self(Uuid::new_v7(Timestamp::from_unix(NoContext, millis / 1000, nanos)))
            }
        }

        impl $name {
            /// The id that sorts at `at` and is otherwise made from `seed`: asking twice gives the same id.
            #[must_use]
            pub fn derive(at: UnixMillis, seed: &[u8]) -> Self {
                let digest = Sha256::digest(seed);
                let mut random = [0; 10];
                random.copy_from_slice(&digest[..10]);
                Self(uuid::Builder::from_unix_timestamp_millis(at.unsigned(), &random).into_uuid())
            }

            /// The id's 16 bytes.
            #[must_use]
            pub const fn bytes(self) -> [u8; 16] {
                self.0.into_bytes()
            }

            /// The id with these 16 bytes.
            #[must_use]
            pub const fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(Uuid::from_bytes(bytes))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.as_hyphenated().fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = NotAnId;
            fn from_str(text: &str) -> Result<Self, NotAnId> {
                // One spelling only: an id is also a key, and two spellings would be two keys.
                let id = Uuid::try_parse(text).map_err(|_| NotAnId)?;
                if id.as_hyphenated().to_string() == text { Ok(Self(id)) } else { Err(NotAnId) }
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
            }
        }
    )*};
}

ids! {
    /// A teacher's account: the owner of assignments and of token counters.
    AccountId
    /// An assignment (*devoir*).
    AssignmentId
    /// A pupil's copy (*copie*).
    CopyId
    /// A run (*correction*): one request to grade some copies with one barème version.
    RunId
    /// One message group waiting in the outbox.
    OutboxId
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_sort_by_the_time_they_were_minted() {
        let early = RunId::mint(UnixMillis::new(1_700_000_000_000));
        let late = RunId::mint(UnixMillis::new(1_700_000_000_001));
        assert!(early < late && early.to_string() < late.to_string());
    }

    #[test]
    fn an_id_has_one_spelling() {
        let id = CopyId::mint(UnixMillis::new(1_700_000_000_000));
        assert_eq!(id.to_string().parse(), Ok(id));
        for wrong in [
            "",
            "x",
            "../..",
            &id.to_string().to_uppercase(),
            &id.to_string().replace('-', ""),
        ] {
            assert_eq!(wrong.parse::<CopyId>(), Err(NotAnId), "{wrong}");
            assert!(serde_json::from_value::<CopyId>(wrong.into()).is_err(), "{wrong}");
        }
    }
}
