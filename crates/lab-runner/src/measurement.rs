//! What a comparison found, as plain data.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use lab_connection::transcript::{Exchange, Listener};
use serde::Serialize;

use crate::caveat::Caveat;
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
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
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
    pub caveats: Vec<Caveat>,
}
