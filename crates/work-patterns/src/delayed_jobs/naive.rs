//! Waiting in the process, and reading what is due in two steps.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use lab_connection::{Connection, Target, own_keys};
use lab_runner::BoxError;
use lab_runner::concurrent::try_join_all;
use redis::{AsyncTypedCommands, RedisResult};
use tokio::sync::Barrier;
use tokio::task::JoinSet;

/// The Sorted Set of jobs by the time when they are due.
pub(super) fn key(prefix: &str) -> String {
    format!("{prefix}jobs:due")
}

/// Starts a task for each job, and then the process is restarted. Returns how many jobs were done.
pub async fn sleep_and_restart(jobs: usize) -> usize {
    let sent = Arc::new(AtomicUsize::new(0));
    let mut process = JoinSet::new();
    for _ in 0..jobs {
        process.spawn(by_sleeping(Arc::clone(&sent)));
    }
    tokio::task::yield_now().await;
    // All that the process remembers ends with it.
    process.shutdown().await;
    sent.load(Ordering::Relaxed)
}

async fn by_sleeping(sent: Arc<AtomicUsize>) {
    tokio::time::sleep(Duration::from_mins(1)).await;
    sent.fetch_add(1, Ordering::Relaxed);
}

/// Lets workers look for the same jobs at the same moment. Returns how often a job ran.
pub async fn run_twice(target: &Target, jobs: usize, workers: usize) -> Result<usize, BoxError> {
    let (mut redis, due, barrier) = (target.connection(), key(target.prefix()), Barrier::new(workers));
    for number in 0..jobs {
        redis.zadd(&due, format!("job-{number}"), 1_000).await?;
    }
    let runs = try_join_all((0..workers).map(|_| by_range_and_rem(redis.clone(), &due, &barrier))).await?;
    own_keys::unlink(&mut redis, &[&due]).await?;
    Ok(runs.into_iter().sum())
}

async fn by_range_and_rem(mut redis: Connection, due: &str, barrier: &Barrier) -> RedisResult<usize> {
    let jobs: Vec<String> = redis.zrangebyscore(due, "-inf", 2_000).await?;
    // All workers have looked when the barrier opens.
    barrier.wait().await;
    for job in &jobs {
        // The job runs here.
        redis.zrem(due, job).await?;
    }
    Ok(jobs.len())
}
