//! Locks, sessions, and queues that share a server with a cache.

use lab_connection::Target;
use lab_runner::LessonError;
use redis::RedisResult;
use redis::aio::MultiplexedConnection;

use super::play::{limit_memory, refusals};
use crate::private::{self, connect};

/// Number of locks that clients hold, and of sessions.
pub const LOCKS: usize = 200;
/// Number of queues.
pub const QUEUES: usize = 10;
/// Number of jobs that wait in each queue.
pub const JOBS: usize = 20;
/// Pages that the cache stores afterward.
pub const PAGES: usize = 20_000;
const PAGE_BYTES: usize = 500;
/// Room for the locks, sessions, queues, and about 1,000 pages, in bytes.
const ROOM: i64 = 800_000;

/// What a full cache did to the rest.
#[derive(Clone, Copy, Debug)]
pub struct Damage {
    /// Locks that a second client took while the first one still held them.
    pub held_twice: usize,
    /// Users who are logged out.
    pub lost_sessions: usize,
    /// Jobs that were accepted, and are gone.
    pub lost_jobs: usize,
    /// Pages that were not stored, because the server was full.
    pub refused: usize,
}

/// Fills a new server with this policy, and counts.
pub async fn fill(target: &Target, policy: &str) -> Result<Damage, LessonError> {
    let server = private::start(target, &[("maxmemory-policy", policy)]).await?;
    let mut redis = connect(&server).await?;
    limit_memory(&mut redis, ROOM).await?;
    store_what_matters(&mut redis).await?;
    let refused = store_pages(&mut redis).await?;
    let damage = Damage {
        lost_jobs: QUEUES * JOBS - waiting_jobs(&mut redis).await?,
        lost_sessions: LOCKS - live_sessions(&mut redis).await?,
        held_twice: take_again(&mut redis).await?,
        refused,
    };
    private::stop(server).await?;
    Ok(damage)
}

async fn store_what_matters(redis: &mut MultiplexedConnection) -> RedisResult<()> {
    let mut pipe = redis::pipe();
    for i in 0..LOCKS {
        pipe.cmd("SET").arg(format!("lock:{i}")).arg("client A").arg("NX").arg("EX").arg(600);
        pipe.hset(format!("session:{i}"), "user", i).expire(format!("session:{i}"), 3_600);
    }
    for queue in 0..QUEUES {
        let jobs: Vec<String> = (0..JOBS).map(|job| format!("job {job}")).collect();
        // A queue has no TTL: a job waits until somebody does it.
        pipe.rpush(format!("queue:{queue}"), jobs);
    }
    pipe.exec_async(redis).await
}

/// Returns how many pages were refused.
async fn store_pages(redis: &mut MultiplexedConnection) -> RedisResult<usize> {
    let mut refused = 0;
    let pages: Vec<usize> = (0..PAGES).collect();
    for pages in pages.chunks(500) {
        let mut pipe = redis::pipe();
        for page in pages {
            pipe.cmd("SET").arg(format!("page:{page}")).arg(&[b'p'; PAGE_BYTES]).arg("EX").arg(3_600);
        }
        refused += refusals::<()>(pipe.ignore_errors().query_async(redis).await?)?;
    }
    Ok(refused)
}

async fn waiting_jobs(redis: &mut MultiplexedConnection) -> RedisResult<usize> {
    let mut pipe = redis::pipe();
    for queue in 0..QUEUES {
        pipe.llen(format!("queue:{queue}"));
    }
    let lengths: Vec<usize> = pipe.query_async(redis).await?;
    Ok(lengths.iter().sum())
}

async fn live_sessions(redis: &mut MultiplexedConnection) -> RedisResult<usize> {
    let sessions: Vec<String> = (0..LOCKS).map(|i| format!("session:{i}")).collect();
    redis::cmd("EXISTS").arg(sessions).query_async(redis).await
}

/// Client B wants every lock that client A holds. A full server may also refuse it, which harms nobody.
async fn take_again(redis: &mut MultiplexedConnection) -> RedisResult<usize> {
    let mut pipe = redis::pipe();
    for i in 0..LOCKS {
        pipe.cmd("SET").arg(format!("lock:{i}")).arg("client B").arg("NX").arg("EX").arg(600);
    }
    let replies: Vec<RedisResult<Option<String>>> = pipe.ignore_errors().query_async(redis).await?;
    Ok(replies.iter().filter(|reply| matches!(reply, Ok(Some(_)))).count())
}
