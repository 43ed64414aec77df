//! Jobs go to workers, some workers die, and we count what became of the jobs.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use lab_connection::{Connection, Target};
use lab_runner::LessonError;
use redis::{AsyncTypedCommands, Direction, RedisResult};
use tokio::task::JoinSet;

use super::queue::Queue;
use crate::concurrent_clients::flatten;
use crate::keys::Keys;

/// Workers at a time.
const WORKERS: usize = 4;
/// How long a worker waits for a job before it says again that it is alive.
const WAIT: Duration = Duration::from_millis(50);
/// How long a heartbeat lasts on a fast network.
const HEARTBEAT: Duration = Duration::from_millis(250);
/// How often the reaper runs.
const REAP_INTERVAL: Duration = Duration::from_millis(20);
/// How long everything may take, on a busy machine.
const TIMEOUT: Duration = Duration::from_secs(30);

/// How a worker takes a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QueueStrategy {
    /// RPOP: after that, only the worker knows the job.
    Pop,
    /// BLMOVE to the worker's own list, and LREM when the job is done. A reaper gives back the jobs of dead workers.
    Move,
}

impl QueueStrategy {
    /// Both, the wrong one first.
    pub const ALL: [Self; 2] = [Self::Pop, Self::Move];

    /// The name of its queue.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pop => "popped",
            Self::Move => "moved",
        }
    }

    /// Its row in the table.
    pub fn label(self) -> &'static str {
        match self {
            Self::Pop => "RPOP",
            Self::Move => "BLMOVE, LREM, reaper",
        }
    }

    /// Sends jobs to workers. Of every ten jobs, the fifth kills its worker before the work is done, and the tenth after it.
    pub async fn deliver(
        self,
        target: &Target,
        keys: &Keys,
        jobs: usize,
        round_trip: Duration,
    ) -> Result<Delivery, LessonError> {
        let (queue, mut redis) = (Queue::new(self.name(), keys), target.connection());
        let names: Vec<String> = (1..=jobs).map(|number| format!("job:{number}")).collect();
        queue.start(&names, &mut redis).await?;

        let heartbeat = HEARTBEAT.max(round_trip * 5);
        let (killers, closing) = (Mutex::default(), AtomicBool::default());
        let pool =
            Arc::new(Pool { strategy: self, target: target.clone(), queue, heartbeat, killers, closing });
        let (deaths, given_back) = run_workers(&pool, &mut redis).await?;
        let finished = redis.hlen(pool.queue.receipts()).await?;
        let work_done = redis.get_int(pool.queue.key("work_done")).await?.unwrap_or_default().unsigned_abs();
        Ok(Delivery { sent: jobs, finished, work_done, deaths, given_back })
    }
}

/// What became of the jobs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// Jobs that were sent.
    pub sent: usize,
    /// Jobs that were done at least once.
    pub finished: usize,
    /// How often a job was done; more than `finished` if some were done twice.
    pub work_done: usize,
    /// Workers that died with a job.
    pub deaths: usize,
    /// Jobs that the reaper gave back.
    pub given_back: usize,
}

impl Delivery {
    /// Jobs that no worker did or will do.
    pub fn lost(&self) -> usize {
        self.sent.saturating_sub(self.finished)
    }

    /// How often a job was done again.
    pub fn repeated(&self) -> usize {
        self.work_done.saturating_sub(self.finished)
    }
}

/// What all workers of a queue share.
struct Pool {
    strategy: QueueStrategy,
    target: Target,
    queue: Queue,
    heartbeat: Duration,
    /// The jobs that have killed a worker. Each does so once.
    killers: Mutex<HashSet<String>>,
    closing: AtomicBool,
}

/// Runs until nothing is left. Returns how many workers died, and how many jobs were given back.
async fn run_workers(pool: &Arc<Pool>, redis: &mut Connection) -> Result<(usize, usize), LessonError> {
    let (mut started, mut deaths, mut given_back) = (0, 0, 0);
    let mut workers = JoinSet::new();
    let mut reaper = tokio::time::interval(REAP_INTERVAL);
    let begun = Instant::now();
    while begun.elapsed() < TIMEOUT {
        while started < WORKERS + deaths {
            started += 1;
            let name = format!("w{started}");
            // From here on the reaper knows it, so its list is counted before it takes anything.
            pool.beat(&name, redis).await?;
            workers.spawn(work(Arc::clone(pool), name));
        }
        tokio::select! {
            joined = workers.join_next() => match joined {
                None => return Ok((deaths, given_back)),
                Some(died) => deaths += usize::from(flatten(died)?),
            },
            _ = reaper.tick(), if pool.strategy == QueueStrategy::Move => {
                let (moved, open) = pool.queue.reap(redis).await?;
                given_back += moved;
                pool.closing.store(open == 0, Ordering::Relaxed);
            }
        }
    }
    Err(LessonError::Check(format!("the queue is empty after {TIMEOUT:?}")))
}

/// Does jobs until none is left, or until one kills it. A worker that dies just stops, and its connection closes, as if its
/// process had been killed. Returns whether it died.
async fn work(pool: Arc<Pool>, worker: String) -> RedisResult<bool> {
    let mut redis = pool.target.blocking(WAIT).await?;
    loop {
        let Some(job) = pool.take(&worker, &mut redis).await? else {
            if pool.strategy == QueueStrategy::Pop || pool.closing.load(Ordering::Relaxed) {
                return Ok(false);
            }
            continue;
        };
        if pool.kills(&job, 5) {
            return Ok(true); // before the work
        }
        pool.queue.handle(&job, &worker, &mut redis).await?;
        if pool.kills(&job, 0) {
            return Ok(true); // after the work
        }
        if pool.strategy == QueueStrategy::Move {
            redis.lrem(pool.queue.taken_by(&worker), 1, &job).await?;
        }
    }
}

impl Pool {
    async fn beat(&self, worker: &str, redis: &mut Connection) -> RedisResult<()> {
        match self.strategy {
            QueueStrategy::Pop => Ok(()),
            QueueStrategy::Move => self.queue.beat(worker, self.heartbeat, redis).await,
        }
    }

    async fn take(&self, worker: &str, redis: &mut Connection) -> RedisResult<Option<String>> {
        let (jobs, mine) = (self.queue.jobs(), self.queue.taken_by(worker));
        self.beat(worker, redis).await?;
        match self.strategy {
            QueueStrategy::Pop => redis.rpop(jobs, None).await,
            QueueStrategy::Move => {
                redis.blmove(jobs, mine, Direction::Right, Direction::Left, WAIT.as_secs_f64()).await
            }
        }
    }

    fn kills(&self, job: &str, last_digit: usize) -> bool {
        let number = job.strip_prefix("job:").and_then(|number| number.parse::<usize>().ok());
        number.is_some_and(|number| number % 10 == last_digit)
            && self.killers.lock().unwrap_or_else(PoisonError::into_inner).insert(job.to_owned())
    }
}
