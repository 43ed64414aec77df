//! The lessons of this crate, in teaching order.

use clap::ValueEnum;
use lab_runner::{Course, Lesson};

use crate::{replication, sentinel};

/// A lesson, as the command line names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum OperationsLesson {
    /// A copy that is a little late, and what that means
    Replication,
    /// Processes that replace a primary, and the writes that this costs
    Sentinel,
}

impl Course for OperationsLesson {
    const TITLE: &'static str = "Operations";

    fn lesson(self) -> &'static Lesson {
        match self {
            Self::Replication => &replication::LESSON,
            Self::Sentinel => &sentinel::LESSON,
        }
    }
}
