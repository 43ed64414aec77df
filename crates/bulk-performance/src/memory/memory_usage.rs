//! What users take in memory, asked in two ways: key by key, and as the growth of the whole server.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use lab_connection::Connection;
use lab_runner::LessonError;
use redis::{RedisResult, Value};

use super::{Encoding, Store};
use crate::stored::Content;

/// Keys asked about in one pipeline.
const BATCH: usize = 1_000;

/// What the users of one encoding take.
#[derive(Clone, Debug, serde::Serialize)]
pub struct MemoryUsage {
    /// Which encoding.
    pub encoding: Encoding,
    /// How many keys.
    pub keys: usize,
    /// The server's own names for how it keeps them, from OBJECT ENCODING.
    pub kept_as: Vec<String>,
    /// Bytes of all keys together, from MEMORY USAGE with SAMPLES 0.
    pub bytes: u64,
    /// By how much `used_memory` grew, without the buffers of clients; none where others use the server too.
    pub grown: Option<u64>,
}

impl MemoryUsage {
    /// Writes all users, checks that they read back as they are, and weighs them; then removes them. Without
    /// `growth` the second scale stays empty, because others use the server too.
    pub async fn of(
        encoding: Encoding,
        store: &Store,
        expected: &Content,
        growth: Option<Growth>,
        connection: &mut Connection,
    ) -> Result<Self, LessonError> {
        let keys = store.keys_of(encoding);
        let before = match growth {
            Some(growth) => Some((growth, growth.before(connection).await?)),
            None => None,
        };
        store.write(encoding, connection).await?;
        let content = store.content(encoding, connection).await?;
        if content != *expected {
            let claim = format!("'{}' gives back every user as it was", encoding.label());
            return Err(LessonError::Check(claim));
        }
        let bytes = usage(&keys, connection).await?;
        let kept_as = kept_as(&keys, connection).await?;
        let grown = match before {
            Some((growth, before)) => Some(growth.after(connection).await?.saturating_sub(before)),
            None => None,
        };
        lab_connection::own_keys::unlink(connection, &keys).await?;
        Ok(Self { encoding, keys: keys.len(), kept_as, bytes, grown })
    }
}

/// MEMORY USAGE of all keys together. `SAMPLES 0` counts every element instead of guessing from five of them.
pub async fn usage(keys: &[String], connection: &mut Connection) -> RedisResult<u64> {
    let mut sum = 0;
    for batch in keys.chunks(BATCH) {
        let mut pipeline = redis::pipe();
        for key in batch {
            pipeline.cmd("MEMORY").arg("USAGE").arg(key).arg("SAMPLES").arg(0);
        }
        let bytes: Vec<Option<u64>> = pipeline.query_async(connection).await?;
        sum += bytes.into_iter().flatten().sum::<u64>();
    }
    Ok(sum)
}

/// The encodings of the first keys, each once, the most frequent first.
pub async fn kept_as(keys: &[String], connection: &mut Connection) -> RedisResult<Vec<String>> {
    let mut pipeline = redis::pipe();
    for key in keys.iter().take(BATCH) {
        pipeline.cmd("OBJECT").arg("ENCODING").arg(key);
    }
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for encoding in pipeline.query_async::<Vec<Option<String>>>(connection).await?.into_iter().flatten() {
        *counts.entry(encoding).or_default() += 1;
    }
    let mut encodings: Vec<(String, usize)> = counts.into_iter().collect();
    encodings.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    Ok(encodings.into_iter().map(|(encoding, _)| encoding).collect())
}

/// Between two readings of the memory.
const BETWEEN_READINGS: Duration = Duration::from_millis(10);
/// A server that is busy for longer is believed all the same.
const BUSY_AT_MOST: Duration = Duration::from_secs(5);
/// One that has nothing to do and still keeps more than it should is believed after so many readings, 300 ms in all.
/// Redis 7.0 shrinks its table of keys by a clock that ticks ten times a second.
const READINGS: u32 = 30;
/// What may be left of earlier users, as bytes: less than a byte a user.
const REMNANT: u64 = 1_000;

/// The growth of a server that nobody else writes to.
#[derive(Clone, Copy, Debug)]
pub struct Growth {
    floor: u64,
}

impl Growth {
    /// Takes what is in use now as the floor; where an earlier run was just removed, after that is freed.
    pub async fn from_now(connection: &mut Connection) -> RedisResult<Self> {
        Ok(Self { floor: settled(u64::MAX, connection).await? })
    }

    /// Bytes in use before something is written: waits until what was removed before is freed.
    async fn before(self, connection: &mut Connection) -> RedisResult<u64> {
        settled(self.floor + REMNANT, connection).await
    }

    /// Bytes in use after it was written.
    async fn after(self, connection: &mut Connection) -> RedisResult<u64> {
        settled(u64::MAX, connection).await
    }
}

/// Bytes in use, without those of clients, once the server has freed and resized what it does in the background, and
/// is down to `most`.
async fn settled(most: u64, connection: &mut Connection) -> RedisResult<u64> {
    let begun = Instant::now();
    let mut idle = 0;
    loop {
        let now = in_use(connection).await?;
        idle += u32::from(!now.busy);
        let settled =
            if now.busy { begun.elapsed() > BUSY_AT_MOST } else { now.bytes <= most || idle > READINGS };
        if settled {
            return Ok(now.bytes);
        }
        tokio::time::sleep(BETWEEN_READINGS).await;
    }
}

#[derive(Clone, Copy, Debug, Default)]
struct InUse {
    bytes: u64,
    /// Something waits to be freed, or a table is being resized.
    busy: bool,
}

/// Of all primaries together.
async fn in_use(connection: &mut Connection) -> RedisResult<InUse> {
    let mut info = redis::Cmd::new();
    info.arg("INFO").arg("memory");
    let texts: Vec<String> = match info.query_async::<Value>(connection).await? {
        // A cluster connection answers with a map from primary to text.
        Value::Map(nodes) => {
            nodes.into_iter().map(|(_, text)| redis::from_redis_value(text)).collect::<Result<_, _>>()?
        }
        text => vec![redis::from_redis_value(text)?],
    };
    let clients = match connection {
        Connection::Cluster(_) => None,
        _ => Some(of_clients(connection).await?),
    };
    let mut sum = InUse::default();
    for text in texts {
        let field = |name: &str| {
            text.lines()
                .find_map(|line| line.strip_prefix(name)?.strip_prefix(':')?.trim().parse::<u64>().ok())
                .unwrap_or(0)
        };
        sum.bytes +=
            field("used_memory").saturating_sub(clients.unwrap_or_else(|| field("mem_clients_normal")));
        sum.busy |= field("lazyfree_pending_objects") > 0 || field("mem_overhead_db_hashtable_rehashing") > 0;
    }
    Ok(sum)
}

/// What the buffers of all clients take right now; INFO has that too, as it was up to a second ago.
async fn of_clients(connection: &mut Connection) -> RedisResult<u64> {
    let clients: String = redis::cmd("CLIENT").arg("LIST").query_async(connection).await?;
    let sizes = clients.split_ascii_whitespace().filter_map(|field| field.strip_prefix("tot-mem="));
    Ok(sizes.filter_map(|size| size.parse::<u64>().ok()).sum())
}
