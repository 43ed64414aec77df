//! Ways to count the visitors who come for the first time.

use std::sync::Arc;

use lab_connection::{Connection, Target};
use redis::{AsyncTypedCommands, RedisResult};
use tokio::sync::Barrier;

use crate::concurrent_clients::{connect, run_clients};
use crate::keys::Keys;

/// How a client counts a visitor who was not there before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CountNew {
    /// SISMEMBER, then SADD and INCRBY if the member is missing. All clients ask before any of them writes.
    AskThenAdd,
    /// SADD, then INCRBY if the member is new.
    Add,
}

impl CountNew {
    /// Both, the wrong one first.
    pub const ALL: [Self; 2] = [Self::AskThenAdd, Self::Add];

    /// Its row in the table.
    pub fn label(self) -> &'static str {
        match self {
            Self::AskThenAdd => "SISMEMBER, then SADD and INCRBY",
            Self::Add => "SADD, and INCRBY if it returns 1",
        }
    }

    /// The Set of visitors, and the counter of new ones.
    pub fn keys(self, keys: &Keys) -> [String; 2] {
        let name = match self {
            Self::AskThenAdd => "ask-then-add",
            Self::Add => "add-and-look",
        };
        [keys.key(format!("visitors:{name}")), keys.key(format!("visitors:{name}:new"))]
    }

    /// Lets `clients` clients report the same visitors. Returns how many visitors were counted as new.
    pub async fn race(
        self,
        target: &Target,
        keys: &Keys,
        clients: usize,
        visitors: usize,
    ) -> RedisResult<usize> {
        let (keys, all) = (self.keys(keys), Arc::new(Barrier::new(clients)));
        let work = |_, redis| self.report(redis, keys.clone(), visitors, Arc::clone(&all));
        run_clients(&connect(target, clients).await?, work).await?;
        Ok(target.connection().get_int(&keys[1]).await?.unwrap_or_default().unsigned_abs())
    }

    async fn report(
        self,
        mut redis: Connection,
        [set, counter]: [String; 2],
        visitors: usize,
        all: Arc<Barrier>,
    ) -> RedisResult<()> {
        for number in 1..=visitors {
            let visitor = format!("visitor:{number}");
            let is_new = match self {
                Self::AskThenAdd => {
                    let known = redis.sismember(&set, &visitor).await?;
                    all.wait().await; // the worst case: all have asked, and no one has added
                    redis.sadd(&set, &visitor).await?;
                    !known
                }
                Self::Add => redis.sadd(&set, &visitor).await? == 1,
            };
            if is_new {
                redis.incr(&counter, 1).await?;
            }
        }
        Ok(())
    }
}
