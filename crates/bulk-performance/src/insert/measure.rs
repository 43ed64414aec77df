//! Every approach is verified once, traced and untimed; then all are timed in interleaved rounds.

use std::sync::Arc;
use std::time::Duration;

use lab_connection::transcript::Listener;
use lab_runner::LessonError;
use lab_runner::harness::{self, Rounds, Rows};
use lab_runner::measurement::{Traffic, TrafficMeter};
use lab_runner::resource_usage::{ResourceUsage, Stopwatch};
use lab_runner::statistics::Summary;

use super::approach::InsertMany;
use super::input::Input;
use crate::load::Report;
use crate::stored::Content;

/// How long noisy approaches are repeated, all together.
const REPEAT_BUDGET: Duration = Duration::from_secs(5);

/// What an approach left behind, and what went over the wire meanwhile.
#[derive(Clone, Debug)]
pub struct Verified {
    /// Which approach.
    pub approach: InsertMany,
    /// How many records it had to write.
    pub records: u64,
    /// What should be there.
    pub expected: Content,
    /// What is there.
    pub found: Content,
    /// What one run sent and how often it waited; counted, not computed. Of the loader, what it says.
    pub traffic: Traffic,
    /// The command that the loader chose.
    pub command: Option<&'static str>,
}

/// What an approach cost, over all rounds.
#[derive(Clone, Debug)]
pub struct Cost {
    /// Records a second, of each round.
    pub rates: Summary,
    /// Microseconds of processor time of this process for one record.
    pub client_micros: f64,
    /// How much of the time the server's main thread was busy, 0 to 1; none if the server does not tell.
    pub server_share: Option<f64>,
}

/// Runs every approach once, traced and untimed, and reads back what it wrote.
pub async fn verify(input: &Input, approaches: &[InsertMany]) -> Result<Vec<Verified>, LessonError> {
    let mut verified = Vec::with_capacity(approaches.len());
    for &approach in approaches {
        let meter = Arc::new(TrafficMeter::default());
        let listener: Arc<dyn Listener> = Arc::clone(&meter) as _;
        approach.reset(input).await?;
        let report = approach.run(&input.traced(&listener)).await?;
        let records = approach.records(input);
        verified.push(Verified {
            approach,
            records,
            expected: input.expected(records),
            found: input.content().await?,
            traffic: report.as_ref().map_or_else(|| meter.read(), told),
            command: report.map(|report| report.command),
        });
    }
    Ok(verified)
}

/// Times the approaches in `rounds` interleaved rounds, and noisy ones again.
pub async fn time(input: &Input, approaches: &[InsertMany], rounds: usize) -> Result<Vec<Cost>, LessonError> {
    let plan = Rounds { rounds, budget: Duration::MAX, repeat_budget: REPEAT_BUDGET };
    let usage = harness::measure(&mut Writers { input, approaches }, plan).await?;
    let costs = approaches.iter().zip(&usage);
    Ok(costs.map(|(approach, usage)| cost(approach.records(input), usage)).collect())
}

struct Writers<'a> {
    input: &'a Input,
    approaches: &'a [InsertMany],
}

impl Rows for Writers<'_> {
    type Sample = ResourceUsage;

    fn count(&self) -> usize {
        self.approaches.len()
    }

    async fn measure(&mut self, row: usize) -> Result<Option<ResourceUsage>, LessonError> {
        let approach = self.approaches[row];
        approach.reset(self.input).await?;
        let watch = Stopwatch::start(&self.input.target).await;
        let report = approach.run(self.input).await?;
        let outside = watch.stop().await;
        Ok(Some(report.map_or(outside, |report| inside(&report))))
    }

    fn figure(&self, _: usize, usage: &ResourceUsage) -> f64 {
        usage.seconds
    }
}

fn cost(records: u64, rounds: &[ResourceUsage]) -> Cost {
    let records = records as f64;
    let rates: Vec<f64> = rounds.iter().map(|round| records / round.seconds.max(1e-9)).collect();
    let client: f64 = rounds.iter().map(|round| round.client_cpu_seconds).sum();
    // The server's clocks are coarse, so all rounds are looked at as one.
    let busy: Option<f64> =
        rounds.iter().map(|round| round.server_cpu_share.map(|share| share * round.seconds)).sum();
    let seconds: f64 = rounds.iter().map(|round| round.seconds).sum();
    Cost {
        rates: Summary::of(&rates),
        client_micros: client / (records * rounds.len() as f64).max(1.0) * 1e6,
        server_share: busy.map(|busy| busy / seconds.max(1e-9)),
    }
}

/// The loader stops its own clock: connecting, and removing what it loaded before, are no part of writing.
fn inside(report: &Report) -> ResourceUsage {
    ResourceUsage {
        seconds: report.seconds,
        client_cpu_seconds: report.client_cpu_seconds,
        server_cpu_seconds: None,
        server_cpu_share: report.server_cpu_share,
    }
}

fn told(report: &Report) -> Traffic {
    let number = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
    Traffic { round_trips: number(report.waits), bytes_sent: number(report.bytes_sent), bytes_received: 0 }
}
