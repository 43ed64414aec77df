//! Every writer is verified once, untimed and with its traffic counted. Then all are timed in interleaved rounds.

use std::sync::Arc;
use std::time::Duration;

use lab_connection::Target;
use lab_connection::transcript::Listener;
use lab_measure::insert::Input;
use lab_runner::harness::{self, Rounds, Rows};
use lab_runner::measurement::{Traffic, TrafficMeter};
use lab_runner::resource_usage::{ResourceUsage, Stopwatch};
use lab_runner::statistics::Summary;
use lab_runner::{LessonError, activity};

use super::writer::Writer;
use crate::load::Report;
use crate::stored::Content;

/// What a writer left, and what it sent.
#[derive(Clone, Debug)]
pub struct Verified {
    /// The writer.
    pub writer: Writer,
    /// How many records it had to write.
    pub records: u64,
    /// What should be there.
    pub expected: Content,
    /// What is there.
    pub found: Content,
    /// What one run sent and how often it waited: counted, or reported by the loader.
    pub traffic: Traffic,
    /// The command that the loader chose.
    pub command: Option<&'static str>,
}

/// What a writer cost, over all rounds.
#[derive(Clone, Debug)]
pub struct Cost {
    /// Records a second, of each round.
    pub rates: Summary,
    /// Microseconds of processor time of this process per record.
    pub client_micros: f64,
    /// How much of the time the server's main thread was busy, 0 to 1; none if the server does not report it.
    pub server_share: Option<f64>,
}

/// Runs every writer once, untimed, and reads back what it wrote.
pub async fn verify(
    target: &Target,
    input: &Input,
    writers: &[Writer],
) -> Result<Vec<Verified>, LessonError> {
    let mut verified = Vec::with_capacity(writers.len());
    for &writer in writers {
        activity::set(format!("verifying: {}", writer.label()));
        input.reset().await?;
        let meter = Arc::new(TrafficMeter::default());
        let report = match writer {
            Writer::Client(approach) => {
                let listener: Arc<dyn Listener> = Arc::clone(&meter) as _;
                approach.run_traced(&input.traced(&listener)).await?;
                None
            }
            Writer::Loader(_) => writer.run(target, input).await?,
        };
        let records = writer.records(input.records);
        verified.push(Verified {
            writer,
            records,
            expected: input.expected(records),
            found: input.content().await?,
            traffic: report.as_ref().map_or_else(|| meter.read(), traffic),
            command: report.map(|report| report.command),
        });
    }
    Ok(verified)
}

/// Times the writers in `rounds` interleaved rounds, and noisy ones again for at most `repeat`.
pub async fn time(
    target: &Target,
    input: &Input,
    writers: &[Writer],
    rounds: usize,
    repeat: Duration,
) -> Result<Vec<Cost>, LessonError> {
    let plan = Rounds { rounds, budget: Duration::MAX, repeat_budget: repeat };
    let usage = harness::measure(&mut Writers { target, input, all: writers }, plan).await?;
    let costs = writers.iter().zip(&usage);
    Ok(costs.map(|(writer, usage)| cost(writer.records(input.records), usage)).collect())
}

struct Writers<'a> {
    target: &'a Target,
    input: &'a Input,
    all: &'a [Writer],
}

impl Rows for Writers<'_> {
    type Sample = ResourceUsage;

    fn count(&self) -> usize {
        self.all.len()
    }

    async fn measure(&mut self, row: usize) -> Result<Option<ResourceUsage>, LessonError> {
        activity::set(format!("timing: {}", self.all[row].label()));
        self.input.reset().await?;
        let watch = Stopwatch::start(self.target).await;
        let report = self.all[row].run(self.target, self.input).await?;
        let usage = watch.stop().await;
        // The loader's own clock leaves out connecting, and removing what it loaded before.
        Ok(Some(report.map_or(usage, |report| ResourceUsage {
            seconds: report.seconds,
            client_cpu_seconds: report.client_cpu_seconds,
            server_cpu_seconds: None,
            server_cpu_share: report.server_cpu_share,
        })))
    }

    fn figure(&self, _: usize, usage: &ResourceUsage) -> f64 {
        usage.seconds
    }
}

fn cost(records: u64, rounds: &[ResourceUsage]) -> Cost {
    let records = records as f64;
    let rates: Vec<f64> = rounds.iter().map(|round| records / round.seconds.max(1e-9)).collect();
    let client: f64 = rounds.iter().map(|round| round.client_cpu_seconds).sum();
    // The server's clocks are coarse, so all rounds count as one.
    let busy: Option<f64> =
        rounds.iter().map(|round| round.server_cpu_share.map(|share| share * round.seconds)).sum();
    let seconds: f64 = rounds.iter().map(|round| round.seconds).sum();
    Cost {
        rates: Summary::of(&rates),
        client_micros: client / (records * rounds.len() as f64).max(1.0) * 1e6,
        server_share: busy.map(|busy| busy / seconds.max(1e-9)),
    }
}

fn traffic(report: &Report) -> Traffic {
    let number = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
    Traffic { round_trips: number(report.waits), bytes_sent: number(report.bytes_sent), bytes_received: 0 }
}
