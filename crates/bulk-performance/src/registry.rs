//! The lessons of this crate, in teaching order: its commands in sizes that a learner waits for.

use clap::ValueEnum;
use lab_connection::{Failure, TargetArgs};
use lab_runner::course::{self, OutputArgs};
use lab_runner::{Course, Lesson};

use crate::{biglist, concurrency, insert, memory, query};

/// A lesson, as the command line names it.
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

/// Lists the lessons, or teaches all of them.
pub(crate) async fn teach_all(args: &TargetArgs, output: OutputArgs) -> Result<(), Failure> {
    if output.list {
        course::list(&BulkLesson::lessons(), output.json);
        return Ok(());
    }
    let target = course::open(args).await?;
    course::run(&target, &BulkLesson::lessons(), &[], output).await.map(|_taught| ())
}
