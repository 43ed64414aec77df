use std::time::Duration;

use super::Cache;

/// Times in milliseconds, each at least 1 and at most a year.
#[derive(Clone, Copy, Debug)]
pub(super) struct Settings {
    pub(super) ttl: u64,
    pub(super) absent_ttl: u64,
    pub(super) stale_for: u64,
    pub(super) jitter: f64,
    pub(super) lock: u64,
    pub(super) wait: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self { ttl: 300_000, absent_ttl: 30_000, stale_for: 0, jitter: 0.1, lock: 10_000, wait: 15_000 }
    }
}

impl<C> Cache<C> {
    /// How long a document is fresh at most; 5 minutes unless said otherwise.
    #[must_use]
    pub fn with_ttl(mut self, ttl: Duration) -> Self {
        self.settings.ttl = milliseconds(ttl).max(1);
        self
    }

    /// For how long it is known that there is nothing; 30 seconds unless said otherwise. Should be short: whoever creates
    /// the document may not think of the cache.
    #[must_use]
    pub fn with_absent_ttl(mut self, ttl: Duration) -> Self {
        self.settings.absent_ttl = milliseconds(ttl).max(1);
        self
    }

    /// By what share of itself a TTL is shortened at random: 0 to 0.9, a tenth unless said otherwise. Of a TTL of 100 s
    /// with 0.1 become 90 to 100 s.
    #[must_use]
    pub fn with_jitter(mut self, share: f64) -> Self {
        self.settings.jitter = if share.is_nan() { 0.0 } else { share.clamp(0.0, 0.9) };
        self
    }

    /// For how long after its TTL a document may still be served, while one caller loads it anew; not at all unless said
    /// otherwise. If that load fails, the caller gets the stale document too.
    #[must_use]
    pub fn with_stale_for(mut self, time: Duration) -> Self {
        self.settings.stale_for = milliseconds(time);
        self
    }

    /// How long a load may take; 10 seconds unless said otherwise. After that somebody else loads, and what the slow one
    /// brings is given to its caller and not stored.
    #[must_use]
    pub fn with_load_time(mut self, time: Duration) -> Self {
        self.settings.lock = milliseconds(time).max(1);
        self
    }

    /// How long one waits for somebody else's load, before [`CacheError::GaveUp`](super::CacheError::GaveUp); 15 seconds
    /// unless said otherwise. Longer than the load time, so that one who waits can take over from a loader that died.
    #[must_use]
    pub fn with_wait(mut self, time: Duration) -> Self {
        self.settings.wait = milliseconds(time);
        self
    }
}

impl Settings {
    /// How long an entry lives, `chance` being from 0 to 1.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "at most a year, at least 0")]
    pub(super) fn life(&self, is_there: bool, chance: f64) -> u64 {
        let ttl = if is_there { self.ttl } else { self.absent_ttl };
        let less = (ttl as f64 * self.jitter * chance) as u64;
        ttl.saturating_sub(less).max(1) + self.stale_for
    }
}

fn milliseconds(time: Duration) -> u64 {
    const YEAR: u64 = 365 * 24 * 60 * 60 * 1000;
    u64::try_from(time.as_millis()).unwrap_or(YEAR).min(YEAR)
}
