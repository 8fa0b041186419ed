//! The prompt cache: byte-exact prefixes per key and model, with a lifetime that reading renews.

use std::collections::HashMap;
use std::time::Duration;

use sha2::{Digest, Sha256};
use shared::domain::money::Usage;

use super::request::Asked;

/// A prefix's name: everything that must be equal for it to be read.
type Key = [u8; 32];

/// How long a mark asks its prefix to be kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Ttl {
    FiveMinutes,
    OneHour,
}

impl Ttl {
    fn lifetime(self) -> Duration {
        match self {
            Self::FiveMinutes => Duration::from_secs(5 * 60),
            Self::OneHour => Duration::from_secs(60 * 60),
        }
    }
}

struct Entry {
    expires: Duration,
    ttl: Ttl,
}

/// A mark of a request that is long enough to be cached.
struct Mark {
    key: Key,
    /// Of everything before it.
    tokens: u64,
    ttl: Ttl,
}

/// What a request reads and writes.
pub(super) struct Plan {
    marks: Vec<Mark>,
    /// How many of the marks, from the first, are read rather than written.
    read: usize,
    prompt_tokens: u64,
}

impl Plan {
    /// What is billed, with this much output: what lies before the last mark read is a read, up to the last
    /// one-hour mark a write for an hour, up to the last mark a write for five minutes, the rest input.
    pub(super) fn usage(&self, output_tokens: u64) -> Usage {
        let end = |marks: &mut dyn Iterator<Item = &Mark>| marks.map(|mark| mark.tokens).max().unwrap_or(0);
        let read = end(&mut self.marks.iter().take(self.read));
        let hour = end(&mut self.marks.iter().filter(|mark| mark.ttl == Ttl::OneHour)).max(read);
        let last = end(&mut self.marks.iter()).max(hour);
        Usage {
            input_tokens: self.prompt_tokens - last,
            cache_write_5m_tokens: last - hour,
            cache_write_1h_tokens: hour - read,
            cache_read_tokens: read,
            output_tokens,
        }
    }

    pub(super) fn prefix(&self) -> Option<&Key> {
        self.marks.last().map(|mark| &mark.key)
    }
}

#[derive(Default)]
pub(super) struct Cache(HashMap<Key, Entry>);

impl Cache {
    /// Looks up what `asked` may read, renewing it from `now`, the start of the request.
    pub(super) fn plan(&mut self, api_key: &str, asked: &Asked, now: Duration) -> Plan {
        self.0.retain(|_, entry| now < entry.expires);
        let marks = marks(api_key, asked);
        let read = marks
            .iter()
            .rposition(|mark| self.0.contains_key(&mark.key))
            .map_or(0, |index| index + 1);
        for mark in &marks[..read] {
            if let Some(entry) = self.0.get_mut(&mark.key) {
                entry.expires = now + entry.ttl.lifetime();
            }
        }
        let prompt_tokens = asked.blocks.iter().map(|block| block.tokens).sum();
        Plan {
            marks,
            read,
            prompt_tokens,
        }
    }

    /// Makes what `plan` writes readable. Its lifetime counts from the start of the request.
    pub(super) fn store(&mut self, plan: &Plan, started: Duration) {
        for mark in &plan.marks[plan.read..] {
            let entry = Entry {
                expires: started + mark.ttl.lifetime(),
                ttl: mark.ttl,
            };
            self.0.insert(mark.key, entry);
        }
    }
}

/// The marks of `asked` whose prefix reaches the model's minimum; shorter ones are silently not cached.
fn marks(api_key: &str, asked: &Asked) -> Vec<Mark> {
    let mut hash = Sha256::new();
    for part in [api_key, &asked.model, &asked.output_config] {
        add(&mut hash, part.as_bytes());
    }
    let mut tokens = 0;
    let mut marks = Vec::new();
    for block in &asked.blocks {
        add(&mut hash, &block.bytes);
        tokens += block.tokens;
        if let Some(ttl) = block.mark
            && tokens >= asked.cache_prefix_tokens_min
        {
            marks.push(Mark {
                key: hash.clone().finalize().into(),
                tokens,
                ttl,
            });
        }
    }
    marks
}

fn add(hash: &mut Sha256, bytes: &[u8]) {
    hash.update(bytes.len().to_be_bytes());
    hash.update(bytes);
}
