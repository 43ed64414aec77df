//! `operations [LESSON]…`: what breaks, what is lost, and how to repair it; `cargo ops` runs it.

use std::process::ExitCode;

use clap::Parser;
use lab_runner::LessonArgs;
use operations::OperationsLesson;

/// Lessons: eviction, compact memory, backup
#[derive(Parser)]
#[command(name = "operations", version, about, disable_help_flag = true)]
struct Cli {
    #[command(flatten)]
    lessons: LessonArgs<OperationsLesson>,
}

impl lab_runner::start::Cli for Cli {
    fn json(&self) -> bool {
        lab_runner::start::Cli::json(&self.lessons)
    }
}

fn main() -> ExitCode {
    lab_runner::start::start(|cli: Cli| async move { cli.lessons.run().await })
}
