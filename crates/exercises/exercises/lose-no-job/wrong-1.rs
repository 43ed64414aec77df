// refused: is lost
use redis::aio::MultiplexedConnection;
use redis::{AsyncCommands, RedisResult};

/// Two commands, and a moment between them.
pub async fn work(
    redis: &mut MultiplexedConnection,
    worker: &str,
    run: impl AsyncFn(String),
) -> RedisResult<()> {
    let own = format!("jobs:{worker}");
    // What it left when it died.
    let left: Vec<String> = redis.lrange(&own, 0, -1).await?;
    for job in left {
        run(job.clone()).await;
        let _: u64 = redis.lrem(&own, 1, job).await?;
    }
    while let Some(job) = redis.lpop::<_, Option<String>>("jobs", None).await? {
        let _: u64 = redis.rpush(&own, &job).await?;
        run(job.clone()).await;
        let _: u64 = redis.lrem(&own, 1, job).await?;
    }
    Ok(())
}
