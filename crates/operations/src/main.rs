//! `operations [LESSON]…`: what breaks, what is lost, and how to repair it; `cargo ops` runs it.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use lab_runner::LessonArgs;
use operations::{OperationsLesson, drills};

/// Lessons: replication, Sentinel, cluster, persistence, eviction, compact memory, backup, monitoring, security
#[derive(Parser)]
#[command(name = "operations", version, about, disable_help_flag = true)]
#[command(args_conflicts_with_subcommands = true, disable_help_subcommand = true)]
struct Cli {
    /// Something else than lessons
    #[command(subcommand)]
    command: Option<Command>,

    #[command(flatten)]
    lessons: LessonArgs<OperationsLesson>,
}

#[derive(Subcommand)]
enum Command {
    /// Faults under settings: what is lost, and for how long no write is possible
    Drills(drills::Options),
}

impl lab_runner::start::Cli for Cli {
    fn json(&self) -> bool {
        match &self.command {
            Some(Command::Drills(options)) => options.json,
            None => lab_runner::start::Cli::json(&self.lessons),
        }
    }
}

fn main() -> ExitCode {
    lab_runner::start::start(|cli: Cli| async move {
        match cli.command {
            Some(Command::Drills(options)) => drills::command(options).await,
            None => cli.lessons.run().await,
        }
    })
}
