//! The lessons of this crate, in teaching order.

use clap::ValueEnum;
use lab_runner::{Course, Lesson};

use crate::{backup, compact_memory, eviction};

/// A lesson, as the command line names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum OperationsLesson {
    /// What the server throws away when memory is full
    Eviction,
    /// The same data in less memory
    CompactMemory,
    /// A copy that was restored, and compared
    Backup,
}

impl Course for OperationsLesson {
    const TITLE: &'static str = "Operations";

    fn lesson(self) -> &'static Lesson {
        match self {
            Self::Eviction => &eviction::LESSON,
            Self::CompactMemory => &compact_memory::LESSON,
            Self::Backup => &backup::LESSON,
        }
    }
}
