//! Loading, querying and storing a lot: every approach is checked to leave the same data before it is timed.
//!
//! In reading order:
//!
//! 1. [`people`]: the data set, users made from their number; [`keys`] spells every key, [`stored`] writes and reads them.
//! 2. [`insert`]: the ways to write them. [`load`]: the fastest of them as a tool, over [`bulk_loader`].
//! 3. [`peers`]: the loader beside `redis-cli --pipe`, `redis-benchmark`, redis-rs and redis-py.
//! 4. [`query`]: the ways to find them. [`concurrency`]: how many questions at once.
//! 5. [`memory`]: what they take.
//! 6. [`biglist`]: Server A writes a list, Server B reads it.
//!
//! [`arguments`] is the command line.

#![expect(clippy::must_use_candidate, reason = "nobody outside this workspace calls it")]

pub mod arguments;
pub mod biglist;
pub mod concurrency;
pub mod insert;
pub mod load;
pub mod memory;
pub mod peers;
pub mod query;

use clap::ValueEnum;
use lab_connection::{Failure, TargetArgs};
pub use lab_measure::{keys, people, stored};
use lab_runner::course::{self, OutputArgs};
use lab_runner::{Course, Lesson, LessonContext, LessonFuture};

use crate::arguments::{Arguments, Command};

/// Runs one command.
pub async fn run(arguments: Arguments) -> Result<(), Failure> {
    let output = arguments.output();
    let Arguments { command, target: args, .. } = arguments;
    match command {
        None | Some(Command::All) => run_all(&args, &output).await,
        Some(Command::Load(plan)) => load::command(&args, plan, &output).await,
        Some(Command::Biglist(options)) => biglist::command(&args, options, &output).await,
        Some(Command::Peers(options)) => peers::command(&args, options, &output).await,
        Some(Command::Insert(options)) => {
            run_one(&args, &insert::LESSON, &output, |ctx| Box::pin(insert::run(ctx, options))).await
        }
        Some(Command::Query(options)) => {
            run_one(&args, &query::LESSON, &output, |ctx| Box::pin(query::run(ctx, options))).await
        }
        Some(Command::Concurrency(options)) => {
            run_one(&args, &concurrency::LESSON, &output, |ctx| Box::pin(concurrency::run(ctx, options)))
                .await
        }
        Some(Command::Memory(options)) => {
            run_one(&args, &memory::LESSON, &output, |ctx| Box::pin(memory::run(ctx, options))).await
        }
    }
}

/// A lesson in the sizes that the command line set.
async fn run_one<F>(
    args: &TargetArgs,
    lesson: &'static Lesson,
    output: &OutputArgs,
    run: F,
) -> Result<(), Failure>
where
    F: for<'a> FnOnce(&'a mut LessonContext) -> LessonFuture<'a>,
{
    let target = course::open(args).await?;
    course::run_with(&target, lesson, output, run).await
}

/// Lists the lessons, or runs all of them.
async fn run_all(args: &TargetArgs, output: &OutputArgs) -> Result<(), Failure> {
    if output.list {
        course::list(&BulkLesson::lessons(), &[], output.json);
        return Ok(());
    }
    let target = course::open(args).await?;
    course::run(&target, &BulkLesson::lessons(), &[], output).await.map(|_reports| ())
}

/// The lessons in order, in sizes that a learner waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum BulkLesson {
    /// Ways to write many records
    Insert,
    /// Ways to find and read records
    Query,
    /// Throughput and latency by operations in flight
    Concurrency,
    /// Bytes per record by encoding
    Memory,
    /// Server A writes a list, Server B reads it
    Biglist,
}

impl Course for BulkLesson {
    const TITLE: &'static str = "Bulk performance";

    fn lesson(self) -> &'static Lesson {
        match self {
            Self::Insert => &insert::LESSON,
            Self::Query => &query::LESSON,
            Self::Concurrency => &concurrency::LESSON,
            Self::Memory => &memory::LESSON,
            Self::Biglist => &biglist::LESSON,
        }
    }
}
