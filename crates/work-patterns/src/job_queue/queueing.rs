//! Ways of queueing, side by side.

use lab_runner::concurrent::try_join_all;
use lab_runner::{AnyConnection, Approach, into_redis_error, labeled};
use patterns::job_queue::{Job, JobQueue, NewJob, Outcome};
use patterns::key::KeyError;
use redis::{AsyncTypedCommands, RedisResult};

use super::PlainLists;

/// Jobs in one batch.
const BATCH: usize = 50;

labeled! {
    /// How jobs get from a producer to a worker.
    pub enum Queueing {
        /// LPUSH and BRPOP: the baseline.
        PushPop => "LPUSH, BRPOP (the baseline)",
        /// LPUSH, LMOVE, and LREM.
        Move => "LPUSH, LMOVE, LREM",
        /// The pattern, with one job in each call.
        OneByOne => "job_queue one by one",
        /// The pattern, with 50 jobs in each call.
        Batches => "job_queue, 50 at a time",
    }
}

/// How many jobs there are, and where.
#[derive(Clone, Debug)]
pub struct Work {
    prefix: String,
    jobs: usize,
}

impl Work {
    /// So many jobs under this prefix.
    #[must_use]
    pub fn new(prefix: &str, jobs: usize) -> Self {
        Self { prefix: prefix.to_owned(), jobs }
    }

    /// Every key that any of the approaches writes.
    pub fn keys(&self) -> Result<Vec<String>, KeyError> {
        let lists = PlainLists::new(&self.prefix);
        let root = patterns::key::Key::new(&self.prefix, "job_queue", &["compared"])?;
        let names = ["ready", "delayed", "running", "dead", "finished", "counts", "doorbell"];
        let companions = names.iter().map(|name| root.companion(name));
        Ok([lists.waiting, lists.processing, root.as_str().to_owned()]
            .into_iter()
            .chain(companions)
            .collect())
    }

    fn queue<C: AnyConnection>(&self, redis: &C) -> RedisResult<JobQueue<C>> {
        JobQueue::new(redis.clone(), &self.prefix, "compared").map_err(into_redis_error)
    }

    fn new_jobs(&self) -> Vec<NewJob> {
        (0..self.jobs).map(|number| NewJob::new(format!("job-{number}"), "ann@example.com")).collect()
    }
}

async fn push_and_pop<C: AnyConnection>(work: &Work, redis: &mut C) -> RedisResult<usize> {
    let waiting = PlainLists::new(&work.prefix).waiting;
    for job in work.new_jobs() {
        redis.lpush(&waiting, job.id).await?;
    }
    let mut done = 0;
    while done < work.jobs {
        let popped: Option<(String, String)> =
            redis::cmd("BRPOP").arg(&waiting).arg(1).query_async(redis).await?;
        done += usize::from(popped.is_some());
    }
    Ok(done)
}

async fn push_and_move<C: AnyConnection>(work: &Work, redis: &mut C) -> RedisResult<usize> {
    let PlainLists { waiting, processing } = PlainLists::new(&work.prefix);
    for job in work.new_jobs() {
        redis.lpush(&waiting, job.id).await?;
    }
    let mut lmove = redis::cmd("LMOVE");
    lmove.arg(&[&waiting, &processing, "RIGHT", "LEFT"]);
    let mut done = 0;
    while let Some(job) = lmove.query_async::<Option<String>>(redis).await? {
        done += redis.lrem(&processing, 1, job).await?;
    }
    Ok(done)
}

async fn one_by_one<C: AnyConnection>(work: &Work, redis: &C) -> RedisResult<usize> {
    let queue = work.queue(redis)?;
    for job in work.new_jobs() {
        queue.enqueue(&job).await.map_err(into_redis_error)?;
    }
    let mut done = 0;
    while let Some(job) = queue.reserve(1).await.map_err(into_redis_error)?.jobs.pop() {
        queue.complete(&job).await.map_err(into_redis_error)?;
        done += 1;
    }
    Ok(done)
}

async fn in_batches<C: AnyConnection>(work: &Work, redis: &C) -> RedisResult<usize> {
    let queue = work.queue(redis)?;
    for batch in work.new_jobs().chunks(BATCH) {
        queue.enqueue_many(batch).await.map_err(into_redis_error)?;
    }
    let (mut done, mut jobs): (usize, Vec<Job>) = (0, Vec::new());
    loop {
        let settlements: Vec<_> = jobs.iter().map(|job| (job, Outcome::Complete(Vec::new()))).collect();
        let (settled, reserved) =
            queue.settle_and_reserve(&settlements, BATCH).await.map_err(into_redis_error)?;
        done += settled.len();
        if reserved.jobs.is_empty() {
            return Ok(done);
        }
        jobs = reserved.jobs;
    }
}

impl Approach for Queueing {
    type Input = Work;
    /// How many jobs were done.
    type Output = usize;

    fn label(self) -> String {
        self.label().to_owned()
    }

    fn operations(self, work: &Work) -> u64 {
        work.jobs as u64
    }

    async fn reset<C: AnyConnection>(self, work: &Work, connection: &mut C) -> RedisResult<()> {
        let mut unlink = redis::pipe();
        for key in work.keys().map_err(into_redis_error)? {
            unlink.unlink(key).ignore();
        }
        unlink.exec_async(connection).await?;
        if matches!(self, Self::OneByOne | Self::Batches) {
            let load = async |source: &str| {
                redis::cmd("SCRIPT").arg("LOAD").arg(source).exec_async(&mut connection.clone()).await
            };
            try_join_all(patterns::job_queue::scripts().into_iter().map(|(_, script)| load(script.source())))
                .await?;
        }
        Ok(())
    }

    async fn run<C: AnyConnection>(self, work: &Work, connection: &mut C) -> RedisResult<usize> {
        match self {
            Self::PushPop => push_and_pop(work, connection).await,
            Self::Move => push_and_move(work, connection).await,
            Self::OneByOne => one_by_one(work, connection).await,
            Self::Batches => in_batches(work, connection).await,
        }
    }
}
