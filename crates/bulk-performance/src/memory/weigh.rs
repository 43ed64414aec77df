//! What users and their indexes take in memory, key by key, and the tables of it. Their bytes are per record.

use std::collections::BTreeMap;

use lab_connection::{Connection, own_keys};
use lab_measure::memory::{Encoding, Store};
use lab_runner::LessonError;
use lab_runner::table::{Table, thousands};
use redis::RedisResult;

use crate::people::{CITIES, DEPARTMENTS};
use crate::stored::{Content, index_keys, write_indexes};

/// Keys per pipeline.
const BATCH: usize = 1_000;

/// What some keys take.
#[derive(Clone, Debug)]
pub struct MemoryUsage {
    /// How many keys.
    pub keys: usize,
    /// The server's own names for how it keeps them, from OBJECT ENCODING, the most frequent first.
    pub kept_as: Vec<String>,
    /// Bytes of all keys together, from MEMORY USAGE with SAMPLES 0.
    pub bytes: u64,
}

impl MemoryUsage {
    async fn of(keys: &[String], redis: &mut Connection) -> RedisResult<Self> {
        let (existing, bytes) = usage(keys, redis).await?;
        Ok(Self { keys: existing, kept_as: kept_as(keys, redis).await?, bytes })
    }
}

/// Writes all users, checks that they read back as they are, weighs them, and removes them.
pub async fn weigh(
    encoding: Encoding,
    store: &Store,
    expected: &Content,
    redis: &mut Connection,
) -> Result<MemoryUsage, LessonError> {
    store.write(encoding, redis).await?;
    if store.content(encoding, redis).await? != *expected {
        return Err(LessonError::Check(format!("'{}' gives back every user as it was", encoding.label())));
    }
    let keys = store.keys_of(encoding);
    let usage = MemoryUsage::of(&keys, redis).await?;
    own_keys::unlink(redis, &keys).await?;
    Ok(usage)
}

/// Writes the indexes of all users, weighs each kind, and removes them.
pub(super) async fn weigh_indexes(
    store: &Store,
    redis: &mut Connection,
) -> RedisResult<[(&'static str, MemoryUsage); 3]> {
    let names = store.keys().memory_indexes();
    write_indexes(&names, &store.people, store.records, redis).await?;
    let cities = MemoryUsage::of(&CITIES.map(|city| names.city(city)), redis).await?;
    let departments = DEPARTMENTS.map(|department| names.department(department));
    let departments = MemoryUsage::of(&departments, redis).await?;
    let salaries = MemoryUsage::of(&[names.users_by_salary()], redis).await?;
    own_keys::unlink(redis, &index_keys(&names)).await?;
    Ok([("Sets by city", cities), ("Sets by department", departments), ("Sorted Set by salary", salaries)])
}

/// How many of the keys exist, and the bytes of all of them together.
async fn usage(keys: &[String], redis: &mut Connection) -> RedisResult<(usize, u64)> {
    let (mut count, mut sum) = (0, 0);
    for batch in keys.chunks(BATCH) {
        let mut pipeline = redis::pipe();
        for key in batch {
            pipeline.cmd("MEMORY").arg("USAGE").arg(key).arg("SAMPLES").arg(0);
        }
        let bytes: Vec<Option<u64>> = pipeline.query_async(redis).await?;
        for bytes in bytes.into_iter().flatten() {
            count += 1;
            sum += bytes;
        }
    }
    Ok((count, sum))
}

/// The server's encodings in a sample, the first 1,000 keys; the most frequent first.
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

/// Bytes by encoding; `raw` is those of the values alone.
pub(super) fn usage_table(usages: &[(Encoding, MemoryUsage)], records: u64, raw: u64) -> Table {
    let header = ["encoding", "kept as", "keys", "bytes", "x raw"];
    usages.iter().fold(Table::new("Bytes per record", &header), |table, (encoding, usage)| {
        table.row([
            encoding.label().to_owned(),
            usage.kept_as.iter().take(2).cloned().collect::<Vec<_>>().join(", "),
            thousands(usage.keys as f64),
            format!("{:.1}", per(usage.bytes, records)),
            format!("{:.2}", per(usage.bytes, raw)),
        ])
    })
}

/// What indexes add to the bytes of a Hash.
pub(super) fn index_table(indexes: &[(&str, MemoryUsage)], records: u64, hash: u64) -> Table {
    let header = ["stored", "kept as", "keys", "bytes"];
    let bytes = |bytes: u64| format!("{:.1}", per(bytes, records));
    let table =
        indexes.iter().fold(Table::new("Indexes, bytes per record", &header), |table, (label, usage)| {
            let keys = usage.keys.to_string();
            table.row([(*label).to_owned(), usage.kept_as.join(", "), keys, bytes(usage.bytes)])
        });
    let all: u64 = indexes.iter().map(|(_, usage)| usage.bytes).sum();
    [("all indexes", all), ("the Hash without them", hash), ("the Hash with them", hash + all)]
        .into_iter()
        .fold(table, |table, (label, total)| table.row([label, "", "", bytes(total).as_str()]))
}

/// A ratio, such as bytes per record; 0 if `of` is 0.
pub(super) fn per(bytes: u64, of: u64) -> f64 {
    if of == 0 { 0.0 } else { bytes as f64 / of as f64 }
}
