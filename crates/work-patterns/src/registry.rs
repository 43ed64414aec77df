//! The lessons of this crate, in teaching order.

use clap::ValueEnum;
use lab_runner::{Course, Lesson};

use crate::{pub_sub, streams};

/// A lesson, as the command line names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum WorkLesson {
    /// Messages that nobody keeps, and a broadcast that resumes
    PubSub,
    /// Consumer groups that lose nothing
    Streams,
}

impl Course for WorkLesson {
    const TITLE: &'static str = "Background work";

    fn lesson(self) -> &'static Lesson {
        match self {
            Self::PubSub => &pub_sub::LESSON,
            Self::Streams => &streams::LESSON,
        }
    }
}
