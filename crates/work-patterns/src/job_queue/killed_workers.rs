//! Workers that are killed with a job in their hands.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::pending;
use lab_connection::{Connection, Target, own_keys};
use lab_runner::{BoxError, labeled};
use patterns::job_queue::{JobQueue, NewJob, Settings};
use redis::AsyncTypedCommands;
use tokio::sync::Barrier;

labeled! {
    /// How a worker takes jobs.
    pub enum Way {
        /// LPOP.
        Pop => "LPOP",
        /// LMOVE, and LREM when it is done.
        Move => "LMOVE, LREM",
        /// The pattern.
        Reserve => "job_queue",
    }
}

/// What became of the jobs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Aftermath {
    /// A worker has done them.
    pub done: usize,
    /// They are in Redis, but no worker takes them.
    pub stuck: usize,
    /// They are nowhere.
    pub lost: usize,
}

/// The Lists of the naive ways. Their hash tag puts them into one slot, for LMOVE.
#[derive(Clone, Debug)]
pub(super) struct PlainLists {
    pub(super) waiting: String,
    pub(super) processing: String,
}

impl PlainLists {
    pub(super) fn new(prefix: &str) -> Self {
        Self {
            waiting: format!("{prefix}jobs:{{mail}}:waiting"),
            processing: format!("{prefix}jobs:{{mail}}:processing"),
        }
    }
}

/// Enqueues `jobs`, kills `killed` workers that have taken one each, and lets another worker go on until it finds
/// none. With the pattern, a worker has a job for this visibility time.
pub async fn kill_workers(
    way: Way,
    target: &Target,
    jobs: usize,
    killed: usize,
    visibility: Duration,
) -> Result<Aftermath, BoxError> {
    let (mut redis, lists) = (target.connection(), PlainLists::new(target.prefix()));
    let settings = Settings { visibility, ..Settings::default() };
    let queue = JobQueue::new(redis.clone(), target.prefix(), "killed")?.with_settings(settings);
    let ids: Vec<String> = (0..jobs).map(|number| format!("job-{number}")).collect();
    match way {
        Way::Reserve => {
            let jobs: Vec<NewJob> = ids.iter().map(|id| NewJob::new(id, "")).collect();
            queue.enqueue_many(&jobs).await?;
        }
        Way::Pop | Way::Move => drop(redis.rpush(&lists.waiting, &ids).await?),
    }
    // All workers and this task meet when each of them has its job.
    let dies = Arc::new(Barrier::new(killed + 1));
    let work = |dies: Option<Arc<Barrier>>| {
        let (redis, lists, queue) = (redis.clone(), lists.clone(), queue.clone());
        async move {
            match way {
                Way::Pop => by_pop(redis, lists, dies).await,
                Way::Move => by_move(redis, lists, dies).await,
                Way::Reserve => by_reserve(queue, dies).await,
            }
        }
    };
    let workers: Vec<_> = (0..killed).map(|_| tokio::spawn(work(Some(Arc::clone(&dies))))).collect();
    dies.wait().await;
    for worker in workers {
        worker.abort();
    }
    let done = work(None).await?;
    let stuck = redis.llen(&lists.processing).await?;
    own_keys::unlink(&mut redis, &[&lists.waiting, &lists.processing]).await?;
    own_keys::unlink(&mut redis, queue.keys()).await?;
    Ok(Aftermath { done, stuck, lost: jobs - done - stuck })
}

async fn by_pop(
    mut redis: Connection,
    lists: PlainLists,
    dies: Option<Arc<Barrier>>,
) -> Result<usize, BoxError> {
    let mut done = 0;
    while let Some(_job) =
        redis::cmd("LPOP").arg(&lists.waiting).query_async::<Option<String>>(&mut redis).await?
    {
        is_killed_if(dies.as_ref()).await;
        done += 1;
    }
    Ok(done)
}

async fn by_move(
    mut redis: Connection,
    lists: PlainLists,
    dies: Option<Arc<Barrier>>,
) -> Result<usize, BoxError> {
    let PlainLists { waiting, processing } = &lists;
    let mut lmove = redis::cmd("LMOVE");
    lmove.arg(&[waiting, processing, "LEFT", "RIGHT"]);
    let mut done = 0;
    while let Some(job) = lmove.query_async::<Option<String>>(&mut redis).await? {
        is_killed_if(dies.as_ref()).await;
        redis.lrem(processing, 1, job).await?;
        done += 1;
    }
    Ok(done)
}

async fn by_reserve(queue: JobQueue<Connection>, dies: Option<Arc<Barrier>>) -> Result<usize, BoxError> {
    let mut done = 0;
    loop {
        let reserved = queue.reserve(1).await?;
        for job in reserved.jobs {
            is_killed_if(dies.as_ref()).await;
            queue.complete(&job).await?;
            done += 1;
        }
        let Some(wait) = reserved.next_in else { return Ok(done) };
        tokio::time::sleep(wait).await;
    }
}

async fn is_killed_if(dies: Option<&Arc<Barrier>>) {
    if let Some(all_have_a_job) = dies {
        all_have_a_job.wait().await;
        // Its task is aborted here.
        pending::<()>().await;
    }
}
