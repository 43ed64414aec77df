//! The same traffic through all limiters.

use std::time::Duration;

use lab_connection::{Connection, own_keys};
use lab_runner::table::{Facts, bytes};
use lab_runner::{LessonError, Outcome, Page};
use storefront::limits::{Algorithm, Limit, Limiter, RecordedTime, Window};
use storefront::{ApiKey, Keys};

use super::{failed, refused};
use crate::names::known;
use crate::round_trips::RoundTrips;

/// Requests that a caller may make in a minute.
const MOST: u32 = 30;
const MINUTE: u64 = 60_000;
/// A full minute of the wall clock: 2023-11-14 22:14:00 UTC.
const EPOCH: u64 = 1_700_000_040_000;

const ALGORITHMS: [(&str, Algorithm); 5] = [
    ("fixed window", Algorithm::FixedWindow),
    ("sliding log", Algorithm::SlidingLog),
    ("sliding counter", Algorithm::SlidingCounter),
    ("token bucket of 30", Algorithm::TokenBucket { burst: 30 }),
    ("token bucket of 10", Algorithm::TokenBucket { burst: 10 }),
];

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
            .chain(steady(2 * MINUTE, 4 * MINUTE, 1_500))
            // The fifth minute is idle.
            .chain(burst(6 * MINUTE - 2_000, 40))
            .chain(burst(6 * MINUTE, 40))
            .chain(steady(6 * MINUTE + 10_000, 7 * MINUTE, 2_500));
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
    /// Sends the traffic of one caller through a limiter of 30 a minute, on recorded time.
    pub async fn of(
        traffic: &Traffic,
        algorithm: Algorithm,
        keys: &Keys,
        mut redis: Connection,
    ) -> Result<Self, LessonError> {
        let time = RecordedTime::default();
        let limit = Limit::new(MOST, Window::minute()).map_err(|error| refused(&error))?;
        let trips = RoundTrips::default();
        let limiter = Limiter::new(trips.counted(redis.clone()), keys.clone(), limit, algorithm)
            .map_err(|error| refused(&error))?
            .on_recorded_time(time.clone());
        // The server learns the script, by a request that nobody remembers.
        let _ = limiter.admit(&caller()).await.map_err(failed)?;
        own_keys::unlink(&mut redis, &keys_of(keys)).await?;
        trips.take();
        let mut admitted = Vec::new();
        for at in &traffic.0 {
            time.set(Duration::from_millis(EPOCH + at));
            if limiter.admit(&caller()).await.map_err(failed)?.admitted {
                admitted.push(*at);
            }
        }
        let used = redis::cmd("MEMORY").arg("USAGE").arg(limiter.key_of(&caller())).to_owned();
        Ok(Self {
            admitted: admitted.len(),
            worst_minute: worst(&admitted, MINUTE),
            worst_six_seconds: worst(&admitted, MINUTE / 10),
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

fn caller() -> ApiKey {
    known("replayed")
}

/// The keys that this part writes.
pub(super) fn keys_of(keys: &Keys) -> Vec<String> {
    let name_of = [
        Keys::rate_limit,
        Keys::rate_limit_log,
        Keys::rate_limit_counter,
        Keys::rate_limit_bucket,
        Keys::rate_limit_recorded,
    ];
    name_of.map(|name| name(keys, &caller(), &Window::minute())).to_vec()
}

pub(super) async fn through_all(page: &Page, keys: &Keys) -> Outcome {
    let traffic = Traffic::at_window_edges();
    page.say(format!(
        "A fixed window forgets everything at its end: the whole limit just before, and the whole limit just after. Others \
         remember more. A sliding log keeps the time of each request until it is a window old. A sliding counter keeps two \
         numbers, and counts the window before by the part of it that a window ending now would cover. A token bucket holds \
         so many tokens, each request takes one, and they come back one by one; it needs to remember only when it is full \
         again. The same {} requests of seven minutes go through each, with {MOST} a minute allowed. Nobody waits seven \
         minutes for that: the scripts are given the recorded time of each request in place of the server's, and are the \
         same otherwise.",
        traffic.requests(),
    ));
    let header = ["limiter", "admitted", "worst minute", "worst 6 s", "kept", "trips"];
    let mut facts = Facts::new("The same traffic", &header);
    let mut measured = Vec::new();
    for (label, algorithm) in ALGORITHMS {
        page.start_clean(&keys_of(keys)).await?;
        let measure = Measure::of(&traffic, algorithm, keys, page.quietly()).await?;
        let numbers = [measure.admitted, measure.worst_minute, measure.worst_six_seconds];
        let cells = std::iter::once(label.to_owned())
            .chain(numbers.map(|number| number.to_string()))
            .chain([bytes(measure.bytes), measure.round_trips.to_string()]);
        facts = facts.row(cells);
        measured.push(measure);
    }
    page.facts(facts);
    page.start_clean(&keys_of(keys)).await?;
    check(page, traffic.requests(), &measured)
}

fn check(page: &Page, requests: usize, measured: &[Measure]) -> Outcome {
    let most = MOST as usize;
    let [fixed, log, counter, large, small] = measured else {
        return Err(LessonError::Check("five limiters were measured".to_owned()));
    };
    page.check(
        "one round trip for each request",
        measured.iter().all(|measure| measure.round_trips == requests),
    )?;
    let minutes = [fixed, log, counter, large, small].map(|measure| measure.worst_minute);
    page.check(
        "fixed window: more than the limit within six seconds, up to twice as many",
        (most + 1..=2 * most).contains(&fixed.worst_six_seconds) && minutes[0] <= 2 * most,
    )?;
    page.check_eq("sliding log: never more than the limit in any minute", &minutes[1], &most)?;
    // In a tenth of the window a tenth of what it counts of the one before falls out of it.
    let in_six_seconds = most + most / 10;
    page.check(
        format!(
            "sliding counter: at most {in_six_seconds} in any six seconds, fewer than {} in any minute",
            2 * most
        ),
        counter.worst_six_seconds <= in_six_seconds && minutes[2] < 2 * most,
    )?;
    page.check(
        "token bucket: its burst, and what comes back meanwhile",
        large.worst_six_seconds <= most + 2
            && minutes[3] < 2 * most
            && small.worst_six_seconds <= 10 + 2
            && minutes[4] < 10 + most,
    )?;
    page.say(
        "The worst minute tells what a backend must bear over time, the worst six seconds what hits it at once. The log is the \
         only one that keeps its word for every minute, and pays with an entry for each request. The sliding counter takes \
         the requests of the window before for evenly spread; they were not. A small bucket makes the traffic smooth.",
    );
    Ok(())
}
