//! Ways to add one to a counter that others raise too.

use std::sync::Arc;

use lab_connection::{Connection, Target};
use lab_runner::LessonError;
use redis::RedisResult;
use redis::aio::ConnectionLike;
use tokio::sync::Barrier;
use tokio::task::JoinSet;

use crate::crowd::{Tries, all_end};

/// How each client of a crowd adds one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Increment {
    /// GET and SET; every client has read before any of them writes.
    GetSetAtWorst,
    /// GET and SET, in whatever order the clients come.
    GetSet,
    /// WATCH, GET, and SET within MULTI and EXEC; again if somebody was faster.
    Watch,
    /// INCR.
    Incr,
}

/// What a crowd counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tally {
    /// Increments that the clients were told had been done.
    pub expected: u64,
    /// What the counter says.
    pub counted: u64,
    /// How often a client had to try an increment again.
    pub retries: u64,
}

impl Tally {
    /// Increments that were done and cannot be seen.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.expected.saturating_sub(self.counted)
    }
}

impl Increment {
    /// All of them, the wrong ones first.
    pub const ALL: [Self; 4] = [Self::GetSetAtWorst, Self::GetSet, Self::Watch, Self::Incr];

    /// Its name within a key.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::GetSetAtWorst => "get-set-at-worst",
            Self::GetSet => "get-set",
            Self::Watch => "watch",
            Self::Incr => "incr",
        }
    }

    /// Its row in the table.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::GetSetAtWorst => "GET, SET: all read, then all write",
            Self::GetSet => "GET, SET: as it happens",
            Self::Watch => "WATCH, GET, MULTI, SET, EXEC",
            Self::Incr => "INCR",
        }
    }

    /// Lets `clients` clients, each on a connection of its own, add one `times_each` times to the counter at `key`,
    /// which starts from nothing.
    pub async fn crowd(
        self,
        target: &Target,
        key: &str,
        clients: usize,
        times_each: usize,
    ) -> Result<Tally, LessonError> {
        let mut connection = target.connection();
        redis::cmd("UNLINK").arg(key).exec_async(&mut connection).await?;
        let in_step = Arc::new(Barrier::new(clients));
        let mut crowd = JoinSet::new();
        for _ in 0..clients {
            let connection = target.dedicated().await?;
            let client =
                Client { approach: self, connection, key: key.to_owned(), in_step: Arc::clone(&in_step) };
            crowd.spawn(client.count(times_each));
        }
        let retries = all_end(crowd).await?.into_iter().sum();
        let counted = redis::cmd("GET").arg(key).query_async(&mut connection).await?;
        Ok(Tally { expected: (clients * times_each) as u64, counted, retries })
    }
}

struct Client {
    approach: Increment,
    connection: Connection,
    key: String,
    in_step: Arc<Barrier>,
}

impl Client {
    /// Returns how often an increment had to be tried again.
    async fn count(mut self, times: usize) -> Result<u64, LessonError> {
        let mut retries = 0;
        self.in_step.wait().await;
        for _ in 0..times {
            match self.approach {
                Increment::GetSetAtWorst => self.get_set_at_worst().await?,
                Increment::GetSet => get_set(&mut self.connection, &self.key).await?,
                Increment::Watch => retries += self.watch().await?,
                Increment::Incr => {
                    redis::cmd("INCR").arg(&self.key).exec_async(&mut self.connection).await?;
                }
            }
        }
        Ok(retries)
    }

    async fn get_set_at_worst(&mut self) -> RedisResult<()> {
        let seen = get(&mut self.connection, &self.key).await?;
        self.in_step.wait().await;
        set(&mut self.connection, &self.key, seen + 1).await?;
        self.in_step.wait().await;
        Ok(())
    }

    async fn watch(&mut self) -> Result<u64, LessonError> {
        let mut tries = Tries::default();
        while !watch_once(&mut self.connection, &self.key).await? {
            tries.pause().await?;
        }
        Ok(tries.retries())
    }
}

async fn get_set(connection: &mut Connection, key: &str) -> RedisResult<()> {
    let seen = get(connection, key).await?;
    set(connection, key, seen + 1).await
}

/// True if the increment was done, false if somebody else wrote the key in between. The connection must not be
/// shared: WATCH belongs to a connection, and another user's EXEC would end it.
async fn watch_once(connection: &mut Connection, key: &str) -> RedisResult<bool> {
    redis::cmd("WATCH").arg(key).exec_async(connection).await?;
    let seen = get(connection, key).await?;
    let done: Option<()> = redis::pipe().atomic().set(key, seen + 1).ignore().query_async(connection).await?;
    Ok(done.is_some())
}

/// A missing counter is 0.
async fn get(connection: &mut impl ConnectionLike, key: &str) -> RedisResult<u64> {
    let seen: Option<u64> = redis::cmd("GET").arg(key).query_async(connection).await?;
    Ok(seen.unwrap_or_default())
}

async fn set(connection: &mut impl ConnectionLike, key: &str, value: u64) -> RedisResult<()> {
    redis::cmd("SET").arg(key).arg(value).exec_async(connection).await
}
