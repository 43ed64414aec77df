//! The lessons of this crate, in teaching order.

use clap::ValueEnum;
use lab_runner::{Course, Lesson};

use crate::{
    delayed_jobs, idempotency, job_queue, leader, locks, pub_sub, semaphore, social_graph, streams,
    time_series, timeline,
};

/// A lesson, as the command line names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum WorkLesson {
    /// Messages that nobody keeps, and a broadcast that resumes
    PubSub,
    /// Consumer groups that lose nothing
    Streams,
    /// Jobs that survive their workers
    JobQueue,
    /// Jobs for later, retries, and schedules
    DelayedJobs,
    /// One holder at a time, and the number that fences off the others
    Locks,
    /// One process that leads, and how it learns that it no longer does
    Leader,
    /// At most N holders at a time, and no place that leaks
    Semaphore,
    /// One effect, however often a request is sent
    Idempotency,
    /// Samples, roll-ups, and retention
    TimeSeries,
    /// Followers, pages of them, and friends of friends
    SocialGraph,
    /// How a post reaches its readers: pushed, pulled, or both
    Timeline,
}

impl Course for WorkLesson {
    const TITLE: &'static str = "Background work";

    fn lesson(self) -> &'static Lesson {
        match self {
            Self::PubSub => &pub_sub::LESSON,
            Self::Streams => &streams::LESSON,
            Self::JobQueue => &job_queue::LESSON,
            Self::DelayedJobs => &delayed_jobs::LESSON,
            Self::Locks => &locks::LESSON,
            Self::Leader => &leader::LESSON,
            Self::Semaphore => &semaphore::LESSON,
            Self::Idempotency => &idempotency::LESSON,
            Self::TimeSeries => &time_series::LESSON,
            Self::SocialGraph => &social_graph::LESSON,
            Self::Timeline => &timeline::LESSON,
        }
    }
}
