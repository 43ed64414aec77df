//! Many clients at once: waiting for all of them, and what a client does that was too slow.

use std::time::Duration;

use lab_runner::LessonError;
use rand::RngExt;
use redis::RedisError;
use tokio::task::JoinSet;

/// How often a client tries the same transaction before it gives up.
const MOST_TRIES: u32 = 1_000;
/// The longest pause before another try.
const LONGEST_PAUSE: Duration = Duration::from_millis(4);

/// What each client ended with, in the order in which they ended. The first failure ends the crowd: dropping the set
/// stops the others, which may be waiting for the one that failed.
pub(crate) async fn all_end<T, E>(mut clients: JoinSet<Result<T, E>>) -> Result<Vec<T>, LessonError>
where
    T: 'static,
    E: 'static,
    LessonError: From<E>,
{
    let mut ends = Vec::with_capacity(clients.len());
    while let Some(ended) = clients.join_next().await {
        ends.push(ended.map_err(|stopped| RedisError::from(std::io::Error::other(stopped)))??);
    }
    Ok(ends)
}

/// Counts the tries of a client at one transaction.
#[derive(Debug, Default)]
pub(crate) struct Tries {
    failed: u32,
}

impl Tries {
    /// How often it had to try again.
    pub(crate) fn retries(&self) -> u64 {
        u64::from(self.failed)
    }

    /// Pauses after a try that failed; an error when there were too many. The pause is random, so that clients that
    /// met once do not meet again.
    pub(crate) async fn pause(&mut self) -> Result<(), LessonError> {
        self.failed += 1;
        if self.failed >= MOST_TRIES {
            return Err(LessonError::Check(format!("one of {MOST_TRIES} tries with WATCH succeeds")));
        }
        let share: f64 = rand::rng().random();
        tokio::time::sleep(LONGEST_PAUSE.mul_f64(share)).await;
        Ok(())
    }
}
