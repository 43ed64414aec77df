//! Two servers, compared key by key.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::future::try_join;
use lab_runner::BoxError;
use redis::RedisResult;
use redis::aio::MultiplexedConnection;

/// Keys in a pipeline.
const BATCH: usize = 200;
/// By how many milliseconds the moments may differ at which a key expires. (Moments, because a busy machine may read two TTLs seconds
/// apart.)
const TTL_TOLERANCE: i64 = 1_000;

/// What a comparison found about the keys of one type.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OfType {
    /// Keys that the first server has.
    pub keys: usize,
    /// Of those, keys with a TTL.
    pub with_ttl: usize,
    /// Keys whose DUMP is the same, byte for byte.
    pub same_dump: usize,
    /// Large Sets and Hashes in another order, with the same members. Each server puts them in an order of its own.
    pub same_members: usize,
}

/// What a comparison found.
#[derive(Clone, Debug, Default)]
pub struct Compared {
    /// By type, as TYPE names it.
    pub types: BTreeMap<String, OfType>,
    /// Keys that differ in type, TTL, or content, or that only one server has.
    pub different: Vec<String>,
}

impl Compared {
    /// How many keys the first server has.
    #[must_use]
    pub fn keys(&self) -> usize {
        self.types.values().map(|of_type| of_type.keys).sum()
    }
}

/// TYPE, PEXPIRETIME, and DUMP of a key.
type Key = (String, i64, Option<Vec<u8>>);

/// Compares all keys whose names begin with `prefix`.
pub async fn compare(
    prefix: &str,
    left: &MultiplexedConnection,
    right: &MultiplexedConnection,
) -> Result<Compared, BoxError> {
    let (mut left, mut right) = (left.clone(), right.clone());
    let (names, others) =
        try_join(names(prefix, &mut left.clone()), names(prefix, &mut right.clone())).await?;
    let mut compared = Compared::default();
    compared.different.extend(names.symmetric_difference(&others).cloned());
    let shared: Vec<&String> = names.intersection(&others).collect();
    for names in shared.chunks(BATCH) {
        let (keys, copies) =
            try_join(read(names, &mut left.clone()), read(names, &mut right.clone())).await?;
        for ((name, key), copy) in names.iter().zip(keys).zip(copies) {
            let same_dump = key.2 == copy.2 && key.2.is_some();
            let same_ttl = (key.1 - copy.1).abs() <= TTL_TOLERANCE && (key.1 < 0) == (copy.1 < 0);
            let unordered = key.0 == copy.0 && ["set", "hash"].contains(&key.0.as_str());
            let same_members = !same_dump
                && unordered
                && members(name, &key.0, &mut left).await? == members(name, &key.0, &mut right).await?;
            let of_type = compared.types.entry(key.0.clone()).or_default();
            of_type.keys += 1;
            of_type.with_ttl += usize::from(key.1 >= 0);
            of_type.same_dump += usize::from(same_dump);
            of_type.same_members += usize::from(same_members);
            if key.0 != copy.0 || !same_ttl || !(same_dump || same_members) {
                compared.different.push((*name).clone());
            }
        }
    }
    Ok(compared)
}

async fn names(prefix: &str, redis: &mut MultiplexedConnection) -> RedisResult<BTreeSet<String>> {
    let (mut names, mut cursor) = (BTreeSet::new(), 0);
    loop {
        let mut scan = redis::cmd("SCAN");
        scan.arg(cursor).arg("MATCH").arg(format!("{prefix}*")).arg("COUNT").arg(1_000);
        let (next, found): (u64, Vec<String>) = scan.query_async(redis).await?;
        names.extend(found);
        if next == 0 {
            return Ok(names);
        }
        cursor = next;
    }
}

async fn read(names: &[&String], redis: &mut MultiplexedConnection) -> RedisResult<Vec<Key>> {
    let mut pipe = redis::pipe();
    for name in names {
        pipe.cmd("TYPE").arg(name).cmd("PEXPIRETIME").arg(name).cmd("DUMP").arg(name);
    }
    let replies: Vec<redis::Value> = pipe.query_async(redis).await?;
    let keys = replies.chunks(3).map(|key| redis::from_redis_value(redis::Value::Array(key.to_vec())));
    Ok(keys.collect::<Result<_, _>>()?)
}

/// The members of a Set, or the fields and values of a Hash, in one order.
async fn members(
    name: &str,
    kind: &str,
    redis: &mut MultiplexedConnection,
) -> RedisResult<BTreeMap<Vec<u8>, Vec<u8>>> {
    if kind == "hash" {
        return redis::cmd("HGETALL").arg(name).query_async(redis).await;
    }
    let members: Vec<Vec<u8>> = redis::cmd("SMEMBERS").arg(name).query_async(redis).await?;
    Ok(members.into_iter().map(|member| (member, Vec::new())).collect())
}
