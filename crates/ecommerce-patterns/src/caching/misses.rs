//! What happens on a miss: by hand, and with the pattern.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use lab_connection::{Connection, Target, own_keys};
use lab_runner::concurrent::try_join_all;
use lab_runner::{BoxError, LessonContext};
use patterns::cache::{Cache, Statistics};
use patterns::script::StoreError;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use redis::{AsyncTypedCommands, RedisResult};
use tokio::sync::Barrier;

use super::{keys_of, new_cache};

/// Clients that read the same entry at the same moment, and the processes that they are in.
pub(super) const CLIENTS: usize = 100;
pub(super) const PROCESSES: usize = 4;
/// Entries that are changed while they are loaded.
pub(super) const WRITES: usize = 20;
/// Products that do not exist, and how often a crawler asks for each.
pub(super) const UNKNOWN: usize = 60;
pub(super) const ROUNDS: usize = 5;
/// Entries that are stored at the same moment, and products that customers ask for.
pub(super) const ENTRIES: usize = 500;
/// Requests after which the hit rate is read, and how many are made at a time.
const REQUESTS: [usize; 3] = [400, 1_200, 2_400];
const AT_A_TIME: usize = 400;

/// The price before the write, and after it.
const OLD: &str = "19.99";
const NEW: &str = "17.99";

/// Every key that this file writes.
pub(super) fn keys(ctx: &LessonContext) -> Result<Vec<String>, BoxError> {
    let ids = [
        ids("changed", WRITES),
        ids("changed-by-hand", WRITES),
        ids("unknown-by-hand", UNKNOWN),
        ids("unknown", UNKNOWN),
        ids("entry", ENTRIES),
        vec!["popular".to_owned()],
    ];
    keys_of(ctx, ids.concat())
}

fn ids(name: &str, count: usize) -> Vec<String> {
    (0..count).map(|number| format!("{name}-{number}")).collect()
}

/// Returns how often the database is asked when all clients miss at the same moment.
pub(super) async fn stampede_by_hand(target: &Target) -> Result<usize, BoxError> {
    let mut redis = target.connection();
    let key = new_cache(redis.clone(), target.prefix()).key(&["popular"])?;
    let (barrier, loads) = (Barrier::new(CLIENTS), AtomicUsize::new(0));
    let clients = (0..CLIENTS).map(|_| read_by_hand(redis.clone(), key.as_str(), &barrier, &loads));
    try_join_all(clients.collect::<Vec<_>>()).await?;
    redis.unlink(key.as_str()).await?;
    Ok(loads.into_inner())
}

async fn read_by_hand(
    mut redis: Connection,
    product: &str,
    barrier: &Barrier,
    loads: &AtomicUsize,
) -> RedisResult<()> {
    let cached = redis.get(product).await?;
    // The worst case: all clients have read before the first one stores.
    barrier.wait().await;
    if cached.is_none() {
        loads.fetch_add(1, Ordering::Relaxed); // The database is asked here.
        redis.set_ex(product, "a mug", 600).await?;
    }
    Ok(())
}

/// The same with the pattern. The load takes as long as it takes all others to wait for it.
pub(super) async fn stampede(target: &Target) -> Result<usize, BoxError> {
    // The callers of one process share its cache.
    let caches = [(); PROCESSES].map(|()| new_cache(target.connection(), target.prefix()));
    let loads = AtomicUsize::new(0);
    let waiting = || caches.iter().map(|cache| cache.statistics().waits).sum::<u64>();
    let load = async || {
        loads.fetch_add(1, Ordering::Relaxed);
        while waiting() < (CLIENTS - 1) as u64 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        Ok::<_, Infallible>(Some("a mug".to_owned()))
    };
    let requests = (0..CLIENTS).map(|client| caches[client % PROCESSES].get_or_load(&["popular"], load));
    try_join_all(requests).await?;
    caches[0].invalidate(&["popular"]).await?;
    Ok(loads.into_inner())
}

/// Returns how often the old price is served.
pub(super) async fn late_stores_by_hand(target: &Target) -> Result<usize, BoxError> {
    let (mut redis, mut keys) = (target.connection(), Vec::new());
    for id in ids("changed-by-hand", WRITES) {
        keys.push(new_cache(redis.clone(), target.prefix()).key(&[&id])?.as_str().to_owned());
    }
    let stores = keys.iter().map(|product| store_late(redis.clone(), product));
    let served = try_join_all(stores.collect::<Vec<_>>()).await?;
    own_keys::unlink(&mut redis, &keys).await?;
    Ok(served.iter().filter(|price| *price == OLD).count())
}

/// Returns the price that is served afterward.
async fn store_late(mut redis: Connection, product: &str) -> RedisResult<String> {
    let cached = redis.get(product).await?;
    let row = cached.unwrap_or_else(|| OLD.to_owned()); // The database is asked here.
    // Another client writes the new price to the database, and deletes the entry.
    redis.unlink(product).await?;
    redis.set_ex(product, &row, 600).await?;
    let served = redis.get(product).await?;
    Ok(served.unwrap_or_else(|| NEW.to_owned()))
}

/// Returns how often the old price is served, and how often the pattern refused to store it.
pub(super) async fn late_stores(target: &Target) -> Result<(usize, u64), BoxError> {
    let cache = new_cache(target.connection(), target.prefix());
    let served = ids("changed", WRITES).into_iter().map(|id| served_after_write(cache.clone(), id));
    let served = try_join_all(served.collect::<Vec<_>>()).await?;
    own_keys::unlink(&mut target.connection(), &all_keys(&cache, &ids("changed", WRITES))?).await?;
    let old = served.iter().filter(|price| price.as_deref() == Some(OLD)).count();
    Ok((old, cache.statistics().late))
}

async fn served_after_write(cache: Cache<Connection>, id: String) -> Result<Option<String>, BoxError> {
    let load = async || {
        // Another client writes the new price to the database, and deletes the entry, while this one loads.
        cache.invalidate(&[&id]).await?;
        Ok::<_, StoreError>(Some(OLD.to_owned()))
    };
    cache.get_or_load(&[&id], load).await?;
    let load = async || Ok::<_, Infallible>(Some(NEW.to_owned()));
    Ok(cache.get_or_load(&[&id], load).await?)
}

/// Returns the loads.
pub(super) async fn absent_by_hand(target: &Target) -> Result<usize, BoxError> {
    let redis = target.connection();
    let keys = all_keys(&new_cache(redis.clone(), target.prefix()), &ids("unknown-by-hand", UNKNOWN))?;
    let mut loads = 0;
    for _ in 0..ROUNDS {
        let found = try_join_all(keys.iter().map(async |key| redis.clone().get(key).await)).await?;
        loads += found.iter().filter(|found| found.is_none()).count();
    }
    Ok(loads)
}

/// Returns the loads.
pub(super) async fn absent(target: &Target) -> Result<usize, BoxError> {
    let cache = new_cache(target.connection(), target.prefix());
    let ids = ids("unknown", UNKNOWN);
    let load = async || Ok::<Option<String>, Infallible>(None);
    for _ in 0..ROUNDS {
        try_join_all(ids.iter().map(async |id| cache.get_or_load(&[id], load).await)).await?;
    }
    own_keys::unlink(&mut target.connection(), &all_keys(&cache, &ids)?).await?;
    Ok(usize::try_from(cache.statistics().loads)?)
}

/// Stores entries at the same moment, and returns how many of them expire in one second at most.
pub(super) async fn most_in_a_second(target: &Target, jitter: f64) -> Result<usize, BoxError> {
    let mut redis = target.connection();
    let cache = new_cache(redis.clone(), target.prefix()).with_jitter(jitter);
    let ids = ids("entry", ENTRIES);
    try_join_all(ids.iter().map(async |id| cache.put(&[id], Some(&1)).await)).await?;
    let keys = all_keys(&cache, &ids)?;
    let mut ttls = redis::pipe();
    for key in &keys {
        ttls.pttl(key);
    }
    let ttls: Vec<u64> = ttls.query_async(&mut redis).await?;
    own_keys::unlink(&mut redis, &keys).await?;
    let mut seconds: HashMap<u64, usize> = HashMap::new();
    for ttl in ttls {
        *seconds.entry(ttl / 1000).or_default() += 1;
    }
    Ok(seconds.into_values().max().unwrap_or(0))
}

/// After so many requests, what the cache has seen.
pub(super) async fn hit_rates(target: &Target) -> Result<Vec<(usize, Statistics)>, BoxError> {
    let cache = new_cache(target.connection(), target.prefix());
    let (mut rng, ids) = (StdRng::seed_from_u64(7), ids("entry", ENTRIES));
    let mut popularity = Vec::with_capacity(ENTRIES);
    let mut total = 0.0;
    for rank in 1..=ENTRIES {
        total += 1.0 / rank as f64;
        popularity.push(total);
    }
    let (mut rates, mut requests) = (Vec::new(), 0);
    while requests < REQUESTS[REQUESTS.len() - 1] {
        let wanted = (0..AT_A_TIME).map(|_| {
            let drawn = rng.random::<f64>() * total;
            &ids[popularity.partition_point(|sum| *sum <= drawn).min(ENTRIES - 1)]
        });
        let load = async || Ok::<_, Infallible>(Some(1));
        let wanted: Vec<&String> = wanted.collect();
        try_join_all(wanted.iter().map(async |id| cache.get_or_load(&[id], load).await)).await?;
        requests += AT_A_TIME;
        if REQUESTS.contains(&requests) {
            rates.push((requests, cache.statistics()));
        }
    }
    own_keys::unlink(&mut target.connection(), &all_keys(&cache, &ids)?).await?;
    Ok(rates)
}

fn all_keys(cache: &Cache<Connection>, ids: &[String]) -> Result<Vec<String>, StoreError> {
    ids.iter().map(|id| Ok(cache.key(&[id])?.as_str().to_owned())).collect()
}
