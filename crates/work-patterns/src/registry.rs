//! The lessons of this crate, in teaching order.

use clap::ValueEnum;
use lab_runner::{Course, Lesson};

use crate::{idempotency, leader, locks, semaphore};

/// A lesson, as the command line names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum WorkLesson {
    /// One holder at a time, and the number that fences off the others
    Locks,
    /// One process that leads, and how it learns that it no longer does
    Leader,
    /// N holders at a time, none of which can leak its place
    Semaphore,
    /// One effect, however often a request is sent
    Idempotency,
}

impl Course for WorkLesson {
    const TITLE: &'static str = "Background work";

    fn lesson(self) -> &'static Lesson {
        match self {
            Self::Locks => &locks::LESSON,
            Self::Leader => &leader::LESSON,
            Self::Semaphore => &semaphore::LESSON,
            Self::Idempotency => &idempotency::LESSON,
        }
    }
}
