//! Many clients at the same time, and what a client does when another one was faster.

use std::time::Duration;

use lab_connection::{Connection, Target};
use rand::RngExt;
use redis::{ErrorKind, RedisError, RedisResult};
use tokio::task::{JoinError, JoinSet};

/// How often a client tries the same transaction before it gives up.
const MOST_ATTEMPTS: u64 = 1_000;
/// The longest pause before another attempt.
const LONGEST_PAUSE: Duration = Duration::from_millis(4);

/// A connection for each client, opened at the same time.
pub(crate) async fn connect(target: &Target, count: usize) -> RedisResult<Vec<Connection>> {
    let mut opening = JoinSet::new();
    for _ in 0..count {
        let target = target.clone();
        opening.spawn(async move { target.dedicated().await });
    }
    join_all(opening).await
}

/// Runs `work` for each client at the same time, with its number from 0, and returns what they returned, in the order in which
/// they ended. The first error ends all of them, because the others may be waiting for the one that failed.
pub(crate) async fn run_clients<T, W>(
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
    join_all(running).await
}

/// What all tasks returned, in the order in which they ended. Dropping the set stops those that are still running.
async fn join_all<T: 'static>(mut tasks: JoinSet<RedisResult<T>>) -> RedisResult<Vec<T>> {
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

/// Pauses before another attempt at a transaction, after `failed` attempts; an error after too many. The pause is random, so that
/// two clients that met once do not meet again.
pub(crate) async fn pause_before_retry(failed: u64) -> RedisResult<()> {
    if failed >= MOST_ATTEMPTS {
        let why = format!("another client was faster {MOST_ATTEMPTS} times");
        return Err(RedisError::from((ErrorKind::Client, "gave up", why)));
    }
    let share: f64 = rand::rng().random();
    tokio::time::sleep(LONGEST_PAUSE.mul_f64(share)).await;
    Ok(())
}
