//! Up to which size the server packs a Hash as a listpack, and Hashes under another limit.

use std::collections::HashMap;

use lab_connection::{Connection, Target};
use lab_measure::memory::Encoding;
use lab_runner::LessonError;
use redis::RedisResult;

const ENTRIES: &str = "hash-max-listpack-entries";
const VALUE_BYTES: &str = "hash-max-listpack-value";
/// Every release packs this many fields unless it is set otherwise.
const USUAL_ENTRIES: u64 = 128;

/// What a server packs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Fields of a Hash; `None` if the server does not tell.
    pub entries: Option<u64>,
    /// Bytes of a field or a value; `None` if the server does not tell.
    pub value_bytes: Option<u64>,
}

impl Limits {
    /// Asks the server. A managed one may refuse to tell.
    pub async fn ask(redis: &mut Connection) -> RedisResult<Self> {
        Ok(Self { entries: get(ENTRIES, redis).await?, value_bytes: get(VALUE_BYTES, redis).await? })
    }

    /// The largest round bucket that is still packed: 100 users, or fewer if the server packs fewer.
    #[must_use]
    pub fn bucket(self) -> u64 {
        self.entries.unwrap_or(USUAL_ENTRIES).clamp(1, 100)
    }

    /// Whether a Hash with this many fields and values of up to this many bytes is certainly packed.
    #[must_use]
    pub fn pack(self, entries: u64, value_bytes: u64) -> bool {
        self.entries.is_some_and(|limit| entries <= limit)
            && self.value_bytes.is_some_and(|limit| value_bytes <= limit)
    }

    /// Whether this server can have the encoding. A setting is changed only on a server that this run started.
    #[must_use]
    pub fn possible(self, encoding: Encoding, target: &Target) -> bool {
        let known = self.entries.is_some() && self.value_bytes.is_some();
        needed_setting(encoding).is_none() || (target.private().is_some() && known)
    }

    /// Does the work under the setting that an encoding needs, then restores the old one, even if the work failed. Call it only
    /// for encodings that are [`possible`](Self::possible).
    pub async fn hold_setting<T>(
        self,
        encoding: Encoding,
        redis: &mut Connection,
        work: impl Future<Output = Result<T, LessonError>>,
    ) -> Result<T, LessonError> {
        let Some((setting, value)) = needed_setting(encoding) else { return work.await };
        let before = if setting == ENTRIES { self.entries } else { self.value_bytes };
        set(setting, value, redis).await?;
        let result = work.await;
        if let Some(before) = before {
            set(setting, before, redis).await?;
        }
        result
    }
}

/// The setting that an encoding needs while it is written and changed.
fn needed_setting(encoding: Encoding) -> Option<(&'static str, u64)> {
    match encoding {
        Encoding::HashTable => Some((ENTRIES, 0)),
        Encoding::MessagePackPacked => Some((VALUE_BYTES, 256)),
        _ => None,
    }
}

async fn get(setting: &str, redis: &mut Connection) -> RedisResult<Option<u64>> {
    let mut command = redis::cmd("CONFIG");
    command.arg("GET").arg(setting);
    match command.query_async::<HashMap<String, String>>(redis).await {
        Ok(settings) => Ok(settings.get(setting).and_then(|value| value.parse().ok())),
        Err(error) if error.code().is_some() => Ok(None),
        Err(error) => Err(error),
    }
}

/// A cluster connection sends it to every node.
async fn set(setting: &str, value: u64, redis: &mut Connection) -> RedisResult<()> {
    redis::cmd("CONFIG").arg("SET").arg(setting).arg(value).exec_async(redis).await
}
