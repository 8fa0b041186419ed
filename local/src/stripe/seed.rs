//! Chance that a test can repeat.

use serde::{Deserialize, Serialize};

/// SplitMix64: small, fast, and the same on every machine.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Seed(u64);

impl Seed {
    /// The same number gives the same history.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next 64 bits.
    pub const fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }

    /// A number below `end`; 0 if `end` is 0.
    pub const fn below(&mut self, end: u64) -> u64 {
        match self.bits().checked_rem(end) {
            Some(number) => number,
            None => 0,
        }
    }

    /// True in `per_cent` cases of a hundred.
    pub fn chance(&mut self, per_cent: u8) -> bool {
        self.below(100) < u64::from(per_cent)
    }

    /// Letters and digits, as in Stripe's ids.
    pub(super) fn letters(&mut self, length: usize) -> String {
        const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
        let mut letters = String::with_capacity(length);
        while letters.len() < length {
            let mut bits = self.bits();
            // Ten letters use 59.5 of the 64 bits.
            for _ in 0..10.min(length - letters.len()) {
                let index = usize::try_from(bits % 62).unwrap_or_default();
                letters.push(char::from(ALPHABET.get(index).copied().unwrap_or(b'0')));
                bits /= 62;
            }
        }
        letters
    }
}
