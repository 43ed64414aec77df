//! What a process of the run does, as JSON in an environment variable. Scripts in other languages read it, too.

use std::fs;
use std::path::PathBuf;

use lab_connection::Failure;
use serde::{Deserialize, Serialize};

use crate::torture::host::cannot;
use crate::torture::workload::Job;

pub const VARIABLE: &str = "WORK_TORTURE_ROLE";

/// What a process does.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Role {
    pub part: Part,
    /// Which of its kind it is, from 0.
    pub index: u32,
    /// How many of its kind there are: a producer sends every so many-th job.
    pub of: u32,
    pub at_a_time: usize,
    pub listing: PathBuf,
    pub journal: PathBuf,
    /// The most jobs in the queue, dead ones included, if the queue has such a limit.
    pub max_jobs: u64,
    /// Whether a job has effects, or only goes through the queue.
    pub effects: bool,
    /// All jobs are due at this time, in milliseconds since 1970; 0 if the listing says when.
    pub due_at_ms: u64,
    /// Whether a producer sends 500 jobs in a call, and then writes a line for each call and one at the end.
    pub in_bulk: bool,
}

/// A part in the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// Sends jobs, then ends.
    Producer,
    /// Runs jobs until it is killed.
    Worker,
    /// Publishes to a stream, then ends.
    StreamProducer,
    /// Handles the messages of a stream until it is killed.
    StreamWorker,
    /// Sends jobs with LPUSH, then ends.
    BareProducer,
    /// Takes jobs with BRPOP until it is killed.
    BareWorker,
}

impl Role {
    /// The jobs of this producer, from the listing.
    pub fn jobs(&self) -> Result<Vec<Job>, Failure> {
        let listing = fs::read_to_string(&self.listing).map_err(|error| cannot("read the jobs", &error))?;
        let jobs = listing.lines().filter_map(Job::read);
        Ok(jobs.filter(|job| job.number % u64::from(self.of) == u64::from(self.index)).collect())
    }
}
