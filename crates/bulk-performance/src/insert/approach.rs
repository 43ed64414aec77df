//! The ways to write many records. Tests, the lesson and benches all call these functions.

mod concurrent;
mod loader;
mod one_by_one;
mod overlapped;
mod pipelined;
mod pool;
mod script;
mod transaction;
mod variadic;

use std::ops::RangeInclusive;

use lab_connection::Failure;
use lab_connection::failure::Class;
use lab_runner::table::thousands;
use lab_runner::{AnyConnection, LessonError};

use super::input::Input;
use super::kind::Kind;
use crate::load::{Report, Writing};
/// One by one is so slow that it writes no more records than this: the rate is the same.
const ONE_BY_ONE_AT_MOST: u64 = 5_000;
/// Commands that one multiplexed connection has in flight.
const IN_FLIGHT: u64 = 256;
/// Connections of the pool.
const CONNECTIONS: u64 = 50;
/// Records of a transaction, a script, a small command of many values.
const SIZE: u64 = 100;
/// The depth at which pipelines overlap.
const DEPTH: u64 = 1_000;

/// How to write many records. A number of 0 counts as 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InsertMany {
    /// A command, its answer, the next command.
    OneByOne,
    /// Many callers share one connection, which sends what it gets without waiting.
    Concurrent {
        /// Commands at once that wait for their answer.
        in_flight: u64,
    },
    /// Workers, each with a connection of its own, each one by one.
    Pool {
        /// How many; the input has to hold as many.
        connections: u64,
    },
    /// Pipelines, one after the other.
    Pipelined {
        /// Records of one pipeline.
        depth: u64,
    },
    /// Pipelines; the next is sent before the last is answered.
    Overlapped {
        /// Records of one pipeline.
        depth: u64,
    },
    /// MULTI, the commands, EXEC, in one pipeline. Not across the slots of a cluster.
    Transaction {
        /// Records of one transaction.
        size: u64,
    },
    /// A script that writes many Hashes. Not across the slots of a cluster.
    Script {
        /// Users written by one call.
        size: u64,
    },
    /// Commands that take many values: MSET, and LPUSH, SADD, ZADD with many members.
    Variadic {
        /// Records of one command.
        size: u64,
    },
    /// The streaming loader, for users.
    Loader {
        /// Which commands it may use.
        writing: Writing,
    },
}

impl InsertMany {
    /// Those that make sense for this kind and this many records, the reference first. A number larger than that of the
    /// records would be a promise that the run does not keep, so it is lowered; and no approach comes twice.
    #[must_use]
    pub fn all(kind: Kind, records: u64, cluster: bool) -> Vec<Self> {
        let capped = |number: u64| number.min(records);
        let pipelined = |depth| Self::Pipelined { depth: capped(depth) };
        // Of two pipelines at least: one alone overlaps with nothing.
        let overlapped = (records > 1).then(|| Self::Overlapped { depth: DEPTH.min(records.div_ceil(2)) });
        let variadic = |size| Self::Variadic { size: capped(size) };
        let mut all = vec![Self::OneByOne];
        match kind {
            Kind::Users => {
                all.push(Self::Concurrent { in_flight: capped(IN_FLIGHT) });
                all.push(Self::Pool { connections: capped(CONNECTIONS) });
                all.extend([10, 100, 1_000, 10_000].map(pipelined));
                all.extend(overlapped);
                if !cluster {
                    all.push(Self::Transaction { size: capped(SIZE) });
                    all.push(Self::Script { size: capped(SIZE) });
                }
                all.extend([Writing::Hset, Writing::Auto].map(|writing| Self::Loader { writing }));
            }
            Kind::Strings => {
                all.extend([100, 1_000].map(pipelined));
                all.extend(overlapped);
                all.push(variadic(SIZE));
            }
            Kind::List | Kind::Indexes => {
                all.extend([100, 1_000].map(pipelined));
                all.extend(overlapped);
                all.extend([SIZE, 1_000].map(variadic));
            }
        }
        all.dedup();
        all
    }

    /// How many connections of their own the approaches need, at most.
    #[must_use]
    pub fn pool_of(approaches: &[Self]) -> usize {
        let connections = approaches.iter().map(|approach| match approach {
            Self::Pool { connections } => usize::try_from(*connections).unwrap_or(usize::MAX),
            _ => 0,
        });
        connections.max().unwrap_or(0)
    }

    /// Its row in the table.
    #[must_use]
    pub fn label(self) -> String {
        let count = |number: u64| thousands(number as f64);
        match self {
            Self::OneByOne => "one by one".into(),
            Self::Concurrent { in_flight } => format!("{} at once", count(in_flight)),
            Self::Pool { connections } => format!("{} connections", count(connections)),
            Self::Pipelined { depth } => format!("pipeline of {}", count(depth)),
            Self::Overlapped { depth } => format!("overlapped {}", count(depth)),
            Self::Transaction { size } => format!("MULTI/EXEC of {}", count(size)),
            Self::Script { size } => format!("script for {}", count(size)),
            Self::Variadic { size } => format!("commands of {}", count(size)),
            Self::Loader { writing: Writing::Hset } => "loader with HSET".into(),
            Self::Loader { writing: Writing::Auto } => "loader".into(),
        }
    }

    /// What it does, for a learner; the number is in the label.
    #[must_use]
    pub fn how(self) -> &'static str {
        match self {
            Self::OneByOne => "send a command, wait for its answer, send the next",
            Self::Concurrent { .. } => {
                "that many callers share one connection, which sends what it gets without waiting"
            }
            Self::Pool { .. } => "that many workers, each one by one on a connection of its own",
            Self::Pipelined { .. } => {
                "send the commands of that many records together, wait once for all answers"
            }
            Self::Overlapped { .. } => "the same, but the next pipeline is sent before the last is answered",
            Self::Transaction { .. } => "a pipeline of that many, of which nobody ever sees half",
            Self::Script { .. } => "one call writes that many; the names of the fields travel once",
            Self::Variadic { .. } => {
                "commands that take many values: MSET, or LPUSH, SADD, ZADD with that many"
            }
            Self::Loader { writing: Writing::Hset } => "the streaming loader of `load`, which never waits",
            Self::Loader { writing: Writing::Auto } => "the same, free to choose its commands",
        }
    }

    /// How many records a run writes: those of the input, except that one by one ends early.
    #[must_use]
    pub fn records<C: AnyConnection>(self, input: &Input<C>) -> u64 {
        match self {
            Self::OneByOne => input.records.min(ONE_BY_ONE_AT_MOST),
            _ => input.records,
        }
    }

    /// Whether it can write this kind at all.
    #[must_use]
    pub fn writes(self, kind: Kind) -> bool {
        kind == Kind::Users || !matches!(self, Self::Script { .. } | Self::Loader { .. })
    }

    /// Untimed: removes the records, and does what is done only once however many records there are.
    pub async fn reset(self, input: &Input) -> Result<(), LessonError> {
        input.reset().await?;
        if matches!(self, Self::Script { .. }) {
            script::load(input).await?;
        }
        Ok(())
    }

    /// Timed: writes the records. The loader has connections and a clock of its own, and tells what they found.
    pub async fn run<C: AnyConnection>(self, input: &Input<C>) -> Result<Option<Report>, LessonError> {
        if !self.writes(input.kind) {
            let what = format!("'{}' writes users, not {}.", self.label(), input.kind.name());
            return Err(Failure::new(Class::Usage, what, "It knows no other records.").into());
        }
        let records = self.records(input);
        match self {
            Self::OneByOne => one_by_one::write(input, records).await?,
            Self::Concurrent { in_flight } => concurrent::write(input, in_flight).await?,
            Self::Pool { connections } => pool::write(input, connections).await?,
            Self::Pipelined { depth } => pipelined::write(input, depth).await?,
            Self::Overlapped { depth } => overlapped::write(input, depth).await?,
            Self::Transaction { size } => transaction::write(input, size).await?,
            Self::Script { size } => script::write(input, size).await?,
            Self::Variadic { size } => variadic::write(input, size).await?,
            Self::Loader { writing } => return loader::write(input, writing).await.map(Some),
        }
        Ok(None)
    }
}

/// The numbers 1 to `records` in stretches of `size`; the last may be shorter.
fn stretches(records: u64, size: u64) -> impl Iterator<Item = RangeInclusive<u64>> {
    let size = size.max(1);
    let mut first: u64 = 1;
    std::iter::from_fn(move || {
        let last = records.min(first.saturating_add(size - 1));
        let stretch = first..=last;
        first = last.saturating_add(1);
        (!stretch.is_empty()).then_some(stretch)
    })
}

/// A number as a size in memory.
fn in_memory(number: u64) -> usize {
    usize::try_from(number.max(1)).unwrap_or(usize::MAX)
}
