//! How long one answer takes: every approach is verified, then timed answer by answer, in interleaved rounds.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::try_join_all;
use hdrhistogram::Histogram;
use lab_connection::transcript::Listener;
use lab_connection::{Connection, Target, Transcript};
use lab_runner::harness::{self, Rounds, Rows};
use lab_runner::measurement::{Traffic, TrafficMeter};
use lab_runner::statistics::Summary;
use lab_runner::{LessonError, activity};

use super::{Answer, QueryApproach, Question, Redis, ServerFeatures, Users};
use crate::Timed;

/// With fewer answers than this, the slowest of a hundred is a guess.
const FEWEST_FOR_P99: u64 = 100;
/// With fewer answers than this, the slowest of a thousand is a guess.
const FEWEST_FOR_P999: u64 = 1_000;
/// Significant digits of a histogram: values are exact to 0.1%.
const DIGITS: u8 = 3;
/// An hour in nanoseconds. No answer takes longer.
const LONGEST: u64 = 3_600_000_000_000;
/// How long noisy approaches are repeated, all together, at most.
const REPEAT_BUDGET: Duration = Duration::from_secs(1);

/// How often to ask.
#[derive(Clone, Copy, Debug)]
pub struct TimingPlan {
    /// Rounds. Each approach answers at least once in each.
    pub rounds: usize,
    /// A quick approach goes on answering for this long in each round, so its rare slow answers are seen.
    pub slice: Duration,
    /// How many approaches to a question are timed, at most: the naive ones first, and always the last one.
    pub approaches: usize,
}

/// The answers of one approach, timed.
#[derive(Clone, Debug)]
pub struct Latency {
    /// The approach's row.
    pub label: &'static str,
    /// How long each answer took, in nanoseconds.
    pub times: Histogram<u64>,
    /// The medians of the rounds, in nanoseconds.
    pub medians: Summary,
    /// What one answer moved.
    pub traffic: Traffic,
    /// The commands that were sent for it.
    pub commands: BTreeSet<String>,
}

impl Latency {
    /// The time within which this share of the answers came, 0 to 1; `None` if there are too few answers to tell.
    pub fn quantile(&self, share: f64) -> Option<Duration> {
        let fewest = match share {
            share if share > 0.99 => FEWEST_FOR_P999,
            share if share > 0.5 => FEWEST_FOR_P99,
            _ => 1,
        };
        (self.times.len() >= fewest).then(|| Duration::from_nanos(self.times.value_at_quantile(share)))
    }
}

/// Requires the right answer of every approach that this server allows, then times as many as planned.
pub fn measure<'a>(
    target: &'a Target,
    question: Question,
    users: &'a Users,
    server: ServerFeatures,
    plan: TimingPlan,
) -> Timed<'a, Result<Vec<Latency>, LessonError>> {
    Box::pin(async move {
        let allowed = |approach: &&QueryApproach| approach.obstacle(server).is_none();
        let mut approaches: Vec<QueryApproach> =
            question.approaches().iter().filter(allowed).copied().collect();
        let right = question.right_answer(users);
        activity::set("checking every approach");
        // None of them changes what another one reads. Together, they take one round trip on a slow network.
        let verified =
            approaches.iter().map(|&approach| verify(approach, users, &right, target.connection()));
        let mut latencies = try_join_all(verified).await?;
        let skipped = plan.approaches.saturating_sub(1)..approaches.len().saturating_sub(1);
        if !skipped.is_empty() {
            approaches.drain(skipped.clone());
            latencies.drain(skipped);
        }
        let connection = Redis::Plain(target.connection());
        let repeat_budget = REPEAT_BUDGET.min(plan.slice * u32::try_from(plan.rounds).unwrap_or(u32::MAX));
        let rounds = Rounds { rounds: plan.rounds, budget: Duration::MAX, repeat_budget };
        let mut answering = Answering { approaches, users, connection, slice: plan.slice, latencies };
        let medians = harness::measure(&mut answering, rounds).await?;
        for (latency, medians) in answering.latencies.iter_mut().zip(medians) {
            latency.medians = Summary::of(&medians);
        }
        Ok(answering.latencies)
    })
}

/// One answer, which must be the right one, and what it moved.
async fn verify(
    approach: QueryApproach,
    users: &Users,
    right: &Answer,
    connection: Connection,
) -> Result<Latency, LessonError> {
    let (label, meter) = (approach.label, Arc::new(TrafficMeter::default()));
    let traced = Transcript::new(connection, Arc::clone(&meter) as Arc<dyn Listener>);
    let answer = (approach.answer)(users, &mut Redis::Traced(traced)).await?;
    if answer != *right {
        return Err(LessonError::Check(format!("'{label}' answers {right:?} (it answered {answer:?})")));
    }
    let times =
        Histogram::new_with_max(LONGEST, DIGITS).map_err(|error| LessonError::Check(error.to_string()))?;
    let (traffic, commands) = (meter.read(), meter.commands());
    Ok(Latency { label, times, medians: Summary::of(&[]), traffic, commands })
}

/// The approaches as rows. A sample is the median of the answers of one turn, in nanoseconds.
struct Answering<'a> {
    approaches: Vec<QueryApproach>,
    users: &'a Users,
    connection: Redis,
    slice: Duration,
    latencies: Vec<Latency>,
}

impl Rows for Answering<'_> {
    type Sample = f64;

    fn count(&self) -> usize {
        self.approaches.len()
    }

    async fn measure(&mut self, row: usize) -> Result<Option<f64>, LessonError> {
        let approach = self.approaches[row];
        activity::set(format!("measuring: {}", approach.label));
        let mut turn = Vec::new();
        let begun = Instant::now();
        loop {
            let started = Instant::now();
            let answer = (approach.answer)(self.users, &mut self.connection).await?;
            let elapsed = started.elapsed();
            // Freeing a long answer is not part of getting it.
            drop(answer);
            let nanoseconds = u64::try_from(elapsed.as_nanos()).unwrap_or(u64::MAX);
            self.latencies[row].times.saturating_record(nanoseconds);
            turn.push(nanoseconds as f64);
            if begun.elapsed() >= self.slice {
                return Ok(Some(Summary::of(&turn).median));
            }
        }
    }

    fn figure(&self, _: usize, median: &f64) -> f64 {
        *median
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_few_answers_have_no_high_percentiles() {
        let mut times = Histogram::new_with_max(LONGEST, DIGITS).unwrap();
        (1..=99).for_each(|micros| times.saturating_record(micros * 1_000));
        let (traffic, commands) = (Traffic::default(), BTreeSet::new());
        let mut latency = Latency { label: "", times, medians: Summary::of(&[]), traffic, commands };
        assert_eq!(latency.quantile(0.5).map(|time| time.as_micros()), Some(50));
        assert_eq!((latency.quantile(0.99), latency.quantile(0.999)), (None, None));
        latency.times.saturating_record(1);
        assert!(latency.quantile(0.99).is_some() && latency.quantile(0.999).is_none());
    }
}
