//! Ways to count the visitors who come for the first time.

use std::sync::Arc;

use lab_connection::{Connection, Target};
use redis::{AsyncTypedCommands, RedisResult};
use tokio::sync::Barrier;

use crate::concurrent_clients::run_clients;
use crate::keys::Keys;

/// How a client counts a visitor who was not there before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CountNew {
    /// SISMEMBER, then SADD and INCR if the member is missing. All clients ask before any of them writes.
    AskThenAdd,
    /// SADD, then INCR if the member is new.
    Add,
}

impl CountNew {
    /// Both, the wrong one first.
    pub const ALL: [Self; 2] = [Self::AskThenAdd, Self::Add];

    /// Its row in the table.
    pub fn label(self) -> &'static str {
        match self {
            Self::AskThenAdd => "SISMEMBER, then SADD and INCR",
            Self::Add => "SADD, and INCR if it returns 1",
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
        let [set, counter] = self.keys(keys);
        let (set, new) = (&set, &counter);
        let work = |_, mut redis: Connection, all: Arc<Barrier>| {
            let (set, new) = (set.clone(), new.clone());
            async move {
                for number in 1..=visitors {
                    self.report(&mut redis, &set, &new, &format!("visitor:{number}"), &all).await?;
                }
                Ok(())
            }
        };
        run_clients(target, clients, work).await?;
        Ok(target.connection().get_int(&counter).await?.unwrap_or_default().unsigned_abs())
    }

    async fn report(
        self,
        redis: &mut Connection,
        set: &str,
        new: &str,
        visitor: &str,
        all: &Barrier,
    ) -> RedisResult<()> {
        match self {
            Self::AskThenAdd => {
                let known = redis.sismember(set, visitor).await?;
                all.wait().await; // the worst case: all have asked, and no one has added
                if !known {
                    redis.sadd(set, visitor).await?;
                    redis.incr(new, 1).await?;
                }
                all.wait().await;
            }
            Self::Add => {
                if redis.sadd(set, visitor).await? == 1 {
                    redis.incr(new, 1).await?;
                }
            }
        }
        Ok(())
    }
}
