//! `operations [LESSON]…`: what breaks, what is lost, and how to repair it; `cargo ops` runs it, and `cargo doctor` its doctor.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use lab_connection::Failure;
use lab_runner::LessonArgs;
use lab_runner::course::OutputArgs;
use operations::{OperationsLesson, acl, cluster, doctor, drills, metrics, persistence};

/// Lessons: replication, Sentinel, cluster, persistence, eviction, compact memory, backup, monitoring, security
#[derive(Parser)]
#[command(name = "operations", bin_name = "cargo ops", version, about, disable_help_flag = true)]
#[command(args_conflicts_with_subcommands = true, disable_help_subcommand = true)]
struct Cli {
    #[command(flatten)]
    lessons: LessonArgs<OperationsLesson>,

    /// Something else than lessons
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// The ACL user with the fewest rights that some patterns need
    Acl(acl::Options),
    /// Examine a server, its replicas, a cluster, or Sentinels: what is wrong, and how to repair it
    Doctor(doctor::Options),
    /// Faults under settings: what is lost, and for how long no write is possible
    Drills(drills::Options),
    /// Serve the numbers of a server for Prometheus, on http://127.0.0.1:9121/metrics
    Metrics(metrics::Options),
    /// The cluster lesson, with more slots that move under 50 clients
    Reshard {
        /// How many slots move
        #[arg(long, value_name = "N", default_value_t = 1_000, value_parser = clap::value_parser!(u16).range(1..=i64::from(cluster::MOST_SLOTS)))]
        slots: u16,

        /// How to show it
        #[command(flatten)]
        output: OutputArgs,
    },
    /// The persistence lesson, with restarts of a larger server
    Restarts {
        /// How many keys the largest server has
        #[arg(long, value_name = "N", default_value_t = 1_000_000, value_parser = clap::value_parser!(u32).range(1..=100_000_000))]
        keys: u32,

        /// How to show it
        #[command(flatten)]
        output: OutputArgs,
    },
}

impl lab_runner::start::Cli for Cli {
    fn json(&self) -> bool {
        match &self.command {
            None => lab_runner::start::Cli::json(&self.lessons),
            Some(Command::Acl(options)) => options.json,
            Some(Command::Doctor(options)) => options.json,
            Some(Command::Drills(options)) => options.json,
            Some(Command::Metrics(_)) => false,
            Some(Command::Reshard { output, .. } | Command::Restarts { output, .. }) => output.json,
        }
    }
}

fn main() -> ExitCode {
    lab_runner::start::start(run)
}

async fn run(cli: Cli) -> Result<(), Failure> {
    let server = &cli.lessons.target;
    match cli.command {
        None => cli.lessons.run().await,
        Some(Command::Acl(options)) => acl::run(server, &options),
        Some(Command::Doctor(options)) => doctor::run(server, &options).await,
        Some(Command::Drills(options)) => drills::command(options).await,
        Some(Command::Metrics(options)) => metrics::run(server, &options).await,
        Some(Command::Reshard { slots, output }) => cluster::command(server, slots, &output).await,
        Some(Command::Restarts { keys, output }) => {
            persistence::command(server, keys as usize, &output).await
        }
    }
}
