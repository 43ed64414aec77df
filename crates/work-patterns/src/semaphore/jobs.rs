//! Jobs that enter one after the other, and some of which die inside.

use std::time::Duration;

use lab_connection::{Connection, Target};
use lab_runner::{BoxError, labeled};
use patterns::semaphore::{Semaphores, Token};
use redis::{AsyncTypedCommands, RedisResult};

use super::CAPACITY;

/// Every so many jobs, one dies.
pub(super) const DIES: usize = 4;
/// How long permits last. Nobody works for that long.
const LEASE: Duration = Duration::from_millis(100);

labeled! {
    /// How jobs enter.
    pub enum Way {
        /// INCR and DECR.
        Counter => "INCR and DECR",
        /// [`Semaphores`].
        Permits => "permits with a lease",
    }
}

/// What became of jobs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Jobs {
    /// They entered and left.
    pub done: usize,
    /// They died inside.
    pub died: usize,
    /// They did not get in.
    pub refused: usize,
    /// Places that are taken when nobody is inside.
    pub leaked: u32,
}

/// What became of one.
enum Job {
    Done,
    Died,
    Refused,
}

/// The counter of the naive way.
pub(super) fn counter(prefix: &str) -> String {
    format!("{prefix}renderer:inside")
}

/// Runs jobs one after the other.
pub async fn run_jobs(way: Way, target: &Target, jobs: usize) -> Result<Jobs, BoxError> {
    let (mut redis, counter) = (target.connection(), counter(target.prefix()));
    let semaphores = Semaphores::new(redis.clone(), target.prefix(), CAPACITY).with_lease(LEASE);
    let mut result = Jobs::default();
    for job in 1..=jobs {
        let dies = job % DIES == 0;
        let job = match way {
            Way::Counter => by_counter(&mut redis, &counter, dies).await?,
            Way::Permits => by_permits(&semaphores, dies).await?,
        };
        match job {
            Job::Done => result.done += 1,
            Job::Died => result.died += 1,
            Job::Refused => result.refused += 1,
        }
    }
    result.leaked = match way {
        Way::Counter => {
            let leaked = redis.get_int(&counter).await?.map_or(Ok(0), u32::try_from)?;
            redis.unlink(&counter).await?;
            leaked
        }
        Way::Permits => {
            // The last one may have died a moment ago.
            tokio::time::sleep(LEASE).await;
            semaphores.sweep("jobs").await?.held
        }
    };
    Ok(result)
}

async fn by_counter(redis: &mut Connection, counter: &str, dies: bool) -> RedisResult<Job> {
    let inside: u32 = redis::cmd("INCR").arg(counter).query_async(redis).await?;
    let leave = redis::cmd("DECR").arg(counter).clone();
    if inside > CAPACITY {
        leave.exec_async(redis).await?;
        return Ok(Job::Refused);
    }
    if dies {
        return Ok(Job::Died);
    }
    leave.exec_async(redis).await?;
    Ok(Job::Done)
}

async fn by_permits(semaphores: &Semaphores<Connection>, dies: bool) -> Result<Job, BoxError> {
    let token = Token::random()?;
    semaphores.acquire("jobs", &token, 1, Duration::from_secs(5)).await?;
    if dies {
        return Ok(Job::Died);
    }
    semaphores.release("jobs", &token, 1).await?;
    Ok(Job::Done)
}
