//! A process that enqueues. It sends a job again until the server acknowledges it: the ID is its own, so that changes nothing.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use lab_connection::failure::Class;
use lab_connection::{Connection, Failure, Target};
use lab_runner::concurrent::try_join_all;
use patterns::job_queue::{Due, JobError, JobQueue, MAX_BATCH, NewJob};
use tokio::time::sleep;

use crate::torture::journal::{Journal, What, now};
use crate::torture::queue::{failure, queue, settings};
use crate::torture::role::Role;
use crate::torture::workload::Job;

/// While the server is away, or the queue is full.
pub(crate) const BETWEEN_TRIES: Duration = Duration::from_millis(20);

pub(crate) async fn run(target: &Target, role: &Role, journal: &Journal) -> Result<(), Failure> {
    let queue = queue(target).map_err(|error| failure(error, target))?.with_settings(settings(role));
    if role.in_bulk {
        return in_bulk(&queue, role, journal).await;
    }
    send_each(role, journal, |job| send(&queue, new_job(&job, role))).await
}

/// Sends the jobs of a producer, as many at a time as its role says, and writes down each that the server has acknowledged.
pub(crate) async fn send_each<F: Future<Output = Result<(), Failure>> + Send>(
    role: &Role,
    journal: &Journal,
    send: impl Fn(Job) -> F + Sync,
) -> Result<(), Failure> {
    let (jobs, next) = (role.jobs()?, AtomicUsize::new(0));
    let sending = (0..role.at_a_time).map(|_| async {
        while let Some(job) = jobs.get(next.fetch_add(1, Ordering::Relaxed)) {
            let begun = now();
            send(*job).await?;
            journal.write_at(What::Enqueued, job.number, 0, begun)?;
        }
        Ok::<(), Failure>(())
    });
    try_join_all(sending).await.map(drop)
}

/// In calls of 500, for a measurement.
async fn in_bulk(queue: &JobQueue<Connection>, role: &Role, journal: &Journal) -> Result<(), Failure> {
    for jobs in role.jobs()?.chunks(MAX_BATCH) {
        let new: Vec<NewJob> = jobs.iter().map(|job| new_job(job, role)).collect();
        journal.write(What::Enqueued, jobs[0].number, 0)?;
        queue.enqueue_many(&new).await.map_err(|error| refused(&error))?;
    }
    journal.write(What::Enqueued, 0, 0)
}

async fn send(queue: &JobQueue<Connection>, job: NewJob) -> Result<(), Failure> {
    loop {
        match queue.enqueue(&job).await {
            Ok(_) => return Ok(()),
            Err(JobError::Full { .. } | JobError::Store(_)) => sleep(BETWEEN_TRIES).await,
            Err(error) => return Err(refused(&error)),
        }
    }
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

fn refused(error: &JobError) -> Failure {
    Failure::new(Class::Other, "A job was refused.", error.to_string())
}
