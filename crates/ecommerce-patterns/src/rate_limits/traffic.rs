//! The same traffic through all limiters.

use std::time::Duration;

use lab_connection::{Connection, Target, own_keys};
use lab_runner::table::{Table, bytes};
use lab_runner::{LessonContext, LessonError, Outcome};
use patterns::fixed_window::FixedWindowAlgorithm;
use patterns::limit::{Algorithm, Limit};
use patterns::sliding_counter::SlidingCounterAlgorithm;
use patterns::sliding_log::SlidingLogAlgorithm;
use patterns::token_bucket::TokenBucketAlgorithm;

use super::recorded_clock::RecordedClock;
use super::{MINUTE, admit, key_of, limiter};
use crate::round_trips::RoundTrips;

/// Requests that a caller may make in a minute.
const QUOTA: u32 = 30;
/// A full minute of the wall clock: 2023-11-14 22:14:00 UTC.
const EPOCH_MS: u64 = 1_700_000_040_000;
const MINUTE_MS: u64 = 60_000;
const CALLER: &str = "replayed";

/// A limiter through which the traffic goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Replayed {
    /// A counter that ends with its window.
    FixedWindow,
    /// The time of each request.
    SlidingLog,
    /// Two weighted windows.
    SlidingCounter,
    /// GCRA.
    TokenBucket {
        /// How many tokens the bucket holds.
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

    fn label(self) -> String {
        match self {
            Self::FixedWindow => "fixed window".to_owned(),
            Self::SlidingLog => "sliding log".to_owned(),
            Self::SlidingCounter => "sliding counter".to_owned(),
            Self::TokenBucket { burst } => format!("token bucket of {burst}"),
        }
    }
}

/// When requests come: milliseconds, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Traffic(Vec<u64>);

impl Traffic {
    /// Seven minutes. One that begins quietly, with a burst before the end of the window that began with it, and one after it;
    /// two steady ones, a little above the limit; an idle one; again two bursts, at an edge of the wall clock; a quiet end.
    #[must_use]
    pub fn at_window_edges() -> Self {
        let burst = |at: u64, requests: u64| (0..requests).map(move |number| at + 20 * number);
        let steady = |from: u64, to: u64, every: u64| (from..to).step_by(usize::try_from(every).unwrap_or(1));
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
    /// Round trips of all the requests.
    pub round_trips: usize,
}

impl Measure {
    /// Sends the traffic of one caller through a limiter of 30 a minute, at the recorded time.
    pub async fn of(traffic: &Traffic, limiter: Replayed, target: &Target) -> Result<Self, LessonError> {
        match limiter {
            Replayed::FixedWindow => Self::by::<FixedWindowAlgorithm>(traffic, QUOTA, target).await,
            Replayed::SlidingLog => Self::by::<SlidingLogAlgorithm>(traffic, QUOTA, target).await,
            Replayed::SlidingCounter => Self::by::<SlidingCounterAlgorithm>(traffic, QUOTA, target).await,
            Replayed::TokenBucket { burst } => Self::by::<TokenBucketAlgorithm>(traffic, burst, target).await,
        }
    }

    async fn by<A: Algorithm>(traffic: &Traffic, burst: u32, target: &Target) -> Result<Self, LessonError> {
        let (mut redis, trips): (Connection, _) = (target.connection(), RoundTrips::default());
        own_keys::unlink(&mut redis, &keys_of(target)).await?;
        let clock = RecordedClock::new(trips.counted(redis.clone()), A::decide());
        let limit = Limit::new("minute", QUOTA, MINUTE).with_burst(burst);
        let limiter = limiter::<_, A>(clock.clone(), target.prefix(), limit)?;
        let mut admitted = Vec::new();
        for at in &traffic.0 {
            clock.set(Duration::from_millis(EPOCH_MS + at));
            if admit(&limiter, CALLER).await?.admitted {
                admitted.push(*at);
            }
        }
        let used = redis::cmd("MEMORY").arg("USAGE").arg(keys_of(target)).to_owned();
        Ok(Self {
            admitted: admitted.len(),
            worst_minute: worst(&admitted, MINUTE_MS),
            worst_six_seconds: worst(&admitted, MINUTE_MS / 10),
            bytes: used.query_async::<Option<usize>>(&mut redis).await?.unwrap_or(0),
            round_trips: trips.take(),
        })
    }
}

/// The most of these times in any stretch of so many milliseconds.
fn worst(times: &[u64], stretch: u64) -> usize {
    let from = |first: usize| times[first..].iter().take_while(|at| **at < times[first] + stretch).count();
    (0..times.len()).map(from).max().unwrap_or(0)
}

/// The keys that this part writes.
pub(super) fn keys_of(target: &Target) -> Vec<String> {
    vec![key_of(target.prefix(), CALLER, "minute")]
}

pub(super) async fn through_all(ctx: &LessonContext, target: &Target) -> Outcome {
    let traffic = Traffic::at_window_edges();
    ctx.step(format!(
        "A fixed window forgets everything when it ends: the whole limit just before, and the whole limit just after. Others \
         remember more. A sliding log keeps the time of each request until it is a window old. A sliding counter keeps two \
         counts, and weights the window before by the part of it that a window ending now would cover. A token bucket holds \
         so many tokens. Each request takes one, and they come back one by one. It only needs to remember when it is full \
         again. The same {} requests of seven minutes go through each, with {QUOTA} a minute allowed. You need not wait seven \
         minutes: a few lines before each script answer TIME with the recorded time of each request, and let keys expire by \
         it. The scripts stay as they are.",
        traffic.requests(),
    )).await?;
    let header = ["limiter", "admitted", "worst minute", "worst 6 s", "kept", "trips"];
    let mut table = Table::new("The same traffic", &header);
    let mut measured = Vec::new();
    for limiter in Replayed::ALL {
        let measure = Measure::of(&traffic, limiter, target).await?;
        let numbers = [measure.admitted, measure.worst_minute, measure.worst_six_seconds];
        let cells = std::iter::once(limiter.label())
            .chain(numbers.map(|number| number.to_string()))
            .chain([bytes(measure.bytes), measure.round_trips.to_string()]);
        table = table.row(cells);
        measured.push(measure);
    }
    ctx.table(table);
    ctx.start_clean(&keys_of(target)).await?;
    check(ctx, traffic.requests(), &measured)
}

fn check(ctx: &LessonContext, requests: usize, measured: &[Measure]) -> Outcome {
    let most = QUOTA as usize;
    let [fixed, log, counter, large, small] = measured else {
        return Err(LessonError::Check("five limiters were measured".to_owned()));
    };
    ctx.check(
        "one round trip for each request",
        measured.iter().all(|measure| measure.round_trips == requests),
    )?;
    let minutes = [fixed, log, counter, large, small].map(|measure| measure.worst_minute);
    ctx.check(
        "fixed window: more than the limit within six seconds, up to twice as many",
        (most + 1..=2 * most).contains(&fixed.worst_six_seconds) && minutes[0] <= 2 * most,
    )?;
    ctx.check_eq("sliding log: never more than the limit in any minute", &minutes[1], &most)?;
    // In a tenth of the window a tenth of what it counts of the one before falls out of it.
    let in_six_seconds = most + most / 10;
    ctx.check(
        format!(
            "sliding counter: at most {in_six_seconds} in any six seconds, fewer than {} in any minute",
            2 * most
        ),
        counter.worst_six_seconds <= in_six_seconds && minutes[2] < 2 * most,
    )?;
    ctx.check(
        "token bucket: its burst, and what comes back meanwhile",
        large.worst_six_seconds <= most + 2
            && minutes[3] < 2 * most
            && small.worst_six_seconds <= 10 + 2
            && minutes[4] < 10 + most,
    )?;
    ctx.say(
        "The worst minute is what a backend must bear over time, the worst six seconds what hits it at once. Only the log keeps \
         the limit in every minute, and it pays with an entry for each request. The sliding counter assumes that the requests \
         of the window before were spread evenly; they were not. A small bucket makes the traffic smooth.",
    );
    Ok(())
}
