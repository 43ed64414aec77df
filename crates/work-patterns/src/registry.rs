//! The lessons of this crate, in teaching order.

use clap::ValueEnum;
use lab_runner::{Course, Lesson};

use crate::time_series;

/// A lesson, as the command line names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum WorkLesson {
    /// Samples, roll-ups, and retention
    TimeSeries,
}

impl Course for WorkLesson {
    const TITLE: &'static str = "Background work";

    fn lesson(self) -> &'static Lesson {
        match self {
            Self::TimeSeries => &time_series::LESSON,
        }
    }
}
