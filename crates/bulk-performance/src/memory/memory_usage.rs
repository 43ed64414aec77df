//! What users take in memory, measured in two ways: key by key, and as the growth of the whole server.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use lab_connection::{Connection, own_keys};
use lab_measure::memory::{Encoding, Store};
use lab_runner::LessonError;
use redis::{RedisResult, Value};

use crate::people::{CITIES, DEPARTMENTS};
use crate::stored::{Content, index_keys, write_indexes};

/// Keys per pipeline.
const BATCH: usize = 1_000;

/// What the users of one encoding take.
#[derive(Clone, Debug, serde::Serialize)]
pub struct MemoryUsage {
    /// The encoding.
    pub encoding: Encoding,
    /// How many keys.
    pub keys: usize,
    /// The server's own names for how it keeps them, from OBJECT ENCODING.
    pub kept_as: Vec<String>,
    /// Bytes of all keys together, from MEMORY USAGE with SAMPLES 0.
    pub bytes: u64,
    /// How much `used_memory` grew, without the buffers of clients; `None` if others use the server too.
    pub growth: Option<u64>,
}

impl MemoryUsage {
    /// Writes all users, checks that they read back as they are, weighs them, and removes them.
    pub async fn measure(
        encoding: Encoding,
        store: &Store,
        expected: &Content,
        growth: Option<Growth>,
        redis: &mut Connection,
    ) -> Result<Self, LessonError> {
        let keys = store.keys_of(encoding);
        let before = match growth {
            Some(growth) => settled(growth.baseline + REMNANT, redis).await?,
            None => 0,
        };
        store.write(encoding, redis).await?;
        if store.content(encoding, redis).await? != *expected {
            return Err(LessonError::Check(format!(
                "'{}' gives back every user as it was",
                encoding.label()
            )));
        }
        let bytes = usage(&keys, redis).await?;
        let kept_as = kept_as(&keys, redis).await?;
        let growth = match growth {
            Some(_) => Some(settled(u64::MAX, redis).await?.saturating_sub(before)),
            None => None,
        };
        own_keys::unlink(redis, &keys).await?;
        Ok(Self { encoding, keys: keys.len(), kept_as, bytes, growth })
    }
}

/// What one kind of index takes.
pub(super) struct IndexUsage {
    pub(super) label: &'static str,
    pub(super) keys: usize,
    pub(super) kept_as: Vec<String>,
    pub(super) bytes: u64,
}

/// Writes the indexes of all users, weighs them, and removes them.
pub(super) async fn weigh_indexes(store: &Store, redis: &mut Connection) -> RedisResult<Vec<IndexUsage>> {
    let names = store.keys().memory_indexes();
    write_indexes(&names, &store.people, store.records, redis).await?;
    let kinds = [
        ("Sets by city", CITIES.map(|city| names.city(city)).to_vec()),
        ("Sets by department", DEPARTMENTS.map(|department| names.department(department)).to_vec()),
        ("Sorted Set by salary", vec![names.users_by_salary()]),
    ];
    let mut usages = Vec::new();
    for (label, keys) in kinds {
        let (bytes, kept_as) = (usage(&keys, redis).await?, kept_as(&keys, redis).await?);
        usages.push(IndexUsage { label, keys: keys.len(), kept_as, bytes });
    }
    own_keys::unlink(redis, &index_keys(&names)).await?;
    Ok(usages)
}

/// Bytes of all keys together.
async fn usage(keys: &[String], redis: &mut Connection) -> RedisResult<u64> {
    let mut sum = 0;
    for batch in keys.chunks(BATCH) {
        let mut pipeline = redis::pipe();
        for key in batch {
            pipeline.cmd("MEMORY").arg("USAGE").arg(key).arg("SAMPLES").arg(0);
        }
        let bytes: Vec<Option<u64>> = pipeline.query_async(redis).await?;
        sum += bytes.into_iter().flatten().sum::<u64>();
    }
    Ok(sum)
}

/// The server's names for how it keeps the first keys, each once, the most frequent first.
async fn kept_as(keys: &[String], redis: &mut Connection) -> RedisResult<Vec<String>> {
    let mut pipeline = redis::pipe();
    for key in keys.iter().take(BATCH) {
        pipeline.cmd("OBJECT").arg("ENCODING").arg(key);
    }
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for encoding in pipeline.query_async::<Vec<Option<String>>>(redis).await?.into_iter().flatten() {
        *counts.entry(encoding).or_default() += 1;
    }
    let mut encodings: Vec<(String, usize)> = counts.into_iter().collect();
    encodings.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    Ok(encodings.into_iter().map(|(encoding, _)| encoding).collect())
}

const BETWEEN_READINGS: Duration = Duration::from_millis(10);
/// After this time, the reading of a busy server counts too.
const BUSY_AT_MOST: Duration = Duration::from_secs(5);
/// After this many readings, 300 ms in all, the reading of an idle server counts, even if it keeps more than it should. Redis
/// 7.0 shrinks its table of keys by a clock that ticks ten times a second.
const READINGS: u32 = 30;
/// Bytes that earlier users may leave: less than one a user.
const REMNANT: u64 = 1_000;

/// The growth of a server that nobody else writes to.
#[derive(Clone, Copy, Debug)]
pub struct Growth {
    baseline: u64,
}

impl Growth {
    /// From what is in use now, once what was removed before is freed.
    pub async fn from_now(redis: &mut Connection) -> RedisResult<Self> {
        Ok(Self { baseline: settled(u64::MAX, redis).await? })
    }
}

/// Bytes in use, without those of clients, once the server is done with freeing and resizing in the background, and is down to
/// `most`.
async fn settled(most: u64, redis: &mut Connection) -> RedisResult<u64> {
    let begun = Instant::now();
    let mut idle = 0;
    loop {
        let now = in_use(redis).await?;
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
    /// Memory waits to be freed, or a table is being resized.
    busy: bool,
}

/// Of all primaries together.
async fn in_use(redis: &mut Connection) -> RedisResult<InUse> {
    let mut info = redis::Cmd::new();
    info.arg("INFO").arg("memory");
    let texts: Vec<String> = match info.query_async::<Value>(redis).await? {
        // A cluster connection answers with a map from primary to text.
        Value::Map(nodes) => {
            nodes.into_iter().map(|(_, text)| redis::from_redis_value(text)).collect::<Result<_, _>>()?
        }
        text => vec![redis::from_redis_value(text)?],
    };
    let clients = match redis {
        Connection::Cluster(_) => None,
        _ => Some(client_buffers(redis).await?),
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

/// Bytes of all clients' buffers right now. INFO has them too, as they were up to a second ago.
async fn client_buffers(redis: &mut Connection) -> RedisResult<u64> {
    let clients: String = redis::cmd("CLIENT").arg("LIST").query_async(redis).await?;
    let sizes = clients.split_ascii_whitespace().filter_map(|field| field.strip_prefix("tot-mem="));
    Ok(sizes.filter_map(|size| size.parse::<u64>().ok()).sum())
}
