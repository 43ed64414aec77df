//! Many clients at once: waiting for all of them, and trying a transaction again.

use std::time::Duration;

use lab_runner::LessonError;
use rand::RngExt;
use redis::RedisError;
use tokio::task::JoinSet;

/// How often a client tries the same transaction before it gives up.
const MAX_TRIES: u32 = 1_000;
/// The longest pause before another try.
const MAX_PAUSE: Duration = Duration::from_millis(4);

/// The results of all clients, in the order in which they ended. The first failure stops the others, which may be waiting for the
/// client that failed.
pub(crate) async fn join_all<T, E>(mut clients: JoinSet<Result<T, E>>) -> Result<Vec<T>, LessonError>
where
    T: 'static,
    E: 'static,
    LessonError: From<E>,
{
    let mut results = Vec::with_capacity(clients.len());
    while let Some(ended) = clients.join_next().await {
        results.push(ended.map_err(|stopped| RedisError::from(std::io::Error::other(stopped)))??);
    }
    Ok(results)
}

/// The tries of one transaction.
#[derive(Debug, Default)]
pub(crate) struct Tries {
    failed: u32,
}

impl Tries {
    /// How often it was tried again.
    pub(crate) fn retries(&self) -> u64 {
        u64::from(self.failed)
    }

    /// Pauses after a failed try. The pause is random, so clients that met once do not meet again. An error after too many tries.
    pub(crate) async fn pause(&mut self) -> Result<(), LessonError> {
        self.failed += 1;
        if self.failed >= MAX_TRIES {
            return Err(LessonError::Check(format!("one of {MAX_TRIES} tries with WATCH succeeds")));
        }
        let share: f64 = rand::rng().random();
        tokio::time::sleep(MAX_PAUSE.mul_f64(share)).await;
        Ok(())
    }
}
