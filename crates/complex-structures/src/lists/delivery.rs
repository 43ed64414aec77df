//! What is left of the jobs when workers die.

use lab_connection::Target;
use lab_runner::LessonError;

use super::queue::Queue;
use super::queue_strategy::QueueStrategy;
use super::worker_pool::WorkerPool;
use crate::keys::Keys;

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

impl QueueStrategy {
    /// Sends `jobs` jobs to workers that die: of every ten jobs one kills its worker before the work, and one after it.
    pub async fn deliver(self, target: &Target, keys: &Keys, jobs: u64) -> Result<Delivered, LessonError> {
        let mut redis = target.connection();
        let queue = Queue::new(self.name(), keys);
        queue.start_clean(&mut redis).await?;
        let names: Vec<String> = (1..=jobs).map(|number| format!("job:{number}")).collect();
        redis::cmd("LPUSH").arg(queue.jobs()).arg(&names).exec_async(&mut redis).await?;

        let mut pool = WorkerPool::over(self, target, queue.clone(), &names);
        let (deaths, given_back) = pool.work().await?;
        let mut both = redis::pipe();
        both.cmd("HLEN").arg(queue.receipts()).cmd("GET").arg(queue.work_done());
        let (finished, work_done): (u64, Option<u64>) = both.query_async(&mut redis).await?;
        Ok(Delivered { sent: jobs, finished, work_done: work_done.unwrap_or_default(), deaths, given_back })
    }
}
