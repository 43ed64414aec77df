//! The same traffic through all limiters, at the times at which it was recorded.

use lab_connection::{Target, own_keys};
use patterns::fixed_window::FixedWindowAlgorithm;
use patterns::limit::{Algorithm, IfUnreachable, Limit, Limiter};
use patterns::sliding_counter::SlidingCounterAlgorithm;
use patterns::sliding_log::SlidingLogAlgorithm;
use patterns::token_bucket::TokenBucketAlgorithm;

use super::{MINUTE, key_of};
use crate::failure::BoxError;
use crate::round_trips::RoundTrips;

/// Lua that stands before a limiter's script and gives it the time of the recorded request.
const CLOCK: &str = include_str!("recorded_clock.lua");

/// Requests that a caller may make in a minute.
pub(super) const QUOTA: u32 = 30;
/// A full minute: 2023-11-14 22:14:00 UTC.
const EPOCH_MS: u64 = 1_700_000_040_000;
const MINUTE_MS: u64 = 60_000;

/// A limiter that the traffic goes through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Replayed {
    /// A counter that ends with its window.
    FixedWindow,
    /// The time of each request.
    SlidingLog,
    /// Two weighted windows.
    SlidingCounter,
    /// A bucket whose tokens come back one at a time.
    TokenBucket {
        /// How many tokens it holds.
        burst: u32,
    },
}

impl Replayed {
    /// All, in the order of the table.
    pub const ALL: [Self; 5] = [
        Self::FixedWindow,
        Self::SlidingLog,
        Self::SlidingCounter,
        Self::TokenBucket { burst: QUOTA },
        Self::TokenBucket { burst: 10 },
    ];

    /// Its row in the table.
    pub(super) fn label(self) -> String {
        match self {
            Self::FixedWindow => "fixed window".to_owned(),
            Self::SlidingLog => "sliding log".to_owned(),
            Self::SlidingCounter => "sliding counter".to_owned(),
            Self::TokenBucket { burst } => format!("token bucket of {burst}"),
        }
    }
}

/// When requests come, in milliseconds, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Traffic(Vec<u64>);

impl Traffic {
    /// Seven minutes: a quiet one with a burst at its end, another burst right after it, two steady minutes a little above the limit,
    /// an idle one, two more bursts at the edge of a minute, and a quiet end.
    #[must_use]
    pub fn at_window_edges() -> Self {
        let burst = |at: u64, requests: u64| (0..requests).map(move |number| at + 20 * number);
        let steady = |from: u64, to: u64, every: usize| (from..to).step_by(every);
        let times = steady(2_000, 40_000, 10_000)
            .chain(burst(58_000, 40))
            .chain(burst(62_500, 40))
            .chain(steady(2 * MINUTE_MS, 4 * MINUTE_MS, 1_500))
            // The fifth minute is idle.
            .chain(burst(6 * MINUTE_MS - 2_000, 40))
            .chain(burst(6 * MINUTE_MS, 40))
            .chain(steady(6 * MINUTE_MS + 10_000, 7 * MINUTE_MS, 2_500));
        Self(times.collect())
    }

    /// How many requests there are.
    #[must_use]
    pub fn requests(&self) -> usize {
        self.0.len()
    }
}

/// What a limiter made of the traffic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Measure {
    /// Requests that were admitted.
    pub admitted: usize,
    /// The most of them in any minute.
    pub worst_minute: usize,
    /// The most of them in any six seconds.
    pub worst_six_seconds: usize,
    /// What the server keeps for this caller: `MEMORY USAGE`.
    pub bytes: usize,
    /// Round trips of one request.
    pub round_trips: usize,
}

impl Measure {
    /// Sends the traffic of one caller through a limiter of 30 a minute, at the recorded times.
    pub async fn of(traffic: &Traffic, limiter: Replayed, target: &Target) -> Result<Self, BoxError> {
        let key = key(target.prefix(), limiter);
        match limiter {
            Replayed::FixedWindow => by::<FixedWindowAlgorithm>(traffic, QUOTA, target, key).await,
            Replayed::SlidingLog => by::<SlidingLogAlgorithm>(traffic, QUOTA, target, key).await,
            Replayed::SlidingCounter => by::<SlidingCounterAlgorithm>(traffic, QUOTA, target, key).await,
            Replayed::TokenBucket { burst } => by::<TokenBucketAlgorithm>(traffic, burst, target, key).await,
        }
    }
}

async fn by<A: Algorithm>(
    Traffic(times): &Traffic,
    burst: u32,
    target: &Target,
    key: String,
) -> Result<Measure, BoxError> {
    let mut redis = target.connection();
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
    let limiter = Limiter::<_, A>::new(counted, target.prefix(), &[limit], IfUnreachable::Refuse)?;
    // The first time, the server may have to learn the script. To peek writes nothing.
    let _ = limiter.peek("replayed", 1).await?;
    trips.take();
    let _ = limiter.peek("replayed", 1).await?;
    Ok(Measure {
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

/// The keys that this file writes.
pub(super) fn keys(prefix: &str) -> Vec<String> {
    Replayed::ALL.map(|limiter| key(prefix, limiter)).to_vec()
}

fn key(prefix: &str, limiter: Replayed) -> String {
    key_of(prefix, &format!("replayed-{}", limiter.label().replace(' ', "-")), "minute")
}
