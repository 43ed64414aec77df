//! Which promise holds when processes die? `cargo work torture`
//!
//! Producers and workers are real processes. This one kills workers with SIGKILL, and its own server too, at moments that a seed
//! chooses. Then it counts: a job that is gone, an effect that happened twice, an innocent job among the dead letters.
//!
//! In reading order:
//!
//! 1. [`workload`]: which jobs there are, and when something is killed; all of it follows from the seed.
//! 2. `host`: the server, and how the processes reach it. `page_cache`: what a power cut takes from it besides.
//! 3. `role`: what a process does, and `child`, which does it. `queue`: the queue they share. `producer`, `worker`, and `stream`: what the
//!    processes of this project's queues do; `attempt` is one attempt at a job. `process`: starts, stops, and kills them. [`journal`]: the
//!    lines that they leave.
//! 4. [`accounts`]: what became of each job. `killer`: the run itself. `report`: the table, the JSON, and the verdict.
//! 5. `peers`: the same for other queues. `speed`: how fast each is when nobody is killed.
//! 6. `locks`: the same idea for locks. `cargo work torture locks`

pub mod accounts;
mod attempt;
mod bare;
mod child;
mod host;
pub mod journal;
mod killer;
mod locks;
mod page_cache;
mod peers;
mod process;
mod producer;
mod queue;
mod report;
mod role;
mod speed;
mod stream;
mod subject;
mod worker;
pub mod workload;

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};
use lab_connection::{Failure, TargetArgs};
use lab_runner::course;
use lab_runner::report::{ReportFile, report_file};
use serde_json::Value;

use self::host::Host;
use self::report::Report;
use self::subject::Subject;
use self::workload::Workload;

/// What the command line can set.
#[derive(Args, Clone, Debug)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Options {
    /// Which queue of this project
    #[arg(long, value_name = "PATTERN", value_enum, default_value_t = Queue::JobQueue)]
    pub queue: Queue,

    /// Jobs to enqueue
    #[arg(long, value_name = "N", default_value_t = 100_000, value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    pub jobs: u64,

    /// Worker processes
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=64))]
    pub workers: u32,

    /// Kill a worker process this often, with SIGKILL; each is started again
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(0..=10_000))]
    pub kill_workers: u32,

    /// Kill the private server this often, with SIGKILL, and start it again; your own server is never killed
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(0..=1_000))]
    pub kill_server: u32,

    /// Share of the jobs that are due later, by up to 5 seconds
    #[arg(long, value_name = "PERCENT", default_value = "10%")]
    pub delayed: Share,

    /// Share of the jobs that fail whenever they run
    #[arg(long, value_name = "PERCENT", default_value = "1%")]
    pub poison: Share,

    /// The same seed: the same jobs, and the same order of kills [default: chosen at random, and shown]
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,

    /// When the private server calls fsync. A kill takes nothing that the kernel has, so with 'everysec' and 'no' each kill also
    /// takes the bytes that were not yet on the disk, as a power cut does; 'none' keeps no file at all
    #[arg(long, value_name = "WHEN", value_enum, default_value_t = Fsync::Always)]
    pub fsync: Fsync,

    /// Run the same beside BullMQ, apalis-redis, and Celery, and measure how fast each is when nobody is killed. What they need is
    /// fetched with npm, cargo, and pip
    #[arg(long)]
    pub peers: bool,

    /// End the run of a peer after this many seconds without an event; some hand out the jobs of a killed worker only after minutes
    #[arg(long, value_name = "SECONDS", default_value_t = 90, value_parser = clap::value_parser!(u64).range(1..=7_200))]
    pub peers_wait: u64,

    /// Print one JSON document instead of a table
    #[arg(long)]
    pub json: bool,

    /// Write the results to one HTML file, too: charts, promises, and data
    #[arg(long, value_name = "FILE.html", value_parser = report_file())]
    pub report: Option<ReportFile>,

    /// Locks instead of jobs
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// What to torture instead of the queue.
#[derive(Subcommand, Clone, Debug)]
pub enum Command {
    /// Locks: holders are stopped beyond their TTL, killed, and overtaken by a failover
    Locks(locks::Options),
    /// A process of the run; its role is in an environment variable
    #[command(hide = true)]
    Child,
}

/// A queue of this project.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Queue {
    /// `patterns::job_queue`
    JobQueue,
    /// `patterns::stream_worker`, which has no jobs for later: --delayed does not matter
    StreamWorker,
}

/// When the server calls fsync.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Fsync {
    /// Before each reply
    Always,
    /// Once a second
    Everysec,
    /// When the kernel decides
    No,
    /// Nothing is written to a file
    None,
}

impl fmt::Display for Fsync {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Always => "always",
            Self::Everysec => "everysec",
            Self::No => "no",
            Self::None => "none",
        })
    }
}

/// A share, 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Share(f64);

impl Share {
    /// 0 to 1.
    #[must_use]
    pub fn get(self) -> f64 {
        self.0
    }
}

impl FromStr for Share {
    type Err = String;

    /// From a percentage, such as "10%".
    fn from_str(text: &str) -> Result<Self, String> {
        let percent = text.strip_suffix('%').unwrap_or(text).trim().parse::<f64>();
        match percent {
            Ok(percent) if (0.0..=100.0).contains(&percent) => Ok(Self(percent / 100.0)),
            _ => Err("a share is a percentage from 0% to 100%, for example 10%".into()),
        }
    }
}

impl Options {
    /// Whether one JSON document is wanted.
    #[must_use]
    pub fn json(&self) -> bool {
        match &self.command {
            Some(Command::Locks(options)) => options.json,
            _ => self.json,
        }
    }
}

/// Runs the command.
pub async fn command(args: &TargetArgs, options: &Options) -> Result<(), Failure> {
    match &options.command {
        Some(Command::Child) => child::run(args).await,
        Some(Command::Locks(options)) => locks::command(args, options).await,
        None => jobs(args, options).await,
    }
}

async fn jobs(args: &TargetArgs, options: &Options) -> Result<(), Failure> {
    let seed = options.seed.unwrap_or_else(rand::random);
    let subject = match options.queue {
        Queue::JobQueue => Subject::JobQueue,
        Queue::StreamWorker => Subject::StreamWorker,
    };
    let mut workload = Workload::new(options, seed);
    if !subject.has_later() {
        workload.all_now();
    }
    let host = if options.peers {
        host::refuse_other_servers(args, "It runs each peer on a server of its own, and kills that, too.")?;
        Host::private(args, options.fsync).await?
    } else {
        Host::open(args, options.fsync).await?
    };
    let run = killer::run(&host, &subject, &workload, options.json);
    let report = course::alone(&host.target, run).await?;
    drop(host);
    let document = if options.peers {
        beside_peers(args, options, &workload, &report).await?
    } else {
        report.show(options.json);
        report.document()
    };
    let written = report.write(&document, options);
    report.verdict().and(written)
}

/// The same workload on each peer, and then the speed of each queue.
async fn beside_peers(
    args: &TargetArgs,
    options: &Options,
    workload: &Workload,
    ours: &Report,
) -> Result<Value, Failure> {
    let (peers, mut missing) = peers::prepare(Duration::from_secs(options.peers_wait)).await;
    let (mut reports, mut speeds) = (Vec::new(), Vec::new());
    let subjects = || peers.iter().cloned().map(Subject::Peer);
    for subject in subjects() {
        let host = Host::private(args, options.fsync).await?;
        match killer::run(&host, &subject, workload, options.json).await {
            Ok(report) => reports.push(report),
            Err(failure) => missing.push(without(&subject, &failure)),
        }
    }
    let jobs = options.jobs.min(speed::JOBS);
    for subject in [Subject::Bare, Subject::JobQueue, Subject::StreamWorker].into_iter().chain(subjects()) {
        match speed::measure(args, &subject, jobs).await {
            Ok(speed) => speeds.push(speed),
            Err(failure) => missing.push(without(&subject, &failure)),
        }
    }
    Ok(report::show_beside_peers(ours, &reports, &speeds, &missing, jobs, options.json))
}

/// Why a queue is left out.
fn without(subject: &Subject, failure: &Failure) -> String {
    format!("{}: {} {}", subject.name(), failure.what(), failure.why())
}
