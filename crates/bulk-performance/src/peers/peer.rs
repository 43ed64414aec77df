//! The ways to write the records that stand side by side.

use std::fmt;
use std::path::PathBuf;

use lab_runner::table::thousands;
use redis::RedisResult;

use crate::load::{self, Plan, Writing};
use crate::peers::benchmark::Benchmark;
use crate::peers::place::Place;
use crate::peers::stage::Stage;
use crate::peers::{pipe, readback, redis_py, redis_rs};
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
    /// redis-rs, one pipeline after the other.
    Pipelines {
        /// Commands in each.
        depth: u64,
    },
    /// redis-rs, two pipelines on the way.
    Overlapped {
        /// Commands in each.
        depth: u64,
    },
    /// redis-py, one pipeline after the other.
    RedisPy {
        /// `python3`
        program: PathBuf,
        /// The server.
        place: Place,
    },
    /// No client at all: a server reads the records from a file when it starts.
    RdbFile,
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
    pub async fn run(&self, stage: &Stage) -> Result<Account, String> {
        let done = Account::default();
        match self {
            Self::LoaderHset => loader(stage, Writing::Hset).await,
            Self::Loader => loader(stage, Writing::Auto).await,
            Self::PipeFile { program, place } => pipe::from_file(stage, program, place).await.map(|()| done),
            Self::PipeGenerator { program, place } => {
                pipe::from_generator(stage, program, place).await.map(|()| done)
            }
            Self::Benchmark(benchmark) => benchmark.run(stage).await.map(|()| done),
            Self::Pipelines { depth } => told(stage, redis_rs::pipelines(stage, *depth).await),
            Self::Overlapped { depth } => told(stage, redis_rs::overlapped(stage, *depth).await),
            Self::RedisPy { program, place } => redis_py::run(stage, program, place).await.map(|()| done),
            Self::RdbFile => {
                let floor = stage.floor.as_ref().ok_or("there is no server for it")?;
                Ok(Account { seconds: Some(floor.load().await?), ..done })
            }
        }
    }

    /// Reads back what it wrote.
    pub async fn found(&self, stage: &Stage) -> RedisResult<Found> {
        match (self, &stage.floor) {
            (Self::Benchmark(benchmark), _) => benchmark.count(stage).await.map(Found::Others),
            (Self::RdbFile, Some(floor)) => floor.content(stage).await.map(Found::Records),
            _ => {
                let connection = stage.target.connection();
                readback::content(&stage.keys, stage.records, &connection).await.map(Found::Records)
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
            Self::Pipelines { depth } => write!(f, "redis-rs pipeline {}", thousands(*depth as f64)),
            Self::Overlapped { depth } => write!(f, "redis-rs overlap {}", thousands(*depth as f64)),
            Self::RedisPy { .. } => write!(f, "redis-py pipeline {}", thousands(redis_py::DEPTH as f64)),
            Self::RdbFile => f.write_str("RDB file read: the floor"),
        }
    }
}

async fn loader(stage: &Stage, writing: Writing) -> Result<Account, String> {
    let plan = Plan { records: stage.records, writing, ..Plan::default() };
    let report = load::users(&stage.target, &plan).await.map_err(|failure| failure.what().to_owned())?;
    Ok(Account { seconds: None, own_rate: Some(report.records_per_second), command: Some(report.command) })
}

fn told(stage: &Stage, done: RedisResult<()>) -> Result<Account, String> {
    done.map(|()| Account::default()).map_err(|error| stage.target.explain(&error).what().to_owned())
}
