//! Ways to count those who come for the first time.

use std::sync::Arc;

use lab_connection::{Connection, Target};
use lab_runner::LessonError;
use redis::RedisResult;
use tokio::sync::Barrier;

use crate::hashes::crowd::at_once;
use crate::keys::Keys;

/// How a client counts a visitor who was not there before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CountNew {
    /// SISMEMBER, and SADD and INCR if the answer was 0; every client has asked before any of them writes.
    AskThenAdd,
    /// SADD, and INCR if it answers that the member is new.
    AddAndLook,
}

impl CountNew {
    /// Both, the wrong one first.
    pub const ALL: [Self; 2] = [Self::AskThenAdd, Self::AddAndLook];

    /// Its name within a key.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::AskThenAdd => "ask-then-add",
            Self::AddAndLook => "add-and-look",
        }
    }

    /// Its row in the table.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::AskThenAdd => "SISMEMBER, then SADD and INCR",
            Self::AddAndLook => "SADD, INCR if it answers 1",
        }
    }

    /// Where it writes.
    #[must_use]
    pub fn keys(self, keys: &Keys) -> [String; 2] {
        [keys.reported_visitors(self.name()), keys.new_visitors(self.name())]
    }

    /// Lets `clients` clients report the same `visitors` visitors, and returns how many were counted as new.
    pub async fn crowd(
        self,
        target: &Target,
        keys: &Keys,
        clients: usize,
        visitors: usize,
    ) -> Result<u64, LessonError> {
        let [set, counter] = self.keys(keys);
        let mut redis = target.connection();
        redis::cmd("UNLINK").arg(&set).arg(&counter).exec_async(&mut redis).await?;
        let work = |connection, together| {
            let report = Report { count: self, connection, set: set.clone(), counter: counter.clone() };
            report.all(visitors, together)
        };
        at_once(target, clients, work).await?;
        let new: Option<u64> = redis::cmd("GET").arg(&counter).query_async(&mut redis).await?;
        Ok(new.unwrap_or_default())
    }
}

/// What one client has to report.
struct Report {
    count: CountNew,
    connection: Connection,
    set: String,
    counter: String,
}

impl Report {
    async fn all(mut self, visitors: usize, together: Arc<Barrier>) -> RedisResult<()> {
        for number in 1..=visitors {
            let visitor = format!("visitor:{number}");
            let new = match self.count {
                CountNew::AskThenAdd => {
                    let known: bool = self.about("SISMEMBER", &visitor).await?;
                    together.wait().await;
                    if !known {
                        self.about::<u64>("SADD", &visitor).await?;
                    }
                    together.wait().await;
                    !known
                }
                CountNew::AddAndLook => self.about("SADD", &visitor).await?,
            };
            if new {
                redis::cmd("INCR").arg(&self.counter).exec_async(&mut self.connection).await?;
            }
        }
        Ok(())
    }

    async fn about<T: redis::FromRedisValue>(&mut self, command: &str, visitor: &str) -> RedisResult<T> {
        redis::cmd(command).arg(&self.set).arg(visitor).query_async(&mut self.connection).await
    }
}
