//! The job queue of the run, as all its processes open it.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use lab_connection::{Connection, Failure, Target};
use patterns::job_queue::{JobQueue, MAX_BATCH, Settings, State, WORKER_LOST};
use patterns::script::StoreError;
use redis::RedisResult;

use crate::torture::accounts::Found;
use crate::torture::role::Role;
use crate::torture::workload::{VISIBILITY, number_of};

/// The queue's name.
pub(crate) const QUEUE: &str = "torture";
/// A poison job is dead after so many failures.
pub const MAX_FAILURES: u32 = 3;

/// The queue of the run.
pub(crate) fn queue(target: &Target) -> Result<JobQueue<Connection>, StoreError> {
    JobQueue::new(target.connection(), target.prefix(), QUEUE)
}

/// Its settings, the same for all processes of a run.
pub(crate) fn settings(role: &Role) -> Settings {
    Settings {
        visibility: VISIBILITY,
        max_failures: MAX_FAILURES,
        first_pause: Duration::from_millis(100),
        max_jobs: role.max_jobs,
        ..Settings::default()
    }
}

/// The Hash with the effects, in the queue's slot.
pub(crate) fn effects(queue: &JobQueue<Connection>) -> Result<String, StoreError> {
    queue.effect_key("done")
}

/// What the queue has in the end.
pub(crate) async fn found(target: &Target) -> Result<Found, StoreError> {
    let queue = queue(target)?;
    let mut dead = BTreeMap::new();
    loop {
        let page = queue.page(State::Dead, dead.len(), MAX_BATCH).await?;
        if page.is_empty() {
            break;
        }
        dead.extend(
            page.into_iter().filter_map(|job| Some((number_of(&job.id)?, job.reason == WORKER_LOST))),
        );
    }
    let effects = counted(&effects(&queue)?, &mut target.connection()).await?;
    Ok(Found { effects, dead })
}

/// A Hash of IDs and counts, in steps.
pub(crate) async fn counted(key: &str, connection: &mut Connection) -> RedisResult<HashMap<u64, u64>> {
    let mut counted = HashMap::new();
    let mut cursor = 0_u64;
    loop {
        let mut scan = redis::cmd("HSCAN");
        scan.arg(key).arg(cursor).arg("COUNT").arg(1_000);
        let (next, fields): (u64, Vec<(String, u64)>) = scan.query_async(connection).await?;
        counted.extend(fields.into_iter().filter_map(|(id, count)| Some((number_of(&id)?, count))));
        cursor = next;
        if cursor == 0 {
            return Ok(counted);
        }
    }
}

/// What an error of the queue means on this server.
pub(crate) fn failure(error: StoreError, target: &Target) -> Failure {
    lab_runner::LessonError::from(lab_runner::BoxError::from(error))
        .explain(target, "The queue answered with something else.")
}
