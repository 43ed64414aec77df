//! `operations [LESSON]…`: what breaks, what is lost, and how to repair it; `cargo ops` runs it.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use lab_connection::Failure;
use lab_runner::LessonArgs;
use lab_runner::course::OutputArgs;
use operations::{OperationsLesson, cluster, persistence};
use lab_runner::LessonArgs;
use operations::{OperationsLesson, drills};

/// Lessons: eviction, compact memory, backup
#[derive(Parser)]
#[command(
    name = "operations",
    version,
    about,
    disable_help_flag = true,
    args_conflicts_with_subcommands = true
)]
#[command(name = "operations", version, about, disable_help_flag = true)]
#[command(args_conflicts_with_subcommands = true, disable_help_subcommand = true)]
struct Cli {
    /// Something else than lessons
    #[command(subcommand)]
    command: Option<Command>,

    #[command(flatten)]
    lessons: LessonArgs<OperationsLesson>,

    /// One part, larger
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
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

#[derive(Subcommand)]
enum Command {
    /// Faults under settings: what is lost, and for how long no write is possible
    Drills(drills::Options),
}

impl lab_runner::start::Cli for Cli {
    fn json(&self) -> bool {
        match &self.command {
            None => lab_runner::start::Cli::json(&self.lessons),
            Some(Command::Reshard { output, .. } | Command::Restarts { output, .. }) => output.json,
            Some(Command::Drills(options)) => options.json,
            None => lab_runner::start::Cli::json(&self.lessons),
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
        Some(Command::Reshard { slots, output }) => cluster::command(server, slots, output).await,
        Some(Command::Restarts { keys, output }) => persistence::command(server, keys as usize, output).await,
    }
    lab_runner::start::start(|cli: Cli| async move {
        match cli.command {
            Some(Command::Drills(options)) => drills::command(options).await,
            None => cli.lessons.run().await,
        }
    })
}
