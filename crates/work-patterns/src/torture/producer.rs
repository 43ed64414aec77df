//! A process that enqueues. It sends a job again until the server acknowledges it: the ID is its own, so that changes nothing.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use lab_connection::failure::Class;
use lab_connection::{Failure, Target};
use lab_runner::concurrent::try_join_all;
use patterns::job_queue::{Due, JobError, MAX_BATCH, NewJob};
use tokio::time::sleep;

use crate::torture::host::cannot;
use crate::torture::journal::{Journal, What, now};
use crate::torture::queue::{failure, queue, settings};
use crate::torture::role::Role;
use crate::torture::workload::Job;

/// While the server is away, or the queue is full.
const BETWEEN_TRIES: Duration = Duration::from_millis(20);

pub(crate) async fn run(target: &Target, role: &Role, journal: &Journal) -> Result<(), Failure> {
    let listing = fs::read_to_string(&role.listing).map_err(|error| cannot("read the jobs", &error))?;
    let mine: Arc<Vec<Job>> = Arc::new(
        listing
            .lines()
            .filter_map(Job::read)
            .filter(|job| job.number % u64::from(role.of) == u64::from(role.index))
            .collect(),
    );
    if role.in_bulk {
        return in_bulk(target, role, &mine, journal).await;
    }
    let next = AtomicUsize::new(0);
    let sending = (0..role.at_a_time).map(|_| async {
        while let Some(job) = mine.get(next.fetch_add(1, Ordering::Relaxed)) {
            send(target, role, job, journal).await?;
        }
        Ok::<(), Failure>(())
    });
    try_join_all(sending).await.map(|_| ())
}

/// In calls of 500, for a measurement.
async fn in_bulk(target: &Target, role: &Role, jobs: &[Job], journal: &Journal) -> Result<(), Failure> {
    let queue = queue(target).map_err(|error| failure(error, target))?.with_settings(settings(role));
    for jobs in jobs.chunks(MAX_BATCH) {
        let new: Vec<NewJob> = jobs.iter().map(|job| new_job(job, role)).collect();
        write(journal, jobs.first().map_or(0, |job| job.number), now())?;
        queue.enqueue_many(&new).await.map_err(|error| refused(&error))?;
    }
    write(journal, 0, now())
}

async fn send(target: &Target, role: &Role, job: &Job, journal: &Journal) -> Result<(), Failure> {
    let queue = queue(target).map_err(|error| failure(error, target))?.with_settings(settings(role));
    let new = new_job(job, role);
    let begun = now();
    loop {
        match queue.enqueue(&new).await {
            Ok(_) => break,
            Err(JobError::Full { .. } | JobError::Store(_)) => sleep(BETWEEN_TRIES).await,
            Err(error) => return Err(refused(&error)),
        }
    }
    write(journal, job.number, begun)
}

fn new_job(job: &Job, role: &Role) -> NewJob {
    let payload = serde_json::to_vec(job).unwrap_or_default();
    let due = match (role.due_at_ms, job.delay_ms) {
        (0, 0) => Due::Now,
        (0, delay) => Due::After(Duration::from_millis(delay)),
        (time, _) => Due::At(time),
    };
    NewJob::new(job.id(), payload).with_due(due)
}

fn write(journal: &Journal, job: u64, at: u64) -> Result<(), Failure> {
    journal.write_at(What::Enqueued, job, 0, at).map_err(|error| cannot("write a journal", &error))
}

fn refused(error: &JobError) -> Failure {
    Failure::new(Class::Other, "A job was refused.", error.to_string())
}
