//! A trace, played against a private server.

use std::collections::HashSet;
use std::time::Duration;

use lab_connection::Target;
use lab_runner::LessonError;
use lab_runner::concurrent::try_join_all;
use redis::aio::{ConnectionLike, MultiplexedConnection};
use redis::{AsyncTypedCommands, RedisResult};
use tokio::time::Instant;

use super::trace::{HitRate, Trace};
use crate::private::{self, connect};

/// What the keys may take, in bytes: room for about 1,000 of them.
const ROOM: i64 = 700_000;
/// Bytes of a value.
const VALUE_BYTES: usize = 500;
/// How long a trace lasts. The clock by which the server tells how long a key was idle ticks once a second, so the trace may not be over
/// before that.
const DURATION: Duration = Duration::from_secs(2);

/// What a policy did with a trace.
#[derive(Clone, Copy, Debug)]
pub struct Played {
    /// Hits of customers.
    pub rate: HitRate,
    /// Keys that the server had in the end.
    pub kept: usize,
    /// Writes that the server refused, because it was full.
    pub refused: usize,
    /// Keys that it evicted.
    pub evicted: u64,
}

/// Plays the traces with each policy, all at the same time, each on a server of its own.
pub async fn play_all<'a>(
    target: &'a Target,
    policies: &'a [String],
    traces: &'a [Trace],
) -> Result<Vec<Vec<Played>>, LessonError> {
    let row = |policy: &'a String| try_join_all(traces.iter().map(move |trace| play(target, policy, trace)));
    try_join_all(policies.iter().map(row)).await
}

/// Plays a trace on a new server with this policy.
async fn play(target: &Target, policy: &str, trace: &Trace) -> Result<Played, LessonError> {
    let server = private::start(target, &[("maxmemory-policy", policy)]).await?;
    let mut redis = connect(&server).await?;
    limit_memory(&mut redis, ROOM).await?;
    let (rate, refused) = request(&mut redis, trace).await?;
    let kept = redis::cmd("DBSIZE").query_async(&mut redis).await?;
    let evicted = private::number(&mut redis, "stats", "evicted_keys").await?;
    private::stop(server).await?;
    Ok(Played { rate, kept, refused, evicted })
}

/// Lets the server take this many bytes more than now, or fewer if negative.
pub async fn limit_memory(redis: &mut (impl ConnectionLike + Send), room: i64) -> RedisResult<()> {
    let used = private::number(redis, "memory", "used_memory").await?;
    private::set_config("maxmemory", used.saturating_add_signed(room), redis).await
}

/// Each request reads its key. What is missing is loaded from the database and stored. Also returns how many writes were refused.
async fn request(redis: &mut MultiplexedConnection, trace: &Trace) -> RedisResult<(HitRate, usize)> {
    let (mut rate, mut refused) = (HitRate::default(), 0);
    let (start, batches) = (Instant::now(), trace.batches());
    let pause = DURATION / u32::try_from(batches.len()).unwrap_or(u32::MAX);
    for ((number, batch), due) in batches.enumerate().zip(0..) {
        tokio::time::sleep_until(start + pause * due).await;
        let names: Vec<String> = batch.iter().map(|key| format!("product:{key}")).collect();
        let found: Vec<bool> = present(redis, &names).await?;
        batch.iter().zip(&found).for_each(|(&key, &hit)| rate.count(trace, number, key, hit));
        let missing = batch.iter().zip(&names).zip(found).filter(|(_, hit)| !hit);
        refused += store(redis, missing.map(|((&key, name), _)| (key, name.as_str())).collect()).await?;
    }
    Ok((rate, refused))
}

async fn present(redis: &mut MultiplexedConnection, names: &[String]) -> RedisResult<Vec<bool>> {
    let values: Vec<redis::Value> = redis::cmd("MGET").arg(names).query_async(redis).await?;
    Ok(values.iter().map(|value| *value != redis::Value::Nil).collect())
}

/// Stores each key once, with a TTL from one to two hours. Returns how many the server refused.
async fn store(redis: &mut MultiplexedConnection, missing: HashSet<(u32, &str)>) -> RedisResult<usize> {
    let value = [b'v'; VALUE_BYTES];
    let mut pipe = redis::pipe();
    for (key, name) in missing {
        let seconds = 3_600 + key.wrapping_mul(2_654_435_761) % 3_600;
        pipe.cmd("SET").arg(name).arg(&value).arg("EX").arg(seconds);
    }
    if pipe.is_empty() {
        return Ok(0);
    }
    let replies: Vec<RedisResult<()>> = pipe.ignore_errors().query_async(redis).await?;
    refusals(replies)
}

/// How many were refused because memory is full. Any other error is returned.
pub fn refusals<T>(replies: Vec<RedisResult<T>>) -> RedisResult<usize> {
    let mut refused = 0;
    for reply in replies {
        match reply {
            Err(error) if error.code() == Some("OOM") => refused += 1,
            Err(error) => return Err(error),
            Ok(_) => {}
        }
    }
    Ok(refused)
}

/// The policies that the server has. It names them when it gets a name that it does not know.
pub async fn policies(redis: &mut impl AsyncTypedCommands) -> RedisResult<Vec<String>> {
    let mut set = redis::cmd("CONFIG");
    set.arg("SET").arg("maxmemory-policy").arg("?");
    Ok(set.exec_async(redis).await.err().map(|error| named_in(&error.to_string())).unwrap_or_default())
}

/// `…must be one of the following: volatile-lru, noeviction`
fn named_in(error: &str) -> Vec<String> {
    let names = error.rsplit(": ").next().unwrap_or_default().split(", ").map(str::trim);
    let is_policy =
        |name: &&str| *name == "noeviction" || name.starts_with("allkeys-") || name.starts_with("volatile-");
    names.filter(is_policy).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_server_names_its_policies() {
        let error = "CONFIG SET failed (possibly related to argument 'maxmemory-policy') - argument(s) must be one of the \
                     following: volatile-lru, allkeys-lru, noeviction";
        assert_eq!(named_in(error), ["volatile-lru", "allkeys-lru", "noeviction"]);
        assert!(named_in("ERR no permission").is_empty());
    }
}
