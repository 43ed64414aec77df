//! What INFO says, and what changed between two readings.

use std::collections::HashMap;

use redis::RedisResult;
use redis::aio::MultiplexedConnection;

use crate::private::info_fields;

/// Lookups of keys since the server started.
pub(super) struct Lookups {
    pub(super) hits: u64,
    pub(super) misses: u64,
}

impl Lookups {
    pub(super) async fn now(redis: &mut MultiplexedConnection) -> RedisResult<Self> {
        Ok(Self::of(&info_fields("stats", redis).await?))
    }

    pub(super) fn of(stats: &HashMap<String, String>) -> Self {
        let number = |name: &str| stats.get(name).and_then(|number| number.parse().ok()).unwrap_or_default();
        Self { hits: number("keyspace_hits"), misses: number("keyspace_misses") }
    }

    pub(super) fn since(&self, before: &Self) -> Self {
        Self {
            hits: self.hits.saturating_sub(before.hits),
            misses: self.misses.saturating_sub(before.misses),
        }
    }

    pub(super) fn hit_rate(&self) -> f64 {
        100.0 * self.hits as f64 / (self.hits + self.misses).max(1) as f64
    }
}
