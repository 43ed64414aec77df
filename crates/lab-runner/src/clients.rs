//! Many clients at the same time, each on a connection of its own, and what a client does when another one was faster.

use std::time::Duration;

use lab_connection::{Connection, Target};
use rand::RngExt;
use redis::{ErrorKind, RedisError, RedisResult};
use tokio::task::{JoinError, JoinSet};

use crate::concurrent::try_join_all;

/// How often a client tries the same transaction before it gives up.
const MOST_ATTEMPTS: u64 = 1_000;
/// The longest pause before another attempt.
const LONGEST_PAUSE: Duration = Duration::from_millis(4);

/// A connection for each client, opened at the same time.
pub async fn connect(target: &Target, count: usize) -> RedisResult<Vec<Connection>> {
    try_join_all((0..count).map(|_| target.dedicated())).await
}

/// Runs `work` for each client at the same time, with its number from 0, and returns what they returned, in the order in which
/// they ended. The first error ends all of them, because the others may be waiting for the one that failed.
pub async fn run_clients<T, W>(
    clients: &[Connection],
    work: impl Fn(usize, Connection) -> W,
) -> RedisResult<Vec<T>>
where
    T: Send + 'static,
    W: Future<Output = RedisResult<T>> + Send + 'static,
{
    let mut running = JoinSet::new();
    for (client, connection) in clients.iter().enumerate() {
        running.spawn(work(client, connection.clone()));
    }
    let mut results = Vec::with_capacity(clients.len());
    // To drop the set stops those that are still running.
    while let Some(ended) = running.join_next().await {
        results.push(flatten(ended)?);
    }
    Ok(results)
}

/// What a task returned. A task that was stopped is an error, too.
pub fn flatten<T>(ended: Result<RedisResult<T>, JoinError>) -> RedisResult<T> {
    ended.map_err(|stopped| RedisError::from(std::io::Error::other(stopped)))?
}

/// Pauses before another attempt at a transaction, after `failed` attempts; an error after 1,000. The pause is random, so that two
/// clients that met once do not meet again.
pub async fn pause_before_retry(failed: u64) -> RedisResult<()> {
    if failed >= MOST_ATTEMPTS {
        let why = format!("another client was faster {MOST_ATTEMPTS} times");
        return Err(RedisError::from((ErrorKind::Client, "gave up", why)));
    }
    let share: f64 = rand::rng().random();
    tokio::time::sleep(LONGEST_PAUSE.mul_f64(share)).await;
    Ok(())
}
