//! The lessons of this crate, in teaching order.

use clap::ValueEnum;
use lab_runner::{Course, Lesson};

use crate::{hashes, lists, sets, sorted_sets, transactions, uniques};

/// A lesson, as the command line names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum StructureLesson {
    /// Profiles, partial reads, fields that count and expire
    Hashes,
    /// Feeds, queues, and a queue that loses nothing
    Lists,
    /// Tags, unique visitors, intersections, samples
    Sets,
    /// Leaderboards, ranks, ranges, time windows
    SortedSets,
    /// Counting different visitors: Set, bitmap, HyperLogLog
    Uniques,
    /// Pipelines, MULTI, WATCH, scripts and functions
    Transactions,
}

impl Course for StructureLesson {
    const TITLE: &'static str = "Complex structures";

    fn lesson(self) -> &'static Lesson {
        match self {
            Self::Hashes => &hashes::LESSON,
            Self::Lists => &lists::LESSON,
            Self::Sets => &sets::LESSON,
            Self::SortedSets => &sorted_sets::LESSON,
            Self::Uniques => &uniques::LESSON,
            Self::Transactions => &transactions::LESSON,
        }
    }
}
