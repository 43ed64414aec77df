//! Ways for a worker to take a job, and what is left of the jobs when workers die.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use lab_connection::{Connection, Target};
use lab_runner::LessonError;
use redis::{RedisError, RedisResult};
use tokio::task::JoinSet;

use super::queue::Queue;
use crate::keys::Keys;

/// Workers at a time; for each that dies another one comes.
const WORKERS: usize = 4;
/// How long a worker waits for a job before it tells again that it is alive.
const WAIT: Duration = Duration::from_millis(50);
/// How often the reaper looks.
const REAPED_EVERY: Duration = Duration::from_millis(20);
/// What all of it may take at most, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// How a worker takes a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HandOver {
    /// RPOP: from then on only the worker knows of the job.
    Pop,
    /// BLMOVE to a list of the worker's own, and LREM when the job is done; a reaper gives back the jobs of the dead.
    MoveAside,
}

/// What was left of the jobs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delivered {
    /// Jobs that were sent.
    pub sent: u64,
    /// Jobs that were done at least once.
    pub finished: u64,
    /// Times that a job was done; more than `finished` if some were done twice.
    pub work_done: u64,
    /// Workers that died with a job in their hands.
    pub deaths: u64,
    /// Jobs that the reaper gave back.
    pub given_back: u64,
}

impl Delivered {
    /// Jobs that were sent and that nobody did or will do.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.sent.saturating_sub(self.finished)
    }

    /// Times that a job was done again.
    #[must_use]
    pub fn repeated(&self) -> u64 {
        self.work_done.saturating_sub(self.finished)
    }
}

/// When a worker dies of a job. Each accident happens once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Accident {
    /// The job was taken, and nothing was done.
    BeforeWork,
    /// The job was done, and nobody was told.
    AfterWork,
}

impl HandOver {
    /// Both, the wrong one first.
    pub const ALL: [Self; 2] = [Self::Pop, Self::MoveAside];

    /// Its name within a key.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Pop => "popped",
            Self::MoveAside => "moved",
        }
    }

    /// Its row in the table.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Pop => "RPOP",
            Self::MoveAside => "BLMOVE, LREM, reaper",
        }
    }

    /// Sends `jobs` jobs to workers that die: of every ten jobs one kills its worker before the work, and one after it.
    pub async fn deliver(self, target: &Target, keys: &Keys, jobs: u64) -> Result<Delivered, LessonError> {
        let mut redis = target.connection();
        let queue = Queue::new(self.name(), keys);
        queue.start_clean(&mut redis).await?;
        let names: Vec<String> = (1..=jobs).map(|number| format!("job:{number}")).collect();
        redis::cmd("LPUSH").arg(queue.jobs()).arg(&names).exec_async(&mut redis).await?;

        let mut company = Company::over(self, target, queue.clone(), &names);
        let (deaths, given_back) = company.work().await?;
        let mut both = redis::pipe();
        both.cmd("HLEN").arg(queue.receipts()).cmd("GET").arg(queue.work_done());
        let (finished, work_done): (u64, Option<u64>) = both.query_async(&mut redis).await?;
        Ok(Delivered { sent: jobs, finished, work_done: work_done.unwrap_or_default(), deaths, given_back })
    }
}

/// The workers of a queue, and who replaces them.
struct Company {
    hand_over: HandOver,
    target: Target,
    queue: Queue,
    accidents: Arc<Mutex<HashMap<String, Accident>>>,
    closing: Arc<AtomicBool>,
    hired: usize,
    at_work: JoinSet<RedisResult<End>>,
}

/// How a worker ends.
enum End {
    Died,
    NothingLeft,
}

impl Company {
    fn over(hand_over: HandOver, target: &Target, queue: Queue, jobs: &[String]) -> Self {
        let accident = |(number, job): (usize, &String)| match (number + 1) % 10 {
            5 => Some((job.clone(), Accident::BeforeWork)),
            0 => Some((job.clone(), Accident::AfterWork)),
            _ => None,
        };
        let accidents = jobs.iter().enumerate().filter_map(accident).collect();
        Self {
            hand_over,
            target: target.clone(),
            queue,
            accidents: Arc::new(Mutex::new(accidents)),
            closing: Arc::default(),
            hired: 0,
            at_work: JoinSet::new(),
        }
    }

    /// Until nothing is left; returns the number of deaths, and of the jobs given back.
    async fn work(&mut self) -> Result<(u64, u64), LessonError> {
        let (mut deaths, mut given_back) = (0, 0);
        let mut redis = self.target.connection();
        let mut rounds = tokio::time::interval(REAPED_EVERY);
        let begun = Instant::now();
        for _ in 0..WORKERS {
            self.hire().await?;
        }
        loop {
            tokio::select! {
                ended = self.at_work.join_next() => match ended {
                    None => return Ok((deaths, given_back)),
                    Some(ended) => {
                        if let End::Died = ended.map_err(|stopped| RedisError::from(std::io::Error::other(stopped)))?? {
                            deaths += 1;
                            self.hire().await?;
                        }
                    }
                },
                _ = rounds.tick(), if self.hand_over == HandOver::MoveAside => {
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
        let worker = Worker {
            hand_over: self.hand_over,
            name: format!("w{}", self.hired),
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
    hand_over: HandOver,
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
                if self.hand_over == HandOver::Pop || self.closing.load(Ordering::Relaxed) {
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
        let mut take = match self.hand_over {
            HandOver::Pop => redis::cmd("RPOP"),
            HandOver::MoveAside => {
                self.queue.beat(&self.name, &mut self.connection).await?;
                redis::cmd("BLMOVE")
            }
        };
        take.arg(self.queue.jobs());
        if self.hand_over == HandOver::MoveAside {
            take.arg(self.queue.processing(&self.name)).arg("RIGHT").arg("LEFT").arg(WAIT.as_secs_f64());
        }
        take.query_async(&mut self.connection).await
    }

    async fn finish(&mut self, job: &str) -> RedisResult<()> {
        if self.hand_over == HandOver::MoveAside {
            let own = self.queue.processing(&self.name);
            redis::cmd("LREM").arg(own).arg(1).arg(job).exec_async(&mut self.connection).await?;
        }
        Ok(())
    }
}
