use redis::aio::MultiplexedConnection;
use redis::{AsyncCommands, RedisResult};

/// Does all jobs, the oldest first.
pub async fn work(
    redis: &mut MultiplexedConnection,
    worker: &str,
    run: impl AsyncFn(String),
) -> RedisResult<()> {
    while let Some(job) = redis.lpop::<_, Option<String>>("jobs", None).await? {
        run(job).await;
    }
    Ok(())
}
