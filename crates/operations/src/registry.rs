//! The lessons of this crate, in teaching order.

use clap::ValueEnum;
use lab_runner::{Course, Lesson};

use crate::{cluster, persistence};

/// A lesson, as the command line names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum OperationsLesson {
    /// Slots, redirections, a live reshard, and a failover
    Cluster,
    /// What is on the disk after a crash
    Persistence,
}

impl Course for OperationsLesson {
    const TITLE: &'static str = "Operations";

    fn lesson(self) -> &'static Lesson {
        match self {
            Self::Cluster => &cluster::LESSON,
            Self::Persistence => &persistence::LESSON,
        }
    }
}
