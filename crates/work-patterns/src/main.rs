//! `work-patterns [LESSON]…`: background work and coordination; `cargo work` runs it.

use std::process::ExitCode;

use clap::Parser;
use lab_runner::LessonArgs;
use work_patterns::WorkLesson;

/// Lessons: pub/sub, streams, job queues, locks, leaders, semaphores, idempotency, time series, a social graph
#[derive(Parser)]
#[command(name = "work-patterns", version, about, disable_help_flag = true)]
struct Cli {
    #[command(flatten)]
    lessons: LessonArgs<WorkLesson>,
}

impl lab_runner::start::Cli for Cli {
    fn json(&self) -> bool {
        lab_runner::start::Cli::json(&self.lessons)
    }
}

fn main() -> ExitCode {
    lab_runner::start::start(|cli: Cli| async move { cli.lessons.run().await })
}
