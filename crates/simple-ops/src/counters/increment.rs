//! Ways to add one to a counter that other clients raise, too.

use std::sync::Arc;

use lab_connection::{Connection, Target};
use lab_runner::clients::{pause_before_retry, run_clients};
use lab_runner::{Keys, labeled};
use redis::{AsyncTypedCommands, RedisResult};
use tokio::sync::Barrier;

labeled! {
    /// How each client adds one.
    pub enum Increment {
        /// Every client has read before any of them writes: the worst case.
        GetSetWorstCase => "GET, SET: all read, then all write",
        /// In whatever order the clients come.
        GetSet => "GET, SET: in any order",
        /// Tried again if another client was faster.
        Watch => "WATCH, GET, MULTI, SET, EXEC",
        /// In one step.
        Incr => "INCR",
    }
}

/// What the clients counted together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tally {
    /// Increments that the clients believe were done.
    pub expected: u64,
    /// The value of the counter.
    pub counted: u64,
    /// How often a client had to try an increment again.
    pub retries: u64,
}

impl Tally {
    /// Increments that were done and do not show.
    pub fn lost(&self) -> u64 {
        self.expected.saturating_sub(self.counted)
    }
}

impl Increment {
    /// Its counter.
    pub fn key(self, keys: &Keys) -> String {
        keys.key(match self {
            Self::GetSetWorstCase => "counter:get-set-worst-case",
            Self::GetSet => "counter:get-set",
            Self::Watch => "counter:watch",
            Self::Incr => "counter:incr",
        })
    }

    /// Lets the clients add one to the counter at `key`, `times_each` times. The counter starts at 0.
    pub async fn count(
        self,
        target: &Target,
        clients: &[Connection],
        key: &str,
        times_each: usize,
    ) -> RedisResult<Tally> {
        let mut redis = target.connection();
        redis.unlink(key).await?;
        let barrier = Arc::new(Barrier::new(clients.len()));
        let work = |_, redis| self.run_client(redis, key.to_owned(), times_each, Arc::clone(&barrier));
        let retries = run_clients(clients, work).await?.into_iter().sum();
        let counted = redis.get_int(key).await?.unwrap_or_default().unsigned_abs() as u64;
        Ok(Tally { expected: (clients.len() * times_each) as u64, counted, retries })
    }

    /// One client. Returns how often it had to try again.
    async fn run_client(
        self,
        mut redis: Connection,
        key: String,
        times: usize,
        barrier: Arc<Barrier>,
    ) -> RedisResult<u64> {
        let mut retries = 0;
        barrier.wait().await;
        for _ in 0..times {
            match self {
                Self::GetSetWorstCase => by_get_and_set_together(&mut redis, &key, &barrier).await?,
                Self::GetSet => by_get_and_set(&mut redis, &key).await?,
                Self::Watch => retries += until_watch_succeeds(&mut redis, &key).await?,
                Self::Incr => by_incr(&mut redis, &key).await?,
            }
        }
        Ok(retries)
    }
}

async fn by_get_and_set(redis: &mut Connection, key: &str) -> RedisResult<()> {
    let count = redis.get_int(key).await?.unwrap_or(0);
    redis.set(key, count + 1).await
}

async fn by_get_and_set_together(redis: &mut Connection, key: &str, barrier: &Barrier) -> RedisResult<()> {
    let count = redis.get_int(key).await?.unwrap_or(0);
    barrier.wait().await;
    redis.set(key, count + 1).await?;
    barrier.wait().await;
    Ok(())
}

/// False if another client wrote the key in between. The connection must not be shared: WATCH belongs to a connection, and any
/// EXEC on it ends the watch.
async fn by_watch(redis: &mut Connection, key: &str) -> RedisResult<bool> {
    redis::cmd("WATCH").arg(key).exec_async(redis).await?;
    let count = redis.get_int(key).await?.unwrap_or(0);
    let transaction = redis::pipe().atomic().set(key, count + 1).ignore().to_owned();
    let done: Option<()> = transaction.query_async(redis).await?;
    Ok(done.is_some())
}

async fn until_watch_succeeds(redis: &mut Connection, key: &str) -> RedisResult<u64> {
    let mut retries = 0;
    while !by_watch(redis, key).await? {
        retries += 1;
        pause_before_retry(retries).await?;
    }
    Ok(retries)
}

async fn by_incr(redis: &mut Connection, key: &str) -> RedisResult<()> {
    redis::cmd("INCR").arg(key).exec_async(redis).await
}
