//! What a comparison found, as plain data.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard};

use lab_connection::transcript::{Exchange, Listener};
use serde::{Serialize, Serializer};

use crate::caveat::Caveat;
use crate::mutex::lock;
use crate::statistics::Summary;

/// What one run of an approach moved, counted from its transcript.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Traffic {
    /// Times that the client waited for an answer.
    pub round_trips: usize,
    /// Bytes of the commands, RESP framing included.
    pub bytes_sent: usize,
    /// Bytes of the replies, RESP framing included.
    pub bytes_received: usize,
}

/// Adds up what a transcript hears.
#[derive(Debug, Default)]
pub struct TrafficMeter(Mutex<Counted>);

#[derive(Debug, Default)]
struct Counted {
    traffic: Traffic,
    commands: BTreeSet<String>,
}

impl TrafficMeter {
    /// What was counted so far.
    pub fn read(&self) -> Traffic {
        self.counted().traffic
    }

    /// The names of the commands that were sent.
    pub fn commands(&self) -> BTreeSet<String> {
        self.counted().commands.clone()
    }

    fn counted(&self) -> MutexGuard<'_, Counted> {
        lock(&self.0)
    }
}

impl Listener for TrafficMeter {
    fn on_exchange(&self, exchange: Exchange) {
        let mut counted = self.counted();
        let names = exchange.commands.iter().filter_map(|command| command.split(' ').next());
        counted.commands.extend(names.filter(|name| *name != "…").map(str::to_owned));
        let traffic = &mut counted.traffic;
        traffic.round_trips += exchange.round_trips;
        traffic.bytes_sent += exchange.bytes_sent;
        traffic.bytes_received += exchange.bytes_received;
    }
}

/// One approach, measured.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// Which approach.
    pub label: String,
    /// Operations a second.
    pub rate: Summary,
    /// How many times the reference's rate.
    pub ratio: f64,
    /// Of one whole run.
    pub traffic: Traffic,
}

/// A comparison, measured.
#[derive(Clone, Debug, Serialize)]
pub struct ComparisonResult {
    /// What was compared.
    pub title: String,
    /// Operations in one run.
    pub operations: u64,
    /// Rounds per approach.
    pub rounds: usize,
    /// The names of the commands that the approaches send.
    pub commands: BTreeSet<String>,
    /// One row per approach, the reference first.
    pub rows: Vec<Row>,
    /// What the numbers hold for.
    pub environment: Vec<String>,
    /// Reasons not to believe them too far.
    #[serde(serialize_with = "with_advice")]
    pub caveats: Vec<Caveat>,
}

/// The caveats with what to make of each.
fn with_advice<S: Serializer>(caveats: &[Caveat], serializer: S) -> Result<S::Ok, S::Error> {
    #[derive(Serialize)]
    struct Advised<'a> {
        #[serde(flatten)]
        caveat: &'a Caveat,
        advice: String,
    }
    serializer.collect_seq(caveats.iter().map(|caveat| Advised { caveat, advice: caveat.advice() }))
}

/// The rounds of a figure of a table, for charts: one row for each approach.
#[derive(Clone, Debug, Serialize)]
pub struct Measured {
    /// What was measured: "records/s", for example; "ns" for times, in nanoseconds.
    pub unit: String,
    /// Whether a smaller figure is better.
    pub less_is_better: bool,
    /// The approaches.
    pub rows: Vec<MeasuredRow>,
}

/// The rounds of an approach.
#[derive(Clone, Debug, Serialize)]
pub struct MeasuredRow {
    /// The approach.
    pub label: String,
    /// Its rounds.
    pub rounds: Summary,
    /// Shares of the answers, 0 to 1, and the nanoseconds within which they came; empty if latency was not measured.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub latency: Vec<(f64, u64)>,
}

/// The shares of a latency curve.
const SHARES: [f64; 14] =
    [0.0, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.98, 0.99, 0.995, 0.998, 0.999, 0.9995, 0.9999];

impl Measured {
    /// Rates, of which more is better.
    pub fn rates(unit: &str, rows: impl IntoIterator<Item = (String, Summary)>) -> Self {
        let row = |(label, rounds)| MeasuredRow { label, rounds, latency: Vec::new() };
        Self { unit: unit.to_owned(), less_is_better: false, rows: rows.into_iter().map(row).collect() }
    }

    /// Times in nanoseconds, of which less is better.
    pub fn times(rows: impl IntoIterator<Item = MeasuredRow>) -> Self {
        Self { unit: "ns".to_owned(), less_is_better: true, rows: rows.into_iter().collect() }
    }
}

impl MeasuredRow {
    /// The row with its latency curve: `quantile` says within how many nanoseconds a share of `answers` came. Shares beyond which less than
    /// one answer lies are left out.
    #[must_use]
    pub fn with_latency(mut self, answers: u64, quantile: impl Fn(f64) -> u64) -> Self {
        let known = SHARES.into_iter().filter(|share| answers as f64 * (1.0 - share) >= 1.0 - 1e-9);
        self.latency = known.map(|share| (share, quantile(share))).collect();
        self
    }
}
