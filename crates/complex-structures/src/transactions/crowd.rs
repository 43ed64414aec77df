//! Many clients at once: waiting for all of them, and what a client does that was too slow.

use std::time::Duration;

use rand::RngExt;
use redis::{ErrorKind, RedisError, RedisResult};
use tokio::task::JoinSet;

/// How often a client tries the same transaction before it gives up.
const MOST_TRIES: u32 = 1_000;
/// The longest pause before another try.
const LONGEST_PAUSE: Duration = Duration::from_millis(4);

/// What each client ended with. The first failure ends the crowd: dropping the set stops the others, which may be
/// waiting for the one that failed.
pub(super) async fn all_end<T: 'static>(mut clients: JoinSet<RedisResult<T>>) -> RedisResult<Vec<T>> {
    let mut ends = Vec::with_capacity(clients.len());
    while let Some(ended) = clients.join_next().await {
        ends.push(ended.map_err(std::io::Error::other)??);
    }
    Ok(ends)
}

/// Counts the tries of a client at one transaction.
#[derive(Debug, Default)]
pub(super) struct Tries {
    failed: u32,
}

impl Tries {
    /// How often it had to try again.
    pub(super) fn retries(&self) -> u64 {
        u64::from(self.failed)
    }

    /// Pauses after a try that failed; an error when there were too many. The pause is random, so that clients that
    /// met once do not meet again.
    pub(super) async fn pause(&mut self) -> RedisResult<()> {
        self.failed += 1;
        if self.failed >= MOST_TRIES {
            let tries = format!("{MOST_TRIES} tries with WATCH, and each time somebody was faster");
            return Err(RedisError::from((ErrorKind::Client, "gave up", tries)));
        }
        let share: f64 = rand::rng().random();
        tokio::time::sleep(LONGEST_PAUSE.mul_f64(share)).await;
        Ok(())
    }
}
