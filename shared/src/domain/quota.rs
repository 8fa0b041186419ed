//! Tiers, token counters and reservations: the rules of the ledger.
//!
//! Money has states: a run *reserves* before anything is sent, each copy's charge is taken from the
//! reservation, and the reservation is *posted* once, when its last copy is resolved: what was used stays
//! used, the rest comes back. So `used + reserved` never passes `granted`, whatever fails or arrives twice.
//! (The vocabulary is TigerBeetle's two-phase transfer.)
//!
//! | | granted | used | reserved | remaining |
//! |---|---|---|---|---|
//! | an account of the tier Free | 100,000 | 0 | 0 | 100,000 |
//! | starts a run of ten typed copies: 5,000 for the run, 7,000 a copy | 100,000 | 0 | 75,000 | 25,000 |
//! | nine are graded for 1,700 each, one fails, the run is over | 100,000 | 15,300 | 0 | 84,700 |
//!
//! Whether a run may start is one condition that the table checks while it writes the reservation, so that two starts
//! at once cannot both pass: `remaining >= amount`, in `store/reserve.rs`.

use serde::{Deserialize, Serialize};

/// A tier (*formule*), in order of what it grants.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Tier {
    /// Démo: granted once, never renewed.
    #[default]
    Free,
    /// Essentiel.
    Essentiel,
    /// Pro.
    Pro,
    /// Max.
    Max,
}

impl Tier {
    /// Every tier, cheapest first.
    pub const ALL: [Self; 4] = [Self::Free, Self::Essentiel, Self::Pro, Self::Max];

    /// The name in answers and configuration.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Free => "free",
            Self::Essentiel => "essentiel",
            Self::Pro => "pro",
            Self::Max => "max",
        }
    }
}

/// The period that a counter belongs to. Nothing is ever reset: a new paid period is a new counter.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Period(String);

impl Period {
    /// The Free tier's only period.
    #[must_use]
    pub fn free() -> Self {
        Self("free".to_owned())
    }

    /// A paid period, named by its subscription and start: `sub_123@1763596800`.
    /// `None` where the text could not be a part of a key.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '@' | '-');
        (!text.is_empty() && text.len() <= 80 && text.chars().all(plain)).then(|| Self(text.to_owned()))
    }

    /// As it stands in keys and answers.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// One account's counter for one period. Unit: tokens. `granted = used + reserved + remaining`, always.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Counter {
    /// What the tier gives for the period.
    pub granted: u64,
    /// Held by runs that are not finished.
    pub reserved: u64,
    /// Charged.
    pub used: u64,
    /// Free to reserve. Stored, because a DynamoDB condition cannot subtract.
    pub remaining: u64,
}

/// One line of the ledger: what an operation did to its counter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Entry {
    /// The period was opened, or its grant raised.
    Grant {
        /// Tokens added.
        tokens: u64,
    },
    /// The grant was lowered, never below what is used and reserved.
    Revoke {
        /// Tokens taken back from what remained.
        tokens: u64,
    },
    /// A run took hold of tokens, or a copy asked for more of them.
    Reserve {
        /// Tokens moved from remaining to reserved.
        tokens: u64,
    },
    /// A run was resolved.
    Post {
        /// The whole reservation.
        reserved: u64,
        /// What of it was charged; the rest went back.
        used: u64,
    },
    /// A copy (or the call that warms the cache) was charged to its run's reservation. The counter moves when
    /// the run is posted; `Post.used` is the sum of these.
    Charge {
        /// Tokens charged.
        tokens: u64,
        /// Tokens paid to the provider but not charged to the teacher.
        waste: u64,
    },
}

impl Counter {
    /// A counter that nothing was taken from.
    #[must_use]
    pub const fn opened(granted: u64) -> Self {
        Self {
            granted,
            reserved: 0,
            used: 0,
            remaining: granted,
        }
    }

    /// The counter after `entry`; `None` when the entry is impossible here (it would make a field negative).
    #[must_use]
    pub fn after(self, entry: Entry) -> Option<Self> {
        let next = match entry {
            Entry::Grant { tokens } => Self {
                granted: self.granted.checked_add(tokens)?,
                remaining: self.remaining.checked_add(tokens)?,
                ..self
            },
            Entry::Revoke { tokens } => Self {
                granted: self.granted.checked_sub(tokens)?,
                remaining: self.remaining.checked_sub(tokens)?,
                ..self
            },
            Entry::Reserve { tokens } => Self {
                reserved: self.reserved.checked_add(tokens)?,
                remaining: self.remaining.checked_sub(tokens)?,
                ..self
            },
            Entry::Post { reserved, used } => Self {
                reserved: self.reserved.checked_sub(reserved)?,
                used: self.used.checked_add(used)?,
                remaining: self.remaining.checked_add(reserved.checked_sub(used)?)?,
                ..self
            },
            Entry::Charge { .. } => self,
        };
        Some(next)
    }

    /// The counter that a list of entries amounts to, in any order that never goes below zero.
    /// Sums are taken whole, because entries written in the same instant have no order.
    #[must_use]
    pub fn fold(entries: impl IntoIterator<Item = Entry>) -> Option<Self> {
        let (mut granted, mut revoked, mut held, mut released, mut used) = (0u64, 0u64, 0u64, 0u64, 0u64);
        for entry in entries {
            match entry {
                Entry::Grant { tokens } => granted = granted.checked_add(tokens)?,
                Entry::Revoke { tokens } => revoked = revoked.checked_add(tokens)?,
                Entry::Reserve { tokens } => held = held.checked_add(tokens)?,
                Entry::Post {
                    reserved,
                    used: charged,
                } => {
                    released = released.checked_add(reserved)?;
                    used = used.checked_add(charged)?;
                }
                Entry::Charge { .. } => {}
            }
        }
        let granted = granted.checked_sub(revoked)?;
        let reserved = held.checked_sub(released)?;
        let remaining = granted.checked_sub(used)?.checked_sub(reserved)?;
        Some(Self {
            granted,
            reserved,
            used,
            remaining,
        })
    }

    /// Invariant I1.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.used
            .checked_add(self.reserved)
            .and_then(|held| held.checked_add(self.remaining))
            == Some(self.granted)
    }

    /// The entry that moves this counter's grant to `granted`: a raise in full, a cut down to what is already
    /// used and reserved. `None` when nothing changes.
    #[must_use]
    pub fn regrant(&self, granted: u64) -> Option<Entry> {
        if granted > self.granted {
            return Some(Entry::Grant {
                tokens: granted - self.granted,
            });
        }
        let tokens = (self.granted - granted).min(self.remaining);
        (tokens > 0).then_some(Entry::Revoke { tokens })
    }
}

/// What a typed copy is estimated at. Unit: tokens.
const TYPED_COPY_TOKENS: u64 = 7_000;

/// What one copy reserves at the start of its run, before anyone has opened its PDF. Unit: tokens.
///
/// It covers the upper bounds of the calls for most copies of two pages: full typed ones are bounded at up to 6,900 (a
/// token a byte, and the longest answer allowed), scans of one and two pages at 6,700 and 9,800 for their
/// transcription, and closely written ones at 9,100 and 15,300 for the grading that follows. A typed PDF weighs tens
/// of kilobytes, a scanned page mostly 100 to 500. Beyond a megabyte, size says more of the camera than of the pupil: each
/// megabyte is taken for one more page of average cost, so that thirty photographed copies do not need a tier of their
/// own. What is not used comes back; a copy that needs more (thirty typed pages in a small file) asks for it when its
/// pages are known, before anything is sent.
#[must_use]
pub fn copy_estimate_tokens(size_bytes: u64) -> u64 {
    const SCAN_BYTES_MIN: u64 = 100_000;
    const SCANNED_PAGE_BYTES: u64 = 200_000;
    const SCANNED_PAGE_TOKENS_MAX: u64 = 4_500;
    const FULL_PAGES: u64 = 2;
    const MEGABYTE: u64 = 1_000_000;
    const SCANNED_PAGE_TOKENS: u64 = 2_500;
    const PAGES_MAX: u64 = 200;
    if size_bytes < SCAN_BYTES_MIN {
        return TYPED_COPY_TOKENS;
    }
    let full = size_bytes.div_ceil(SCANNED_PAGE_BYTES).min(FULL_PAGES);
    let more = size_bytes.saturating_sub(MEGABYTE).div_ceil(MEGABYTE);
    let more = more.min(PAGES_MAX - FULL_PAGES);
    TYPED_COPY_TOKENS + SCANNED_PAGE_TOKENS_MAX * full + SCANNED_PAGE_TOKENS * more
}

/// Whether the copy with this estimate is probably a scan. Unit: tokens.
#[must_use]
pub const fn seems_scanned(estimate_tokens: u64) -> bool {
    estimate_tokens > TYPED_COPY_TOKENS
}

/// Which of the estimates fit into `remaining` beside `fixed` tokens for the run itself: as many as can, so the
/// lightest. Their places, in order.
#[must_use]
pub fn places_that_fit(remaining: u64, fixed: u64, estimates: &[u64]) -> Vec<usize> {
    let mut left = remaining.saturating_sub(fixed);
    let mut places: Vec<usize> = (0..estimates.len()).collect();
    places.sort_by_key(|&place| estimates[place]);
    places.retain(|&place| {
        let fits = estimates[place] <= left;
        left = left.saturating_sub(estimates[place]);
        fits
    });
    places.sort_unstable();
    places
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn entry() -> impl Strategy<Value = Entry> {
        let tokens = 0u64..50_000;
        prop_oneof![
            tokens.clone().prop_map(|tokens| Entry::Grant { tokens }),
            tokens.clone().prop_map(|tokens| Entry::Revoke { tokens }),
            tokens.clone().prop_map(|tokens| Entry::Reserve { tokens }),
            (tokens.clone(), tokens).prop_map(|(a, b)| Entry::Post {
                reserved: a.max(b),
                used: a.min(b)
            }),
        ]
    }

    proptest! {
        #[test]
        fn a_counter_stays_whole_and_equals_the_fold_of_its_entries(entries in proptest::collection::vec(entry(), 0..60)) {
            let mut counter = Counter::default();
            let mut applied = Vec::new();
            for entry in entries {
                if let Some(next) = counter.after(entry) {
                    counter = next;
                    applied.push(entry);
                }
                prop_assert!(counter.is_whole());
            }
            prop_assert_eq!(Counter::fold(applied.iter().copied()), Some(counter));
            prop_assert_eq!(Counter::fold(applied.into_iter().rev()), Some(counter));
        }

        #[test]
        fn a_change_of_grant_never_makes_remaining_negative(used in 0u64..1000, reserved in 0u64..1000, remaining in 0u64..1000, granted in 0u64..5000) {
            let counter = Counter { granted: used + reserved + remaining, reserved, used, remaining };
            let after = counter.regrant(granted).map_or(Some(counter), |entry| counter.after(entry)).unwrap();
            prop_assert!(after.is_whole());
            prop_assert_eq!(after.granted, granted.max(used + reserved));
        }
    }

    #[test]
    fn a_copy_is_estimated_by_the_pages_that_its_size_can_hold() {
        for (size_bytes, tokens) in [
            (0, 7_000),
            (45_000, 7_000),
            (130_000, 11_500),
            (270_000, 16_000),
            (1_000_000, 16_000),
            (1_000_001, 18_500),
            (4_000_000, 23_500),
            (u64::MAX, 16_000 + 2_500 * 198),
        ] {
            assert_eq!(copy_estimate_tokens(size_bytes), tokens, "{size_bytes}");
        }
    }

    #[test]
    fn a_class_of_photographed_copies_fits_a_new_period_of_the_smallest_paid_tier() {
        let class: u64 = [copy_estimate_tokens(4_000_000); 30].iter().sum();
        assert!(class < 1_200_000, "{class}");
    }

    #[test]
    fn a_run_is_told_which_copies_would_fit_and_a_heavy_one_hides_no_other() {
        let none: [usize; 0] = [];
        assert_eq!(places_that_fit(10_000, 2_000, &[4_000, 4_000, 1]), [0, 2]);
        assert_eq!(places_that_fit(10_000, 2_000, &[9_000, 4_000, 4_000]), [1, 2]);
        assert_eq!(places_that_fit(1_000, 2_000, &[1]), none);
        assert_eq!(places_that_fit(u64::MAX, 0, &[u64::MAX, 1]), [1]);
        assert_eq!(places_that_fit(5, 0, &[0, 5, 6]), [0, 1]);
    }

    #[test]
    fn a_period_cannot_smuggle_a_key() {
        assert!(Period::parse("sub_1A@1763596800").is_some());
        for wrong in ["", "a#b", "é", &"x".repeat(81)] {
            assert_eq!(Period::parse(wrong), None, "{wrong}");
        }
    }
}
