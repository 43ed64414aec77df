//! Many jobs that are due at the same moment, and workers that take them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures_util::future::join_all;
use lab_connection::server_info::server_time;
use lab_connection::{Target, own_keys};
use lab_runner::BoxError;
use patterns::job_queue::{Due, JobQueue, MAX_BATCH, NewJob};
use patterns::job_worker::{Stats, Worker};
use tokio::sync::watch;

const QUEUE: &str = "at_once";

/// What came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PickedUp {
    /// How often a job ran.
    pub runs: usize,
    /// When the last one was picked up, after they were due.
    pub last_after: Duration,
}

/// What the workers count.
#[derive(Default)]
struct Tally {
    runs: AtomicUsize,
    /// The end, in milliseconds since 1970.
    last: AtomicU64,
}

/// Enqueues jobs that are due after `delay`, and lets workers run them.
pub async fn pick_up(
    target: &Target,
    jobs: usize,
    workers: usize,
    delay: Duration,
) -> Result<PickedUp, BoxError> {
    let mut redis = target.connection();
    let queue = JobQueue::new(redis.clone(), target.prefix(), QUEUE)?;
    own_keys::unlink(&mut redis, queue.keys()).await?;
    let (tally, (stop, stopped)) = (Arc::new(Tally::default()), watch::channel(false));
    let running = join_all((0..workers).map(|_| start_worker(target, Arc::clone(&tally), stopped.clone())));
    let produce = async {
        // By the clock of the server, which this machine's clock may differ from.
        let delay = u64::try_from(delay.as_millis())?;
        let due = server_time(&mut redis.clone()).await?.cast_unsigned() + delay;
        let due_here = now() + delay;
        let new: Vec<NewJob> =
            (0..jobs).map(|number| NewJob::new(format!("job-{number}"), "").with_due(Due::At(due))).collect();
        for batch in new.chunks(MAX_BATCH) {
            queue.enqueue_many(batch).await?;
        }
        while queue.counts().await?.pending() > 0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        stop.send(true)?;
        Ok::<_, BoxError>(due_here)
    };
    let (due, _stats) = tokio::join!(produce, running);
    let last_after = Duration::from_millis(tally.last.load(Ordering::Relaxed).saturating_sub(due?));
    own_keys::unlink(&mut redis, queue.keys()).await?;
    Ok(PickedUp { runs: tally.runs.load(Ordering::Relaxed), last_after })
}

async fn start_worker(
    target: &Target,
    tally: Arc<Tally>,
    mut stopped: watch::Receiver<bool>,
) -> Option<Stats> {
    let connect = target.clone();
    let open = move || {
        let target = connect.clone();
        async move { target.blocking(Duration::from_secs(3)).await }
    };
    let worker = Worker::new(target.prefix(), QUEUE, open).ok()?.with_concurrency(50);
    let handler = move |_job| {
        tally.runs.fetch_add(1, Ordering::Relaxed);
        tally.last.fetch_max(now(), Ordering::Relaxed);
        async { Ok::<_, String>(Vec::new()) }
    };
    Some(worker.run(handler, async { drop(stopped.wait_for(|stop| *stop).await) }).await)
}

fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
