//! The lessons of this crate, in teaching order.

use clap::ValueEnum;
use lab_runner::{Course, Lesson};

use crate::{delayed_jobs, job_queue};

/// A lesson, as the command line names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum WorkLesson {
    /// Jobs that survive their workers
    JobQueue,
    /// Jobs for later, retries, and schedules
    DelayedJobs,
}

impl Course for WorkLesson {
    const TITLE: &'static str = "Background work";

    fn lesson(self) -> &'static Lesson {
        match self {
            Self::JobQueue => &job_queue::LESSON,
            Self::DelayedJobs => &delayed_jobs::LESSON,
        }
    }
}
