//! `work-patterns [LESSON]…`: background work and coordination; `cargo work` runs it. `work-patterns torture` kills processes.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use lab_runner::LessonArgs;
use work_patterns::{WorkLesson, torture};

/// Lessons: pub/sub, streams, job queues, locks, leaders, semaphores, idempotency, time series, a social graph, timelines
#[derive(Parser)]
#[command(
    name = "work-patterns",
    bin_name = "cargo work",
    version,
    about,
    disable_help_flag = true,
    args_conflicts_with_subcommands = true
)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,

    #[command(flatten)]
    lessons: LessonArgs<WorkLesson>,
}

/// What is no lesson.
#[derive(Subcommand)]
enum Command {
    /// Kill workers and servers, and count what is lost
    Torture(torture::Options),
}

impl lab_runner::start::Cli for Cli {
    fn json(&self) -> bool {
        match &self.command {
            Some(Command::Torture(options)) => options.json(),
            None => lab_runner::start::Cli::json(&self.lessons),
        }
    }
}

fn main() -> ExitCode {
    lab_runner::start::start(|cli: Cli| async move {
        match &cli.command {
            Some(Command::Torture(options)) => torture::command(&cli.lessons.target, options).await,
            None => cli.lessons.run().await,
        }
    })
}
