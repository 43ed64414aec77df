use redis::RedisResult;
use redis::aio::MultiplexedConnection;

/// Runs the work while it holds `lock:report`. True: it is done.
pub async fn with_lock(redis: &MultiplexedConnection, work: impl Future<Output = ()>) -> RedisResult<bool> {
    let mut redis = redis.clone();
    let mut take = redis::cmd("SET");
    take.arg(&["lock:report", "locked", "NX", "PX", "800"]);
    let taken: Option<String> = take.query_async(&mut redis).await?;
    if taken.is_none() {
        return Ok(false);
    }
    work.await;
    redis::cmd("DEL").arg("lock:report").exec_async(&mut redis).await?;
    Ok(true)
}
