// refused: deleted the lock of another
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use redis::aio::MultiplexedConnection;
use redis::{RedisResult, Script};

static NEXT: AtomicU64 = AtomicU64::new(0);

const RENEW: &str =
    "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('PEXPIRE', KEYS[1], 800) end return 0";
const RELEASE: &str =
    "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0";

/// A value that nobody else has.
fn token() -> String {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    format!("{}-{}-{}", std::process::id(), now.as_nanos(), NEXT.fetch_add(1, Ordering::Relaxed))
}

/// Runs the work while it holds `lock:report`. True: it is done.
pub async fn with_lock(redis: &MultiplexedConnection, work: impl Future<Output = ()>) -> RedisResult<bool> {
    let (mut redis, token) = (redis.clone(), token());
    let mut take = redis::cmd("SET");
    take.arg("lock:report").arg(&token).arg(&["NX", "PX", "800"]);
    let taken: Option<String> = take.query_async(&mut redis).await?;
    if taken.is_none() {
        return Ok(false);
    }
    let (renew, release) = (Script::new(RENEW), Script::new(RELEASE));
    tokio::pin!(work);
    loop {
        tokio::select! {
            () = &mut work => break,
            () = tokio::time::sleep(Duration::from_millis(100)) => {
                let kept: bool = renew.key("lock:report").arg(&token).invoke_async(&mut redis).await?;
                if !kept {
                    return Ok(false);
                }
            }
        }
    }
    redis::cmd("DEL").arg("lock:report").query_async(&mut redis).await
}
