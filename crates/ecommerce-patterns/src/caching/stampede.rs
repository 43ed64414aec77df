//! Many who miss at once; and those who ask for what does not exist.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::future::try_join_all;
use lab_connection::Connection;
use lab_runner::table::Table;
use lab_runner::{LessonContext, LessonError, Outcome};
use redis::RedisResult;
use tokio::sync::Barrier;

use super::{failed, keys_of_cache, new_cache};

/// How many want the same document in the same moment, and in how many processes.
pub const CLIENTS: usize = 100;
const PROCESSES: usize = 4;
/// How many ids a crawler makes up, and how often it comes back.
pub const UNKNOWN: usize = 30;
pub const ROUNDS: usize = 10;

const HOT: &str = "hot";

fn unknown(number: usize) -> String {
    format!("unknown-{number}")
}

pub(super) fn keys(ctx: &LessonContext) -> Result<Vec<String>, LessonError> {
    keys_of_cache(ctx, (0..UNKNOWN).map(unknown).chain([HOT.to_owned()]))
}

pub(super) async fn count(ctx: &LessonContext) -> Outcome {
    ctx.step(format!(
        "Break it: the entry of a hot product expires, and {CLIENTS} requests find nothing in the same moment. With GET, load, \
         SET each of them asks the database, and that is how shops go down. Fix it: the first client that misses gets the \
         lease. The others of its process wait for its result, and the other processes ask again after pauses of 4 ms, 8, 16, \
         and so on. The lease ends after two seconds unless the loader renews it, so if the loader dies, another takes over.",
    )).await?;
    // Each process has a cache of its own; its clients share it. The load below lasts as long as it takes the others to come.
    let caches: Vec<_> = (0..PROCESSES)
        .map(|_| new_cache(ctx.untraced("TODO"), ctx).with_load_time(Duration::from_mins(10)))
        .collect();
    let key = caches[0].key(&[HOT]).map_err(failed)?;
    let naive = stampede(ctx.untraced("TODO"), key.as_str()).await?;
    ctx.start_clean(&keys(ctx)?).await?;
    let loads = Arc::new(AtomicUsize::new(0));
    let waiting = || caches.iter().map(|cache| cache.statistics().waits).sum::<u64>();
    let load = || async {
        loads.fetch_add(1, Ordering::Relaxed);
        // The database takes its time: until everybody else waits.
        while waiting() < (CLIENTS - 1) as u64 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        Ok::<_, Infallible>(Some("a mug".to_owned()))
    };
    let requests = (0..CLIENTS).map(|client| caches[client % PROCESSES].get_or_load(&[HOT], load));
    let found = try_join_all(requests).await.map_err(failed)?;
    let ours = loads.load(Ordering::Relaxed);
    ctx.table(
        Table::new("A hot entry expires", &["approach", "requests", "loads"])
            .row(["GET, load, SET".to_owned(), CLIENTS.to_string(), naive.to_string()])
            .row(["one loads, the others wait".to_owned(), found.len().to_string(), ours.to_string()]),
    );
    ctx.check_eq("each asks the database; or one of them does", &(naive, ours), &(CLIENTS, 1))
}

/// All look before any of them stores.
async fn stampede(redis: Connection, key: &str) -> RedisResult<usize> {
    let (together, loads) = (Barrier::new(CLIENTS), AtomicUsize::new(0));
    let one = async || -> RedisResult<()> {
        let mut redis = redis.clone();
        let found: Option<String> = redis::cmd("GET").arg(key).query_async(&mut redis).await?;
        together.wait().await;
        if found.is_none() {
            loads.fetch_add(1, Ordering::Relaxed);
            redis::cmd("SET").arg(key).arg("a mug").arg("EX").arg(600).exec_async(&mut redis).await?;
        }
        Ok(())
    };
    try_join_all((0..CLIENTS).map(|_| one())).await?;
    Ok(loads.into_inner())
}

pub(super) async fn ask_for_nothing(ctx: &LessonContext) -> Outcome {
    ctx.step(format!(
        "A crawler asks for {UNKNOWN} products that do not exist, {ROUNDS} times. A cache that stores only what was found misses \
         every time. Store that there is nothing, too, as null, for a shorter time: half a minute here.",
    )).await?;
    let mut redis = ctx.untraced("TODO");
    let cache = new_cache(ctx.untraced("TODO"), ctx);
    let (mut naive, mut ours) = (0, 0);
    for _ in 0..ROUNDS {
        for number in 0..UNKNOWN {
            let key = cache.key(&[&unknown(number)]).map_err(failed)?;
            let found: Option<String> = redis::cmd("GET").arg(key.as_str()).query_async(&mut redis).await?;
            naive += usize::from(found.is_none());
        }
    }
    for _ in 0..ROUNDS {
        for number in 0..UNKNOWN {
            let load = || {
                ours += 1;
                async { Ok::<Option<String>, Infallible>(None) }
            };
            let found = cache.get_or_load(&[&unknown(number)], load).await.map_err(failed)?;
            if found.is_some() {
                return Err(LessonError::Check("there is no such product".into()));
            }
        }
    }
    ctx.table(
        Table::new("A crawler asks for what is not there", &["approach", "requests", "loads"])
            .row([
                "only what was found is stored".to_owned(),
                (ROUNDS * UNKNOWN).to_string(),
                naive.to_string(),
            ])
            .row(["null is stored as well".to_owned(), (ROUNDS * UNKNOWN).to_string(), ours.to_string()]),
    );
    ctx.check_eq(
        "all requests reach the database; or one for each id",
        &(naive, ours),
        &(ROUNDS * UNKNOWN, UNKNOWN),
    )
}
