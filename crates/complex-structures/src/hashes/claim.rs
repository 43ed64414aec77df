//! Ways to set a field only if nobody has set it yet.

use std::sync::Arc;

use lab_connection::{Connection, Target};
use lab_runner::LessonError;
use redis::RedisResult;
use tokio::sync::Barrier;

use super::crowd::at_once;

const FIELD: &str = "nickname";

/// How a client claims a field that is not there yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim {
    /// HEXISTS, and HSET if the answer was 0; every client has asked before any of them writes.
    AskThenSet,
    /// HSETNX.
    SetIfNew,
}

impl Claim {
    /// Both, the wrong one first.
    pub const ALL: [Self; 2] = [Self::AskThenSet, Self::SetIfNew];

    /// Its name within a key.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::AskThenSet => "ask-then-set",
            Self::SetIfNew => "set-if-new",
        }
    }

    /// Its row in the table.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::AskThenSet => "HEXISTS, then HSET",
            Self::SetIfNew => "HSETNX",
        }
    }

    /// Lets `clients` clients claim the same field of the Hash at `key`, which starts from nothing, and returns how many
    /// of them believe that they got it.
    pub async fn crowd(self, target: &Target, key: &str, clients: usize) -> Result<usize, LessonError> {
        redis::cmd("UNLINK").arg(key).exec_async(&mut target.connection()).await?;
        let work = |connection, together| self.claim(connection, together, key.to_owned());
        let got_it = at_once(target, clients, work).await?;
        Ok(got_it.into_iter().filter(|&got_it| got_it).count())
    }

    async fn claim(
        self,
        mut connection: Connection,
        together: Arc<Barrier>,
        key: String,
    ) -> RedisResult<bool> {
        together.wait().await;
        match self {
            Self::AskThenSet => {
                let taken: bool =
                    redis::cmd("HEXISTS").arg(&key).arg(FIELD).query_async(&mut connection).await?;
                together.wait().await;
                if !taken {
                    redis::cmd("HSET").arg(&key).arg(FIELD).arg("ace").exec_async(&mut connection).await?;
                }
                Ok(!taken)
            }
            Self::SetIfNew => {
                redis::cmd("HSETNX").arg(&key).arg(FIELD).arg("ace").query_async(&mut connection).await
            }
        }
    }
}
