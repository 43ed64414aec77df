//! `simple-ops [LESSON]…`: lessons on strings, expiry, counters and JSON documents.

use std::process::ExitCode;

use clap::Parser;
use lab_runner::LessonArgs;
use simple_ops::SimpleLesson;

/// Lessons: strings, expiry, counters, JSON documents
#[derive(Parser)]
#[command(name = "simple-ops", bin_name = "cargo simple", version, about, disable_help_flag = true)]
struct Cli {
    #[command(flatten)]
    lessons: LessonArgs<SimpleLesson>,
}

impl lab_runner::start::Cli for Cli {
    fn json(&self) -> bool {
        lab_runner::start::Cli::json(&self.lessons)
    }
}

fn main() -> ExitCode {
    lab_runner::start::start(|cli: Cli| async move { cli.lessons.run().await })
}
