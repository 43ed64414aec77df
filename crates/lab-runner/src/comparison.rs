//! Approaches side by side: verified before they are timed, interleaved, with spread, caveats and environment.

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::sync::Arc;
use std::time::{Duration, Instant};

use lab_connection::transcript::Listener;
use lab_connection::{Connection, Target, Transcript};
use redis::RedisResult;
use redis::aio::ConnectionLike;

use crate::activity;
use crate::caveat::Caveat;
use crate::environment::environment;
use crate::error::LessonError;
use crate::harness::{self, Rounds, Rows};
use crate::measurement::{ComparisonResult, Row, Traffic, TrafficMeter};
use crate::statistics::Summary;

/// Rounds per approach in a lesson: an odd number, so that the median is a round that happened.
const ROUNDS: usize = 15;
/// Rounds on a slow network. The first of them is the run that verifies: beside such a network, recording it takes no time.
const FEWEST_ROUNDS: usize = 2;
/// The rounds of a comparison in a lesson take about this long, and those of its noisy rows as long again. A debug build's
/// figures are worth little, so less time goes into them.
const BUDGET: Duration = Duration::from_millis(if cfg!(debug_assertions) { 200 } else { 1500 });

/// A connection that approaches may use, traced or plain; clones share its socket.
pub trait AnyConnection: ConnectionLike + Clone + Send + Sync + 'static {}
impl<C: ConnectionLike + Clone + Send + Sync + 'static> AnyConnection for C {}

/// One way of doing a thing. Tests, lessons and benches all call these functions.
pub trait Approach: Copy + Send + Sync {
    /// What the approaches work on: keys and sizes.
    type Input: Sync;
    /// What a run sees or leaves behind; the same for every approach, or they do not do the same thing.
    type Output: PartialEq + Debug + Send;

    /// Whether one [`Approach::reset`] is enough, before the first run: runs only read, or what they add does not matter.
    const RESET_ONCE: bool = false;

    /// Its row in the table.
    fn label(self) -> String;

    /// How many operations one run performs.
    fn operations(self, input: &Self::Input) -> u64;

    /// Untimed: brings the data into the state that a run starts from.
    fn reset<C: AnyConnection>(
        self,
        input: &Self::Input,
        connection: &mut C,
    ) -> impl Future<Output = RedisResult<()>> + Send;

    /// Timed: does the thing.
    fn run<C: AnyConnection>(
        self,
        input: &Self::Input,
        connection: &mut C,
    ) -> impl Future<Output = RedisResult<Self::Output>> + Send;
}

/// A question and the approaches that answer it; the first is the reference of the ratios.
pub struct Comparison<'a, A: Approach> {
    /// What the table shows.
    pub title: &'a str,
    /// The approaches, reference first.
    pub approaches: &'a [A],
    /// What they work on.
    pub input: &'a A::Input,
}

impl<A: Approach> Comparison<'_, A> {
    /// Runs every approach once, untimed, and requires that all have the same output. Returns what each run moved.
    pub async fn verify<C: AnyConnection>(&self, connection: &C) -> Result<Vec<Traffic>, LessonError> {
        Ok(self.trace(connection).await?.traffic)
    }

    /// [`Comparison::verify`], and what else the runs tell.
    async fn trace<C: AnyConnection>(&self, connection: &C) -> Result<Traced, LessonError> {
        let mut reference: Option<(String, A::Output)> = None;
        let mut all = Traced::default();
        for &approach in self.approaches {
            let meter = Arc::new(TrafficMeter::default());
            let resets = Arc::new(TrafficMeter::default());
            let mut traced = Transcript::new(connection.clone(), Arc::clone(&resets) as Arc<dyn Listener>);
            approach.reset(self.input, &mut traced).await?;
            all.commands.extend(resets.commands());
            let mut traced = Transcript::new(connection.clone(), Arc::clone(&meter) as Arc<dyn Listener>);
            let started = Instant::now();
            let output = approach.run(self.input, &mut traced).await?;
            all.rates.push(rate(approach.operations(self.input), started));
            all.traffic.push(meter.read());
            all.commands.extend(meter.commands());
            match &reference {
                None => reference = Some((approach.label(), output)),
                Some((_, expected)) if *expected == output => {}
                Some((label, expected)) => {
                    return Err(LessonError::Check(format!(
                        "'{label}' and '{}' do the same thing (the first saw {expected:?}, the second {output:?})",
                        approach.label()
                    )));
                }
            }
        }
        Ok(all)
    }

    /// Verifies the approaches, then times them in interleaved rounds on an untraced connection.
    pub async fn measure(&self, target: &Target) -> Result<ComparisonResult, LessonError> {
        self.measure_over(target, false).await
    }

    /// [`Comparison::measure`], in fewer rounds if the network is slow.
    pub(crate) async fn measure_over(
        &self,
        target: &Target,
        slow_network: bool,
    ) -> Result<ComparisonResult, LessonError> {
        let connection = target.connection();
        let Traced { traffic, commands, rates: verified } = self.trace(&connection).await?;
        let rounds = if slow_network { FEWEST_ROUNDS - 1 } else { ROUNDS };
        let plan = Rounds { rounds, budget: BUDGET, repeat_budget: BUDGET };
        let mut samples = harness::measure(&mut Rates { comparison: self, connection }, plan).await?;
        if slow_network {
            samples.iter_mut().zip(verified).for_each(|(samples, verified)| samples.insert(0, verified));
        }
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
        Ok(ComparisonResult {
            title: self.title.to_owned(),
            operations: self.approaches.first().map_or(0, |approach| approach.operations(self.input)),
            rounds: samples.iter().map(Vec::len).min().unwrap_or(0),
            rows: rates.into_iter().zip(traffic).map(row).collect(),
            commands,
            environment: environment(target),
            caveats,
        })
    }
}

/// What the verifying run of each approach told.
#[derive(Default)]
struct Traced {
    traffic: Vec<Traffic>,
    /// The names of all commands that were sent.
    commands: BTreeSet<String>,
    rates: Vec<f64>,
}

/// Operations a second since then.
fn rate(operations: u64, started: Instant) -> f64 {
    operations as f64 / started.elapsed().as_secs_f64().max(1e-9)
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
        let (approach, input) = (self.comparison.approaches[row], self.comparison.input);
        activity::set(format!("measuring: {}", approach.label()));
        if !A::RESET_ONCE {
            approach.reset(input, &mut self.connection).await?;
        }
        let started = Instant::now();
        approach.run(input, &mut self.connection).await?;
        Ok(Some(rate(approach.operations(input), started)))
    }

    fn figure(&self, _: usize, rate: &f64) -> f64 {
        *rate
    }
}
