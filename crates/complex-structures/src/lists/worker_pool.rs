//! The workers of a queue, who die now and then, who replaces them, and who gives back what they had taken.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use lab_connection::{Connection, Target};
use lab_runner::LessonError;
use redis::RedisResult;
use tokio::task::JoinSet;

use super::queue::Queue;
use super::queue_strategy::QueueStrategy;
use crate::hashes::crowd::ended;

/// Workers at a time; for each that dies another one comes.
const WORKERS: usize = 4;
/// How long a worker waits for a job before it tells again that it is alive.
const WAIT: Duration = Duration::from_millis(50);
/// How often the reaper looks.
const REAPED_EVERY: Duration = Duration::from_millis(20);
/// What all of it may take at most, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// The workers of a queue, and who replaces them.
pub(super) struct WorkerPool {
    strategy: QueueStrategy,
    target: Target,
    queue: Queue,
    accidents: Arc<Mutex<HashMap<String, Accident>>>,
    closing: Arc<AtomicBool>,
    hired: usize,
    at_work: JoinSet<RedisResult<End>>,
}

/// When a worker dies of a job. Each accident happens once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Accident {
    /// The job was taken, and nothing was done.
    BeforeWork,
    /// The job was done, and nobody was told.
    AfterWork,
}

/// How a worker ends.
enum End {
    Died,
    NothingLeft,
}

impl WorkerPool {
    pub(super) fn over(strategy: QueueStrategy, target: &Target, queue: Queue, jobs: &[String]) -> Self {
        let accident = |(number, job): (usize, &String)| match (number + 1) % 10 {
            5 => Some((job.clone(), Accident::BeforeWork)),
            0 => Some((job.clone(), Accident::AfterWork)),
            _ => None,
        };
        let accidents = jobs.iter().enumerate().filter_map(accident).collect();
        Self {
            strategy,
            target: target.clone(),
            queue,
            accidents: Arc::new(Mutex::new(accidents)),
            closing: Arc::default(),
            hired: 0,
            at_work: JoinSet::new(),
        }
    }

    /// Until nothing is left; returns the number of deaths, and of the jobs given back.
    pub(super) async fn work(&mut self) -> Result<(u64, u64), LessonError> {
        let (mut deaths, mut given_back) = (0, 0);
        let mut redis = self.target.connection();
        let mut rounds = tokio::time::interval(REAPED_EVERY);
        let begun = Instant::now();
        for _ in 0..WORKERS {
            self.hire().await?;
        }
        loop {
            tokio::select! {
                next = self.at_work.join_next() => match next {
                    None => return Ok((deaths, given_back)),
                    Some(end) => {
                        if let End::Died = ended(end)? {
                            deaths += 1;
                            self.hire().await?;
                        }
                    }
                },
                _ = rounds.tick(), if self.strategy == QueueStrategy::MoveAside => {
                    given_back += self.queue.reap(&mut redis).await?;
                    if self.queue.open(&mut redis).await? == 0 {
                        self.closing.store(true, Ordering::Relaxed);
                    }
                }
            }
            if begun.elapsed() > PATIENCE {
                return Err(LessonError::Check(format!("the queue is empty after {PATIENCE:?}")));
            }
        }
    }

    async fn hire(&mut self) -> RedisResult<()> {
        self.hired += 1;
        let name = format!("w{}", self.hired);
        if self.strategy == QueueStrategy::MoveAside {
            // Known from here on, so that its list is counted before it has taken anything.
            self.queue.beat(&name, &mut self.target.connection()).await?;
        }
        let worker = Worker {
            strategy: self.strategy,
            name,
            queue: self.queue.clone(),
            connection: self.target.blocking(WAIT).await?,
            accidents: Arc::clone(&self.accidents),
            closing: Arc::clone(&self.closing),
        };
        self.at_work.spawn(worker.work());
        Ok(())
    }
}

struct Worker {
    strategy: QueueStrategy,
    name: String,
    queue: Queue,
    /// Its own: a blocking command holds up whatever is sent after it.
    connection: Connection,
    accidents: Arc<Mutex<HashMap<String, Accident>>>,
    closing: Arc<AtomicBool>,
}

impl Worker {
    /// Takes job after job. A worker that dies just stops, and its connection closes, as if its process had been killed.
    async fn work(mut self) -> RedisResult<End> {
        loop {
            let Some(job) = self.take().await? else {
                if self.strategy == QueueStrategy::Pop || self.closing.load(Ordering::Relaxed) {
                    return Ok(End::NothingLeft);
                }
                continue;
            };
            let accident = self.accidents.lock().unwrap_or_else(PoisonError::into_inner).remove(&job);
            if accident == Some(Accident::BeforeWork) {
                return Ok(End::Died);
            }
            self.queue.handle(&job, &self.name, &mut self.connection).await?;
            if accident == Some(Accident::AfterWork) {
                return Ok(End::Died);
            }
            self.finish(&job).await?;
        }
    }

    async fn take(&mut self) -> RedisResult<Option<String>> {
        let mut take = match self.strategy {
            QueueStrategy::Pop => redis::cmd("RPOP"),
            QueueStrategy::MoveAside => {
                self.queue.beat(&self.name, &mut self.connection).await?;
                redis::cmd("BLMOVE")
            }
        };
        take.arg(self.queue.jobs());
        if self.strategy == QueueStrategy::MoveAside {
            take.arg(self.queue.processing(&self.name)).arg("RIGHT").arg("LEFT").arg(WAIT.as_secs_f64());
        }
        take.query_async(&mut self.connection).await
    }

    async fn finish(&mut self, job: &str) -> RedisResult<()> {
        if self.strategy == QueueStrategy::MoveAside {
            let own = self.queue.processing(&self.name);
            redis::cmd("LREM").arg(own).arg(1).arg(job).exec_async(&mut self.connection).await?;
        }
        Ok(())
    }
}
