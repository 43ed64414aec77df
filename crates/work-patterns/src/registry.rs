//! The lessons of this crate, in teaching order.

use clap::ValueEnum;
use lab_runner::{Course, Lesson};

use crate::social_graph;

/// A lesson, as the command line names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum WorkLesson {
    /// Followers, friends of friends, and timelines
    SocialGraph,
}

impl Course for WorkLesson {
    const TITLE: &'static str = "Background work";

    fn lesson(self) -> &'static Lesson {
        match self {
            Self::SocialGraph => &social_graph::LESSON,
        }
    }
}
