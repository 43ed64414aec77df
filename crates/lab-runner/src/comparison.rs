//! Approaches side by side: verified before they are timed, interleaved, with spread, caveats and environment.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::{Duration, Instant};

use lab_connection::transcript::Listener;
use lab_connection::{Connection, Target, Transcript};
use redis::RedisResult;
use redis::aio::ConnectionLike;

use crate::caveat::Caveat;
use crate::environment::environment;
use crate::error::LessonError;
use crate::harness::{self, Rounds, Rows};
use crate::measurement::{Measured, Row, Traffic, TrafficMeter};
use crate::statistics::Summary;

/// Rounds per approach in a lesson: an odd number, so that the median is a round that happened.
const ROUNDS: usize = 15;
/// The rounds of a comparison in a lesson take about this long, and those of its noisy rows as long again. A debug build's
/// figures are worth little, so less time goes into them.
const BUDGET: Duration = Duration::from_millis(if cfg!(debug_assertions) { 200 } else { 1500 });

/// A connection that approaches may use, traced or plain; clones share its socket.
pub trait Wire: ConnectionLike + Clone + Send + Sync + 'static {}
impl<C: ConnectionLike + Clone + Send + Sync + 'static> Wire for C {}

/// One way of doing a thing. Tests, lessons and benches all call these functions.
pub trait Approach: Copy + Send + Sync {
    /// What the approaches work on: keys and sizes.
    type Subject: Sync;
    /// What a run sees or leaves behind; the same for every approach, or they do not do the same thing.
    type Observed: PartialEq + Debug + Send;

    /// Its row in the table.
    fn label(self) -> String;

    /// How many operations one run performs.
    fn operations(self, subject: &Self::Subject) -> u64;

    /// Untimed: brings the data into the state that a run starts from.
    fn reset<C: Wire>(
        self,
        subject: &Self::Subject,
        connection: &mut C,
    ) -> impl Future<Output = RedisResult<()>> + Send;

    /// Timed: does the thing.
    fn run<C: Wire>(
        self,
        subject: &Self::Subject,
        connection: &mut C,
    ) -> impl Future<Output = RedisResult<Self::Observed>> + Send;
}

/// A question and the approaches that answer it; the first is the reference of the ratios.
pub struct Comparison<'a, A: Approach> {
    /// What the table shows.
    pub title: &'a str,
    /// The approaches, reference first.
    pub approaches: &'a [A],
    /// What they work on.
    pub subject: &'a A::Subject,
}

impl<A: Approach> Comparison<'_, A> {
    /// Runs every approach once, traced and untimed, and requires that all see the same.
    pub async fn verify<C: Wire>(&self, connection: &C) -> Result<Vec<Traffic>, LessonError> {
        let mut reference: Option<(String, A::Observed)> = None;
        let mut traffic = Vec::new();
        for &approach in self.approaches {
            let meter = Arc::new(TrafficMeter::default());
            approach.reset(self.subject, &mut connection.clone()).await?;
            let mut traced = Transcript::new(connection.clone(), Arc::clone(&meter) as Arc<dyn Listener>);
            let observed = approach.run(self.subject, &mut traced).await?;
            traffic.push(meter.read());
            match &reference {
                None => reference = Some((approach.label(), observed)),
                Some((_, expected)) if *expected == observed => {}
                Some((label, expected)) => {
                    return Err(LessonError::Check(format!(
                        "'{label}' and '{}' do the same thing (the first saw {expected:?}, the second {observed:?})",
                        approach.label()
                    )));
                }
            }
        }
        Ok(traffic)
    }

    /// Verifies the approaches, then times them in interleaved rounds on an untraced connection.
    pub async fn measure(&self, target: &Target) -> Result<Measured, LessonError> {
        let connection = target.connection();
        let traffic = self.verify(&connection).await?;
        let plan = Rounds { rounds: ROUNDS, budget: BUDGET, repeat_budget: BUDGET };
        let samples = harness::measure(&mut Rates { comparison: self, connection }, plan).await?;
        let rates: Vec<(String, Summary)> = self
            .approaches
            .iter()
            .zip(&samples)
            .map(|(approach, samples)| (approach.label(), Summary::of(samples)))
            .collect();
        let reference = rates.first().map_or(0.0, |(_, rate)| rate.median);
        let caveats = Caveat::about(&rates, target.is_near());
        let row = |((label, rate), traffic): ((String, Summary), Traffic)| {
            let ratio = if reference > 0.0 { rate.median / reference } else { 0.0 };
            Row { label, rate, ratio, traffic }
        };
        Ok(Measured {
            title: self.title.to_owned(),
            operations: self.approaches.first().map_or(0, |approach| approach.operations(self.subject)),
            rounds: samples.iter().map(Vec::len).min().unwrap_or(0),
            rows: rates.into_iter().zip(traffic).map(row).collect(),
            environment: environment(target),
            caveats,
        })
    }
}

/// The approaches as rows: the sample is the rate, in operations a second.
struct Rates<'a, A: Approach> {
    comparison: &'a Comparison<'a, A>,
    connection: Connection,
}

impl<A: Approach> Rows for Rates<'_, A> {
    type Sample = f64;

    fn count(&self) -> usize {
        self.comparison.approaches.len()
    }

    async fn measure(&mut self, row: usize) -> Result<Option<f64>, LessonError> {
        let (approach, subject) = (self.comparison.approaches[row], self.comparison.subject);
        approach.reset(subject, &mut self.connection).await?;
        let started = Instant::now();
        approach.run(subject, &mut self.connection).await?;
        let seconds = started.elapsed().as_secs_f64().max(1e-9);
        Ok(Some(approach.operations(subject) as f64 / seconds))
    }

    fn figure(&self, _: usize, rate: &f64) -> f64 {
        *rate
    }
}
