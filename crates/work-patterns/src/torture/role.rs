//! What a process of the run is told to do, as JSON in an environment variable: scripts in other languages read it, too.

use std::env;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use lab_connection::failure::Class;
use lab_connection::{Failure, Target, TargetArgs};
use serde::{Deserialize, Serialize};
use tokio::time::sleep;

use crate::torture::journal::Journal;
use crate::torture::locks::holder;
use crate::torture::{bare, host, producer, stream, worker};

/// Holds the role.
pub const VARIABLE: &str = "WORK_TORTURE_ROLE";
const BETWEEN_TRIES: Duration = Duration::from_millis(50);

/// What a process does.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Role {
    /// Its part.
    pub part: Part,
    /// Which of its kind it is, from 0.
    pub index: u32,
    /// How many of its kind there are: a producer sends every so many-th job.
    pub of: u32,
    /// Jobs at a time.
    pub at_a_time: usize,
    /// The file with the jobs.
    pub listing: PathBuf,
    /// The file for what happens.
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
    /// As the variable's value.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}

/// Plays the role that the environment gives, until its end or that of the process that gave it.
pub(crate) async fn run(args: &TargetArgs) -> Result<(), Failure> {
    if let Some(holder) = env::var(holder::VARIABLE).ok().and_then(|text| serde_json::from_str(&text).ok()) {
        return holder::run(&holder).await;
    }
    let given = env::var(VARIABLE).ok().and_then(|text| serde_json::from_str::<Role>(&text).ok());
    let role = given.ok_or_else(|| {
        Failure::new(
            Class::Usage,
            "This command is for 'torture' itself.",
            "It starts its processes with it.",
        )
        .try_next("cargo work torture")
    })?;
    tokio::select! {
        () = end_of_input() => Ok(()),
        ended = play(args, &role) => ended,
    }
}

async fn play(args: &TargetArgs, role: &Role) -> Result<(), Failure> {
    let journal = Journal::open(&role.journal).map_err(|error| host::cannot("write a journal", &error))?;
    let target = open(args).await?;
    match role.part {
        Part::Producer => producer::run(&target, role, &journal).await,
        Part::Worker => worker::run(&target, role, journal).await,
        Part::StreamProducer => stream::produce(&target, role, &journal).await,
        Part::StreamWorker => stream::work(&target, role, journal).await,
        Part::BareProducer => bare::produce(&target, role, &journal).await,
        Part::BareWorker => bare::work(&target, role, &journal).await,
    }
}

/// Opens the server, which may just have been killed.
async fn open(args: &TargetArgs) -> Result<Target, Failure> {
    loop {
        match args.open().await {
            // It may have come back empty, without the marker that says whose data it has: the run writes that again.
            Err(failure)
                if failure.exit_code() == Class::Refused.exit_code()
                    || failure.class() == Class::ForeignData =>
            {
                sleep(BETWEEN_TRIES).await;
            }
            opened => return opened,
        }
    }
}

/// Returns when the process that started this one has ended, however it did.
async fn end_of_input() {
    let reading = tokio::task::spawn_blocking(|| io::copy(&mut io::stdin().lock(), &mut io::sink()));
    let _ = reading.await;
}
