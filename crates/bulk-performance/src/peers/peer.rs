//! The ways to write the records that stand side by side.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use lab_measure::insert::{Input, InsertMany, Kind};
use lab_runner::table::thousands;
use redis::RedisResult;

use crate::load::{self, Plan, Writing};
use crate::peers::baseline::Baseline;
use crate::peers::benchmark::Benchmark;
use crate::peers::fixtures::Fixtures;
use crate::peers::place::Place;
use crate::peers::{pipe, redis_py};
use crate::stored::Content;

/// A way to write the records.
#[derive(Clone, Debug)]
pub enum Peer {
    /// The loader, held to HSET.
    LoaderHset,
    /// The loader as it comes.
    Loader,
    /// `redis-cli --pipe`, fed from a file of commands.
    PipeFile {
        /// `redis-cli`
        program: PathBuf,
        /// The server.
        place: Place,
    },
    /// `redis-cli --pipe`, fed by a generator.
    PipeGenerator {
        /// `redis-cli`
        program: PathBuf,
        /// The server.
        place: Place,
    },
    /// `redis-benchmark`.
    Benchmark(Benchmark),
    /// redis-rs, with pipelines.
    RedisRs(InsertMany),
    /// redis-py, one pipeline after the other.
    RedisPy {
        /// `python3`
        program: PathBuf,
        /// The server.
        place: Place,
    },
    /// No client at all: a server reads the records from a file when it starts.
    RdbFile(Baseline),
}

/// How a turn went, by the peer's own account.
#[derive(Clone, Copy, Debug, Default)]
pub struct Account {
    /// Seconds, where the peer's own clock counts instead of ours.
    pub seconds: Option<f64>,
    /// Records a second by the loader's own clock, from its first byte to the last reply.
    pub own_rate: Option<f64>,
    /// The command that the loader chose.
    pub command: Option<&'static str>,
}

/// What was found after a turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// The records, to be compared with what they should be.
    Records(Content),
    /// So many records of another content.
    Others(u64),
}

impl Peer {
    /// Writes the records; an error is the reason for people.
    pub async fn run(&self, fixtures: &Fixtures) -> Result<Account, String> {
        let done = Account::default();
        match self {
            Self::LoaderHset => loader(fixtures, Writing::Hset).await,
            Self::Loader => loader(fixtures, Writing::Auto).await,
            Self::PipeFile { program, place } => {
                pipe::from_file(fixtures, program, place).await.map(|()| done)
            }
            Self::PipeGenerator { program, place } => {
                pipe::from_generator(fixtures, program, place).await.map(|()| done)
            }
            Self::Benchmark(benchmark) => benchmark.run(fixtures).await.map(|()| done),
            Self::RedisRs(approach) => redis_rs(fixtures, *approach).await.map(|()| done),
            Self::RedisPy { program, place } => redis_py::run(fixtures, program, place).await.map(|()| done),
            Self::RdbFile(baseline) => Ok(Account { seconds: Some(baseline.load().await?), ..done }),
        }
    }

    /// Reads back what it wrote.
    pub async fn found(&self, fixtures: &Fixtures) -> RedisResult<Found> {
        match self {
            Self::Benchmark(benchmark) => benchmark.count(fixtures).await.map(Found::Others),
            Self::RdbFile(baseline) => baseline.content(fixtures).await.map(Found::Records),
            _ => {
                let connection = fixtures.target.connection();
                Content::of_users(&fixtures.keys, fixtures.records, &connection).await.map(Found::Records)
            }
        }
    }

    /// Whether programs other than this one do the work, so that their processor time has to be asked for.
    pub(crate) fn is_a_program(&self) -> bool {
        matches!(
            self,
            Self::PipeFile { .. } | Self::PipeGenerator { .. } | Self::Benchmark(_) | Self::RedisPy { .. }
        )
    }
}

/// Its row in the table.
impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LoaderHset => f.write_str("loader, HSET"),
            Self::Loader => f.write_str("loader, default"),
            Self::PipeFile { .. } => f.write_str("redis-cli --pipe < file"),
            Self::PipeGenerator { .. } => f.write_str("generator | redis-cli"),
            Self::Benchmark(_) => f.write_str("redis-benchmark"),
            Self::RedisRs(InsertMany::Overlapped { depth }) => {
                write!(f, "redis-rs overlap {}", thousands(*depth as f64))
            }
            Self::RedisRs(InsertMany::Pipelined { depth }) => {
                write!(f, "redis-rs pipeline {}", thousands(*depth as f64))
            }
            Self::RedisRs(approach) => write!(f, "redis-rs {approach:?}"),
            Self::RedisPy { .. } => write!(f, "redis-py pipeline {}", thousands(redis_py::DEPTH as f64)),
            Self::RdbFile(_) => f.write_str("RDB file read: baseline"),
        }
    }
}

async fn loader(fixtures: &Fixtures, writing: Writing) -> Result<Account, String> {
    let plan = Plan { records: fixtures.records, writing, ..Plan::default() };
    let report = load::users(&fixtures.target, &plan).await.map_err(|failure| failure.what().to_owned())?;
    Ok(Account { seconds: None, own_rate: Some(report.records_per_second), command: Some(report.command) })
}

async fn redis_rs(fixtures: &Fixtures, approach: InsertMany) -> Result<(), String> {
    let explain = |error| fixtures.target.explain(&error).what().to_owned();
    let input = Input {
        keys: fixtures.keys.clone(),
        people: Arc::clone(&fixtures.people),
        kind: Kind::Users,
        records: fixtures.records,
        redis: fixtures.target.dedicated().await.map_err(explain)?,
        pool: Vec::new(),
    };
    approach.run(&input).await.map_err(explain)
}
