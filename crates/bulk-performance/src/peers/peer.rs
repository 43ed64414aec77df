//! The ways to write the records that stand side by side.

use std::fmt;
use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;

use lab_measure::insert::{Input, InsertMany, Kind};
use lab_runner::table::thousands;
use redis::RedisResult;

use crate::load::{self, LoadPlan, Writing};
use crate::peers::baseline::Baseline;
use crate::peers::benchmark::Benchmark;
use crate::peers::fixtures::{COMMANDS_FILE, Fixtures, SCRIPT_FILE, VALUES_FILE};
use crate::peers::programs::{self, Feed};
use crate::peers::server_login::ServerLogin;
use crate::stored::Content;

/// Commands in a pipeline of redis-py, as many tutorials have it.
const PYTHON_DEPTH: u64 = 1_000;
/// What Python runs.
pub(crate) const PYTHON_SCRIPT: &str = include_str!("scripts/pipeline.py");

/// A way to write the records.
#[derive(Clone, Debug)]
pub enum Peer {
    /// The loader, held to HSET or as it comes.
    Loader(Writing),
    /// `redis-cli --pipe`, fed from a file of commands.
    PipeFile(Program),
    /// `redis-cli --pipe`, fed by a thread of this process that makes the commands meanwhile.
    PipeGenerator(Program),
    /// `redis-benchmark`.
    Benchmark(Benchmark),
    /// redis-rs, with pipelines.
    RedisRs(InsertMany),
    /// redis-py, one pipeline after the other.
    RedisPy(Program),
    /// No client at all: a server reads the records from a file when it starts.
    RdbFile(Baseline),
}

/// Another program, and how it reaches the server.
#[derive(Clone, Debug)]
pub struct Program {
    /// The program's file.
    pub path: PathBuf,
    /// The server.
    pub login: ServerLogin,
}

/// What the peer itself reports about its turn.
#[derive(Clone, Copy, Debug, Default)]
pub struct PeerReport {
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
    pub async fn run(&self, fixtures: &Fixtures) -> Result<PeerReport, String> {
        match self {
            Self::Loader(writing) => return loader(fixtures, *writing).await,
            Self::RdbFile(baseline) => {
                return Ok(PeerReport { seconds: Some(baseline.load().await?), ..PeerReport::default() });
            }
            Self::PipeFile(program) => {
                let path = fixtures.file(COMMANDS_FILE);
                let file = File::open(&path).map_err(|error| format!("{}: {error}", path.display()))?;
                pipe(fixtures, program, Feed::File(file)).await?;
            }
            Self::PipeGenerator(program) => {
                let (keys, records) = (fixtures.keys.clone(), fixtures.records);
                let write = move |mut stdin| lab_measure::peers::write_hsets(&keys, records, &mut stdin);
                pipe(fixtures, program, Feed::Writer(Box::new(write))).await?;
            }
            Self::Benchmark(benchmark) => benchmark.run(fixtures).await?,
            Self::RedisRs(approach) => redis_rs(fixtures, *approach).await?,
            Self::RedisPy(Program { path, login }) => {
                let mut command = login.script(path);
                command.arg(fixtures.file(SCRIPT_FILE)).arg(fixtures.file(VALUES_FILE));
                command.arg(fixtures.target.prefix()).arg(PYTHON_DEPTH.to_string());
                programs::run(command, Feed::Nothing).await?;
            }
        }
        Ok(PeerReport::default())
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
        matches!(self, Self::PipeFile(_) | Self::PipeGenerator(_) | Self::Benchmark(_) | Self::RedisPy(_))
    }
}

/// Its row in the table.
impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Loader(Writing::Hset) => f.write_str("loader, HSET"),
            Self::Loader(Writing::Auto) => f.write_str("loader, default"),
            Self::PipeFile(_) => f.write_str("redis-cli --pipe < file"),
            Self::PipeGenerator(_) => f.write_str("generator | redis-cli"),
            Self::Benchmark(_) => f.write_str("redis-benchmark"),
            Self::RedisRs(InsertMany::Overlapped { depth }) => {
                write!(f, "redis-rs overlap {}", thousands(*depth as f64))
            }
            Self::RedisRs(InsertMany::Pipelined { depth }) => {
                write!(f, "redis-rs pipeline {}", thousands(*depth as f64))
            }
            Self::RedisRs(approach) => write!(f, "redis-rs {approach:?}"),
            Self::RedisPy(_) => write!(f, "redis-py pipeline {}", thousands(PYTHON_DEPTH as f64)),
            Self::RdbFile(_) => f.write_str("RDB file read: baseline"),
        }
    }
}

async fn loader(fixtures: &Fixtures, writing: Writing) -> Result<PeerReport, String> {
    let plan = LoadPlan { records: fixtures.records, writing, ..LoadPlan::default() };
    let report = load::users(&fixtures.target, &plan).await.map_err(|failure| failure.what().to_owned())?;
    Ok(PeerReport { seconds: None, own_rate: Some(report.records_per_second), command: Some(report.command) })
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

/// `redis-cli --pipe`: what Redis recommends for mass insertion.
async fn pipe(fixtures: &Fixtures, program: &Program, feed: Feed) -> Result<(), String> {
    let mut command = program.login.redis_cli(&program.path);
    command.arg("--pipe");
    let output = programs::run(command, feed).await?;
    match replies(&output) {
        Some((0, replies)) if replies == fixtures.records => Ok(()),
        Some((errors, replies)) => Err(format!("redis-cli got {replies} replies, {errors} of them errors")),
        None => Err(format!("redis-cli did not say how it went: {}", output.trim())),
    }
}

/// Its last line: `errors: 0, replies: 1000`.
fn replies(output: &str) -> Option<(u64, u64)> {
    let line = output.lines().rev().find_map(|line| line.trim().strip_prefix("errors: "))?;
    let (errors, replies) = line.split_once(", replies: ")?;
    Some((errors.parse().ok()?, replies.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_tells_how_it_went() {
        let output = "All data transferred. Waiting for the last reply...\nLast reply received from server.\n\
                      errors: 2, replies: 1000\n";
        assert_eq!(replies(output), Some((2, 1_000)));
        assert_eq!(replies("Error writing to the server: Broken pipe\n"), None);
    }
}
