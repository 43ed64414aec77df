//! Many clients at the same time, and what a client does when another one was faster.

use std::sync::Arc;
use std::time::Duration;

use lab_connection::{Connection, Target};
use rand::RngExt;
use redis::{ErrorKind, RedisError, RedisResult};
use tokio::sync::Barrier;
use tokio::task::{JoinError, JoinSet};

/// How often a client tries the same transaction before it gives up.
const MOST_ATTEMPTS: u64 = 1_000;
/// The longest pause before another attempt.
const LONGEST_PAUSE: Duration = Duration::from_millis(4);

/// Runs `work` for the clients 0 to `count` - 1 at the same time, each on its own connection, and returns what they
/// returned. At the barrier they can wait for each other. The first error ends all of them, because the others may be waiting
/// for the one that failed.
pub(crate) async fn run_clients<T, W>(
    target: &Target,
    count: usize,
    work: impl Fn(usize, Connection, Arc<Barrier>) -> W,
) -> RedisResult<Vec<T>>
where
    T: Send + 'static,
    W: Future<Output = RedisResult<T>> + Send + 'static,
{
    let mut opening = JoinSet::new();
    for _ in 0..count {
        let target = target.clone();
        opening.spawn(async move { target.dedicated().await });
    }
    let barrier = Arc::new(Barrier::new(count));
    let mut clients = JoinSet::new();
    for (client, connection) in join_all(opening).await?.into_iter().enumerate() {
        clients.spawn(work(client, connection, Arc::clone(&barrier)));
    }
    join_all(clients).await
}

/// What all tasks returned, in the order in which they ended. Dropping the set stops those that are still running.
pub(crate) async fn join_all<T: 'static>(mut tasks: JoinSet<RedisResult<T>>) -> RedisResult<Vec<T>> {
    let mut results = Vec::with_capacity(tasks.len());
    while let Some(joined) = tasks.join_next().await {
        results.push(flatten(joined)?);
    }
    Ok(results)
}

/// What a task returned. A task that was stopped is an error too.
pub(crate) fn flatten<T>(joined: Result<RedisResult<T>, JoinError>) -> RedisResult<T> {
    joined.map_err(|stopped| RedisError::from(std::io::Error::other(stopped)))?
}

/// Counts the attempts of a client at one transaction.
#[derive(Debug, Default)]
pub(crate) struct Attempts {
    failed: u64,
}

impl Attempts {
    /// How often it had to try again.
    pub(crate) fn retries(&self) -> u64 {
        self.failed
    }

    /// Pauses after an attempt that failed; an error after too many. The pause is random, so that two clients that met once
    /// do not meet again.
    pub(crate) async fn pause(&mut self) -> RedisResult<()> {
        self.failed += 1;
        if self.failed >= MOST_ATTEMPTS {
            let why = format!("another client was faster {MOST_ATTEMPTS} times");
            return Err(RedisError::from((ErrorKind::Client, "gave up", why)));
        }
        let share: f64 = rand::rng().random();
        tokio::time::sleep(LONGEST_PAUSE.mul_f64(share)).await;
        Ok(())
    }
}
