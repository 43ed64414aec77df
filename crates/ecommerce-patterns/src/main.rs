//! `ecommerce-patterns [LESSON]…`: the eight families of patterns of a shop.

use std::process::ExitCode;

use clap::Parser;
use ecommerce_patterns::PatternLesson;
use lab_runner::LessonArgs;

/// Lessons: sessions, caching, inventory, recommendations, limits, real time, search, analytics
#[derive(Parser)]
#[command(
    name = "ecommerce-patterns",
    bin_name = "cargo ecommerce",
    version,
    about,
    disable_help_flag = true
)]
struct Cli {
    #[command(flatten)]
    lessons: LessonArgs<PatternLesson>,
}

impl lab_runner::start::Cli for Cli {
    fn json(&self) -> bool {
        lab_runner::start::Cli::json(&self.lessons)
    }
}

fn main() -> ExitCode {
    lab_runner::start::start(|cli: Cli| async move { cli.lessons.run().await })
}
