//! `complex-structures [LESSON]...`: lessons on hashes, lists, sets, sorted sets, uniques, and transactions.

use std::process::ExitCode;

use clap::Parser;
use complex_structures::StructureLesson;
use lab_runner::LessonArgs;

/// Lessons: hashes, lists, sets, sorted sets, uniques, transactions
#[derive(Parser)]
#[command(name = "complex-structures", bin_name = "cargo complex", version, about, disable_help_flag = true)]
struct Cli {
    #[command(flatten)]
    lessons: LessonArgs<StructureLesson>,
}

impl lab_runner::start::Cli for Cli {
    fn json(&self) -> bool {
        lab_runner::start::Cli::json(&self.lessons)
    }
}

fn main() -> ExitCode {
    lab_runner::start::start(|cli: Cli| async move { cli.lessons.run().await })
}
