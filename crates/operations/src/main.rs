//! `operations [LESSON]…`: what breaks, what is lost, and how to repair it; `cargo ops` runs it, and `cargo doctor` examines a server.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use lab_runner::LessonArgs;
use operations::{OperationsLesson, doctor};

/// Lessons: replication, Sentinel, cluster, persistence, eviction, compact memory, backup, monitoring, security
#[derive(Parser)]
#[command(
    name = "operations",
    version,
    about,
    disable_help_flag = true,
    args_conflicts_with_subcommands = true
)]
struct Cli {
    #[command(flatten)]
    lessons: LessonArgs<OperationsLesson>,

    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Examine a server, its replicas, a cluster, or Sentinels: what is wrong, and how to repair it
    Doctor(doctor::Options),
}

impl lab_runner::start::Cli for Cli {
    fn json(&self) -> bool {
        match &self.command {
            Some(Command::Doctor(options)) => options.json,
            None => lab_runner::start::Cli::json(&self.lessons),
        }
    }
}

fn main() -> ExitCode {
    lab_runner::start::start(|cli: Cli| async move {
        match &cli.command {
            Some(Command::Doctor(options)) => doctor::run(&cli.lessons.target, options).await,
            None => cli.lessons.run().await,
        }
    })
}
