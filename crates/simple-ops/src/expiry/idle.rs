//! Keys that expire without being read, and the server's count of expired keys.

use std::time::Duration;

use redis::aio::ConnectionLike;
use redis::{RedisResult, Value};

use crate::keys::Keys;

/// Many keys that nobody reads again.
pub(super) struct IdleKeys {
    names: Vec<String>,
}

impl IdleKeys {
    pub(super) fn new(keys: &Keys, count: usize) -> Self {
        Self { names: (1..=count).map(|number| keys.idle(number)).collect() }
    }

    pub(super) fn names(&self) -> &[String] {
        &self.names
    }

    pub(super) fn count(&self) -> u64 {
        self.names.len() as u64
    }

    /// Writes them all. Each lives for this long.
    pub(super) async fn write(&self, redis: &mut impl ConnectionLike, live: Duration) -> RedisResult<()> {
        let milliseconds = u64::try_from(live.as_millis()).unwrap_or(u64::MAX);
        let mut pipeline = redis::pipe();
        for name in &self.names {
            pipeline.pset_ex(name, "unread", milliseconds).ignore();
        }
        pipeline.exec_async(redis).await
    }
}

/// How many keys the server has removed because they expired. On a cluster, those of all primaries.
pub(super) async fn expired_so_far(connection: &mut impl ConnectionLike) -> RedisResult<u64> {
    let stats: Value = redis::cmd("INFO").arg("stats").query_async(connection).await?;
    expired_in(stats)
}

/// One server replies with a text, a cluster with a map from node to text.
fn expired_in(stats: Value) -> RedisResult<u64> {
    if let Value::Map(nodes) = stats {
        return nodes.into_iter().map(|(_, text)| expired_in(text)).sum();
    }
    let text: String = redis::from_redis_value(stats)?;
    let count = text.lines().find_map(|line| line.trim_end().strip_prefix("expired_keys:"));
    Ok(count.and_then(|digits| digits.parse().ok()).unwrap_or_default())
}
