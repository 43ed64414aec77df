//! Up to which size a Hash is packed as a listpack, and Hashes under another limit.

use std::collections::HashMap;

use lab_connection::{Connection, Target};
use lab_runner::LessonError;
use redis::RedisResult;

use super::Encoding;

/// A setting that ends the packing of a Hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// So many fields.
    Entries,
    /// A field or value of so many bytes.
    ValueBytes,
}

impl Limit {
    fn setting(self) -> &'static str {
        match self {
            Self::Entries => "hash-max-listpack-entries",
            Self::ValueBytes => "hash-max-listpack-value",
        }
    }
}

/// What a server packs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Fields of a Hash; none where the server does not tell.
    pub entries: Option<u64>,
    /// Bytes of a field or a value; none where the server does not tell.
    pub value_bytes: Option<u64>,
}

/// What every release packs unless told otherwise.
const USUAL_ENTRIES: u64 = 128;

impl Limits {
    /// Asks the server. A managed one may refuse to tell.
    pub async fn ask(connection: &mut Connection) -> RedisResult<Self> {
        let mut limits = [None; 2];
        for (limit, found) in [Limit::Entries, Limit::ValueBytes].into_iter().zip(&mut limits) {
            let mut command = redis::cmd("CONFIG");
            command.arg("GET").arg(limit.setting());
            let reply = command.query_async::<HashMap<String, String>>(connection).await;
            *found = match reply {
                Ok(settings) => settings.get(limit.setting()).and_then(|value| value.parse().ok()),
                Err(error) if error.code().is_some() => None,
                Err(error) => return Err(error),
            };
        }
        let [entries, value_bytes] = limits;
        Ok(Self { entries, value_bytes })
    }

    /// The largest round bucket that is still packed: 100 users, fewer where the server packs fewer.
    #[must_use]
    pub fn bucket(self) -> u64 {
        self.entries.unwrap_or(USUAL_ENTRIES).clamp(1, 100)
    }

    /// Whether a Hash with so many fields and values of up to so many bytes is certainly packed.
    #[must_use]
    pub fn pack(self, entries: u64, value_bytes: u64) -> bool {
        self.entries.is_some_and(|limit| entries <= limit)
            && self.value_bytes.is_some_and(|limit| value_bytes <= limit)
    }

    /// Does the work under the setting that an encoding needs, then puts the old one back, also when the work failed.
    /// Only private servers are asked to: see [`possible`](Self::possible).
    pub async fn held_for<T>(
        self,
        encoding: Encoding,
        connection: &mut Connection,
        work: impl Future<Output = Result<T, LessonError>>,
    ) -> Result<T, LessonError> {
        let Some((limit, value)) = encoding.needs_setting() else { return work.await };
        let before = match limit {
            Limit::Entries => self.entries,
            Limit::ValueBytes => self.value_bytes,
        };
        set(limit, value, connection).await?;
        let done = work.await;
        if let Some(before) = before {
            set(limit, before, connection).await?;
        }
        done
    }

    /// Whether the encoding can be had there: a setting is only changed on a server that was started for this run.
    #[must_use]
    pub fn possible(self, encoding: Encoding, target: &Target) -> bool {
        let told = self.entries.is_some() && self.value_bytes.is_some();
        encoding.needs_setting().is_none() || (target.private().is_some() && told)
    }
}

/// A cluster connection tells every node.
async fn set(limit: Limit, value: u64, connection: &mut Connection) -> RedisResult<()> {
    redis::cmd("CONFIG").arg("SET").arg(limit.setting()).arg(value).exec_async(connection).await
}
