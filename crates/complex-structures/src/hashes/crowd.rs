//! Many clients who do the same at once.

use std::sync::Arc;

use lab_connection::{Connection, Target};
use lab_runner::LessonError;
use redis::{RedisError, RedisResult};
use tokio::sync::Barrier;
use tokio::task::{JoinError, JoinSet};

/// Lets `clients` clients work at once, each on a connection of its own, and returns what each of them ended with. The
/// barrier is for all of them to wait at. The first failure ends the crowd: dropping the set stops the others, which
/// may be waiting for the one that failed.
pub(crate) async fn at_once<T, W>(
    target: &Target,
    clients: usize,
    work: impl Fn(Connection, Arc<Barrier>) -> W,
) -> Result<Vec<T>, LessonError>
where
    T: Send + 'static,
    W: Future<Output = RedisResult<T>> + Send + 'static,
{
    let together = Arc::new(Barrier::new(clients));
    let mut crowd = JoinSet::new();
    for _ in 0..clients {
        crowd.spawn(work(target.dedicated().await?, Arc::clone(&together)));
    }
    all_end(crowd).await
}

/// What each client ended with, in the order in which they ended.
async fn all_end<T: 'static>(mut crowd: JoinSet<RedisResult<T>>) -> Result<Vec<T>, LessonError> {
    let mut ends = Vec::with_capacity(crowd.len());
    while let Some(end) = crowd.join_next().await {
        ends.push(ended(end)?);
    }
    Ok(ends)
}

/// What a task ended with; that it was stopped is an error too.
pub(crate) fn ended<T>(end: Result<RedisResult<T>, JoinError>) -> RedisResult<T> {
    end.map_err(|stopped| RedisError::from(std::io::Error::other(stopped)))?
}
