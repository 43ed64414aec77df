//! A queue whose jobs move from list to list, and workers of whom some die. All names of a queue share a hash tag such as
//! `{queue:orders}`, so on a cluster BLMOVE and the script find them in one slot.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use lab_connection::{Connection, Target};
use lab_runner::clients::flatten;
use lab_runner::{Keys, LessonError, ScriptFile, labeled, lua};
use redis::{AsyncTypedCommands, Direction, RedisResult, ScriptInvocation};
use tokio::task::JoinSet;

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

/// Gives the jobs of a dead worker back.
pub(super) static GIVE_BACK: ScriptFile = lua!("src/lists/give_back.lua");

labeled! {
    /// How a worker takes a job.
    pub enum QueueStrategy {
        /// After that, only the worker knows the job.
        Pop => "RPOP",
        /// To the worker's own list, from which LREM removes a job that is done. A reaper gives back the jobs of dead workers.
        Move => "BLMOVE, LREM, reaper",
    }
}

impl QueueStrategy {
    /// The name of its queue.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pop => "popped",
            Self::Move => "moved",
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
            workers.spawn(work(Arc::clone(pool), format!("w{started}")));
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
    async fn take(&self, worker: &str, redis: &mut Connection) -> RedisResult<Option<String>> {
        if self.strategy == QueueStrategy::Pop {
            return redis.rpop(self.queue.jobs(), None).await;
        }
        // From here on the reaper knows the worker, so its list is counted before it takes anything.
        self.queue.beat(worker, self.heartbeat, redis).await?;
        let (jobs, mine) = (self.queue.jobs(), self.queue.taken_by(worker));
        redis.blmove(jobs, mine, Direction::Right, Direction::Left, WAIT.as_secs_f64()).await
    }

    fn kills(&self, job: &str, last_digit: usize) -> bool {
        let number = job.strip_prefix("job:").and_then(|number| number.parse::<usize>().ok());
        number.is_some_and(|number| number % 10 == last_digit)
            && self.killers.lock().unwrap_or_else(PoisonError::into_inner).insert(job.to_owned())
    }
}

/// The keys of one queue.
#[derive(Clone, Debug)]
pub struct Queue {
    name: String,
    keys: Keys,
}

impl Queue {
    /// The queue of this name.
    pub fn new(name: &str, keys: &Keys) -> Self {
        Self { name: name.to_owned(), keys: keys.clone() }
    }

    /// One of its keys.
    pub(super) fn key(&self, name: &str) -> String {
        self.keys.key(format!("{{queue:{}}}:{name}", self.name))
    }

    /// List: the jobs that no worker has taken yet.
    pub fn jobs(&self) -> String {
        self.key("jobs")
    }

    /// List: the jobs that a worker has taken and not finished.
    pub fn taken_by(&self, worker: &str) -> String {
        self.key(&format!("processing:{worker}"))
    }

    /// String with a TTL: exists as long as the worker is alive.
    pub fn heartbeat(&self, worker: &str) -> String {
        self.key(&format!("alive:{worker}"))
    }

    /// Set: the names of all workers. A worker stays in it when it dies, so that none of its jobs is overlooked.
    pub fn workers(&self) -> String {
        self.key("workers")
    }

    /// Hash: from each job to the worker that finished it first.
    pub fn receipts(&self) -> String {
        self.key("receipts")
    }

    /// All keys of the queue and of these workers.
    pub(super) fn keys(&self, workers: &[impl AsRef<str>]) -> Vec<String> {
        let mut keys = vec![self.jobs(), self.workers(), self.key("work_done"), self.receipts()];
        for worker in workers {
            keys.extend([self.taken_by(worker.as_ref()), self.heartbeat(worker.as_ref())]);
        }
        keys
    }

    /// A call of the script for one worker.
    pub(super) fn give_back(&self, worker: &str) -> ScriptInvocation<'static> {
        let mut call = GIVE_BACK.key(self.heartbeat(worker));
        call.key(self.taken_by(worker)).key(self.jobs());
        call
    }

    /// Removes the keys of an earlier run, fills the queue, and loads the script.
    pub(super) async fn start(&self, jobs: &[String], redis: &mut Connection) -> RedisResult<()> {
        let workers: Vec<String> = redis.smembers(self.workers()).await?.into_iter().collect();
        redis.unlink(self.keys(&workers)).await?;
        redis.lpush(self.jobs(), jobs).await?;
        GIVE_BACK.load_async(redis).await.map(drop)
    }

    /// A worker says that it exists and is alive.
    pub(super) async fn beat(&self, worker: &str, ttl: Duration, redis: &mut Connection) -> RedisResult<()> {
        let ttl = u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX);
        let mut both = redis::pipe();
        both.atomic().sadd(self.workers(), worker).ignore();
        both.pset_ex(self.heartbeat(worker), "alive", ttl).ignore();
        both.exec_async(redis).await
    }

    /// Does a job. One effect counts every time that it is done, and one happens only once.
    pub(super) async fn handle(&self, job: &str, worker: &str, redis: &mut Connection) -> RedisResult<()> {
        let mut both = redis::pipe();
        both.atomic().incr(self.key("work_done"), 1).ignore();
        both.hset_nx(self.receipts(), job, worker).ignore();
        both.exec_async(redis).await
    }

    /// Gives the jobs of all dead workers back. Returns how many it gave back, and how many jobs are still waiting or taken. One
    /// transaction, so that no job moves from list to list while they are counted.
    pub(super) async fn reap(&self, redis: &mut Connection) -> RedisResult<(usize, usize)> {
        let workers = redis.smembers(self.workers()).await?;
        let mut transaction = redis::pipe();
        transaction.atomic();
        for worker in &workers {
            transaction.invoke_script(&self.give_back(worker));
        }
        transaction.llen(self.jobs());
        for worker in &workers {
            transaction.llen(self.taken_by(worker));
        }
        let mut given_back: Vec<usize> = transaction.query_async(redis).await?;
        let open = given_back.split_off(workers.len());
        Ok((given_back.into_iter().sum(), open.into_iter().sum()))
    }
}
