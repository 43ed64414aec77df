//! The rows of the table: the approaches of `lab-measure`, and the loader.

use lab_connection::Target;
use lab_measure::insert::{Input, InsertMany, Kind};
use lab_runner::LessonError;
use lab_runner::table::thousands;

use crate::load::{self, LoadPlan, Report, Writing};

/// One by one is slow, so it writes only this many. The rate is the same.
const ONE_BY_ONE: u64 = 5_000;
/// Records in a transaction, a script, or a command of many values.
const SIZE: u64 = 100;

/// Somebody who writes the records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Writer {
    /// redis-rs.
    Client(InsertMany),
    /// The streaming loader, for users.
    Loader(Writing),
}

impl Writer {
    /// Those that make sense for this kind and this many records, the reference first. No size exceeds the records, and no writer
    /// comes twice.
    pub fn all(kind: Kind, records: u64, cluster: bool) -> Vec<Self> {
        let capped = |number: u64| number.min(records);
        let pipelined = |depth| InsertMany::Pipelined { depth: capped(depth) };
        let variadic = |size| InsertMany::Variadic { size: capped(size) };
        // Of at least two pipelines: one alone overlaps with nothing.
        let overlapped =
            (records > 1).then(|| InsertMany::Overlapped { depth: records.div_ceil(2).min(1_000) });
        let mut all = vec![InsertMany::OneByOne { at_most: ONE_BY_ONE }];
        match kind {
            Kind::Users => {
                all.push(InsertMany::Concurrent { in_flight: capped(256) });
                all.push(InsertMany::Pool { connections: capped(50) });
                all.extend([10, 100, 1_000, 10_000].map(pipelined));
                all.extend(overlapped);
                if !cluster {
                    all.push(InsertMany::Transaction { size: capped(SIZE) });
                    all.push(InsertMany::Script { size: capped(SIZE) });
                }
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
        let mut all: Vec<Self> = all.into_iter().map(Self::Client).collect();
        if kind == Kind::Users {
            all.extend([Writing::Hset, Writing::Auto].map(Self::Loader));
        }
        all
    }

    /// The ones that differ most, for a slow network.
    pub fn few(kind: Kind, records: u64, cluster: bool) -> Vec<Self> {
        let all = Self::all(kind, records, cluster).into_iter();
        let few = all.filter_map(|writer| match writer {
            Self::Client(InsertMany::OneByOne { .. }) => {
                Some(Self::Client(InsertMany::OneByOne { at_most: (records / 10).max(3) }))
            }
            Self::Client(InsertMany::Pipelined { depth }) if depth > 100 && records > depth => None,
            Self::Client(
                InsertMany::Pipelined { .. } | InsertMany::Script { .. } | InsertMany::Variadic { .. },
            ) => Some(writer),
            _ => None,
        });
        few.collect()
    }

    /// How many connections of their own the workers need, at most.
    pub fn connections(all: &[Self]) -> usize {
        let connections = all.iter().map(|writer| match writer {
            Self::Client(InsertMany::Pool { connections }) => *connections,
            _ => 0,
        });
        connections.max().and_then(|most| usize::try_from(most).ok()).unwrap_or(0)
    }

    /// Its row in the table.
    pub fn label(self) -> String {
        let count = |number: u64| thousands(number as f64);
        match self {
            Self::Client(InsertMany::OneByOne { .. }) => "one by one".into(),
            Self::Client(InsertMany::Concurrent { in_flight }) => format!("{} at once", count(in_flight)),
            Self::Client(InsertMany::Pool { connections }) => format!("{} connections", count(connections)),
            Self::Client(InsertMany::Pipelined { depth }) => format!("pipeline of {}", count(depth)),
            Self::Client(InsertMany::Overlapped { depth }) => format!("overlapped {}", count(depth)),
            Self::Client(InsertMany::Transaction { size }) => format!("MULTI/EXEC of {}", count(size)),
            Self::Client(InsertMany::Script { size }) => format!("script for {}", count(size)),
            Self::Client(InsertMany::Variadic { size }) => format!("commands of {}", count(size)),
            Self::Loader(Writing::Hset) => "loader with HSET".into(),
            Self::Loader(Writing::Auto) => "loader".into(),
        }
    }

    /// What it does; the number is in the label.
    pub fn how(self) -> &'static str {
        match self {
            Self::Client(InsertMany::OneByOne { .. }) => "send a command, wait for its reply, send the next",
            Self::Client(InsertMany::Concurrent { .. }) => {
                "that many callers share one connection, which sends without waiting"
            }
            Self::Client(InsertMany::Pool { .. }) => {
                "that many workers, each one by one on its own connection"
            }
            Self::Client(InsertMany::Pipelined { .. }) => {
                "send that many commands together, then wait once for all replies"
            }
            Self::Client(InsertMany::Overlapped { .. }) => {
                "send the next pipeline before the last is answered"
            }
            Self::Client(InsertMany::Transaction { .. }) => {
                "a pipeline of that many; nobody ever sees half of it"
            }
            Self::Client(InsertMany::Script { .. }) => "one call writes that many; field names are sent once",
            Self::Client(InsertMany::Variadic { .. }) => "MSET, or LPUSH, SADD, ZADD with that many values",
            Self::Loader(Writing::Hset) => "the streaming loader of `cargo bulk load`, which never waits",
            Self::Loader(Writing::Auto) => "the same loader, free to choose its commands",
        }
    }

    /// How many of the records it writes.
    pub fn records(self, records: u64) -> u64 {
        match self {
            Self::Client(approach) => approach.records(records),
            Self::Loader(_) => records,
        }
    }

    /// Timed: writes the records. The loader has its own connections and its own clock, and reports what it found.
    pub async fn run(self, target: &Target, input: &Input) -> Result<Option<Report>, LessonError> {
        match self {
            Self::Client(approach) => approach.run(input).await.map(|()| None).map_err(LessonError::from),
            Self::Loader(writing) => {
                let plan = LoadPlan { records: input.records, writing, ..LoadPlan::default() };
                Ok(Some(load::users(target, &plan).await?))
            }
        }
    }
}
