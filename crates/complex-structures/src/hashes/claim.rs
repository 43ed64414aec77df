//! Ways to set a field only if no other client has set it yet.

use std::sync::Arc;

use lab_connection::{Connection, Target};
use redis::{AsyncTypedCommands, RedisResult};
use tokio::sync::Barrier;

use crate::concurrent_clients::{connect, run_clients};
use crate::keys::Keys;

/// How a client claims the field `nickname`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim {
    /// HEXISTS, and HSET if the field is missing. All clients ask before any of them writes.
    AskThenSet,
    /// HSETNX.
    SetIfNew,
}

impl Claim {
    /// Both, the wrong one first.
    pub const ALL: [Self; 2] = [Self::AskThenSet, Self::SetIfNew];

    /// Its Hash.
    pub fn key(self, keys: &Keys) -> String {
        keys.key(match self {
            Self::AskThenSet => "profile:claimed:ask-then-set",
            Self::SetIfNew => "profile:claimed:set-if-new",
        })
    }

    /// Its row in the table.
    pub fn label(self) -> &'static str {
        match self {
            Self::AskThenSet => "HEXISTS, then HSET",
            Self::SetIfNew => "HSETNX",
        }
    }

    /// Lets `clients` clients claim the field of the same Hash. Returns how many of them believe that they got it.
    pub async fn race(self, target: &Target, key: &str, clients: usize) -> RedisResult<usize> {
        let all = Arc::new(Barrier::new(clients));
        let work = |_, redis| self.claim(redis, key.to_owned(), Arc::clone(&all));
        let winners = run_clients(&connect(target, clients).await?, work).await?;
        Ok(winners.into_iter().filter(|&won| won).count())
    }

    async fn claim(self, mut redis: Connection, key: String, all: Arc<Barrier>) -> RedisResult<bool> {
        match self {
            Self::AskThenSet => {
                let taken = redis.hexists(&key, "nickname").await?;
                all.wait().await; // the worst case: all have asked, and no one has written
                if !taken {
                    redis.hset(&key, "nickname", "ace").await?;
                }
                Ok(!taken)
            }
            Self::SetIfNew => redis.hset_nx(&key, "nickname", "ace").await,
        }
    }
}
