//! The same traffic through all limiters, at the times at which it was recorded.

use lab_connection::{Target, own_keys};
use patterns::fixed_window::FixedWindowAlgorithm;
use patterns::key::KeyError;
use patterns::limit::{Algorithm, IfUnreachable, Limit, Limiter};
use patterns::sliding_counter::SlidingCounterAlgorithm;
use patterns::sliding_log::SlidingLogAlgorithm;
use patterns::token_bucket::TokenBucketAlgorithm;

use super::{MINUTE, key_of};
use lab_runner::BoxError;
use lab_runner::round_trips::RoundTrips;

/// Lua that stands before a limiter's script and gives it the time of the recorded request.
const CLOCK: &str = include_str!("recorded_clock.lua");

/// Requests that a caller may make in a minute.
pub(super) const QUOTA: u32 = 30;
/// A full minute: 2023-11-14 22:14:00 UTC.
const EPOCH_MS: u64 = 1_700_000_040_000;
const MINUTE_MS: u64 = 60_000;

/// When requests come, in milliseconds. Seven minutes: a quiet one with a burst at its end, another burst right after it, two steady
/// minutes a little above the limit, an idle one, two more bursts at the edge of a minute, and a quiet end.
pub(super) fn at_window_edges() -> Vec<u64> {
    let burst = |at: u64| (0..40).map(move |number| at + 20 * number);
    let steady = |from: u64, to: u64, every: usize| (from..to).step_by(every);
    steady(2_000, 40_000, 10_000)
        .chain(burst(58_000))
        .chain(burst(62_500))
        .chain(steady(2 * MINUTE_MS, 4 * MINUTE_MS, 1_500))
        // The fifth minute is idle.
        .chain(burst(6 * MINUTE_MS - 2_000))
        .chain(burst(6 * MINUTE_MS))
        .chain(steady(6 * MINUTE_MS + 10_000, 7 * MINUTE_MS, 2_500))
        .collect()
}

/// What a limiter made of the traffic.
pub(super) struct Measure {
    pub(super) limiter: &'static str,
    /// Requests that were admitted.
    pub(super) admitted: usize,
    /// The most of them in any minute.
    pub(super) worst_minute: usize,
    /// The most of them in any six seconds.
    pub(super) worst_six_seconds: usize,
    /// What the server keeps for this caller: `MEMORY USAGE`.
    pub(super) bytes: usize,
    /// Round trips of one request.
    pub(super) round_trips: usize,
}

/// Sends the traffic of one caller through limiters of 30 a minute, at the recorded times.
pub(super) async fn replay(target: &Target, times: &[u64]) -> Result<[Measure; 5], BoxError> {
    let (fixed, log, counter, large, small) = tokio::try_join!(
        by::<FixedWindowAlgorithm>("fixed window", QUOTA, target, times),
        by::<SlidingLogAlgorithm>("sliding log", QUOTA, target, times),
        by::<SlidingCounterAlgorithm>("sliding counter", QUOTA, target, times),
        by::<TokenBucketAlgorithm>("token bucket of 30", QUOTA, target, times),
        by::<TokenBucketAlgorithm>("token bucket of 10", 10, target, times),
    )?;
    Ok([fixed, log, counter, large, small])
}

async fn by<A: Algorithm>(
    limiter: &'static str,
    burst: u32,
    target: &Target,
    times: &[u64],
) -> Result<Measure, BoxError> {
    let (mut redis, key) = (target.connection(), key(target.prefix(), limiter)?);
    let limit = Limit::new("minute", QUOTA, MINUTE).with_burst(burst);
    own_keys::unlink(&mut redis, &[&key]).await?;

    // All requests go out in order on one connection, without waiting for the replies. Their times are recorded.
    let script = format!("{CLOCK}{}", A::decide().source());
    let hash = redis::Script::new(&script).get_hash().to_owned();
    let mut admitted = Vec::new();
    let mut pipeline = redis::pipe();
    for (index, at) in times.iter().enumerate() {
        match index {
            0 => pipeline.cmd("EVAL").arg(&script),
            _ => pipeline.cmd("EVALSHA").arg(&hash),
        };
        let arguments = A::arguments(&limit, 1);
        pipeline.arg(1).arg(&key).arg(1).arg("take").arg(&arguments[..]).arg((EPOCH_MS + at) * 1_000);
    }
    let replies: Vec<Vec<redis::Value>> = pipeline.query_async(&mut redis).await?;
    for (at, reply) in times.iter().zip(replies) {
        let outcome = reply.into_iter().next().unwrap_or(redis::Value::Nil);
        if redis::from_redis_value::<String>(outcome)? == "ADMITTED" {
            admitted.push(*at);
        }
    }
    let used: Option<usize> = redis::cmd("MEMORY").arg("USAGE").arg(&key).query_async(&mut redis).await?;

    own_keys::unlink(&mut redis, &[&key]).await?;
    let trips = RoundTrips::default();
    let counted = trips.counted(redis.clone());
    let admitting = Limiter::<_, A>::new(counted, target.prefix(), &[limit], IfUnreachable::Refuse)?;
    // The first time, the server may have to learn the script. To peek writes nothing.
    let _ = admitting.peek("replayed", 1).await?;
    trips.take();
    let _ = admitting.peek("replayed", 1).await?;
    Ok(Measure {
        limiter,
        admitted: admitted.len(),
        worst_minute: worst(&admitted, MINUTE_MS),
        worst_six_seconds: worst(&admitted, MINUTE_MS / 10),
        bytes: used.unwrap_or(0),
        round_trips: trips.take(),
    })
}

/// The most of these times in any stretch of so many milliseconds.
fn worst(times: &[u64], stretch: u64) -> usize {
    let from = |first: usize| times[first..].iter().take_while(|at| **at < times[first] + stretch).count();
    (0..times.len()).map(from).max().unwrap_or(0)
}

/// The key of the caller whose traffic goes through this limiter.
pub(super) fn key(prefix: &str, limiter: &str) -> Result<String, KeyError> {
    key_of(prefix, &format!("replayed-{}", limiter.replace(' ', "-")), "minute")
}
