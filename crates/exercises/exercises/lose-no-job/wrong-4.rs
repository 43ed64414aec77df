// refused: is lost
use redis::aio::MultiplexedConnection;
use redis::{AsyncCommands, Direction, RedisResult};

/// Does all jobs, the oldest first.
pub async fn work(
    redis: &mut MultiplexedConnection,
    worker: &str,
    run: impl AsyncFn(String),
) -> RedisResult<()> {
    let own = format!("jobs:{worker}");
    // What it left when it died.
    let left: Vec<String> = redis.lrange(&own, 0, -1).await?;
    for job in left {
        let _: u64 = redis.lrem(&own, 1, &job).await?;
        run(job).await;
    }
    loop {
        let job: Option<String> = redis.lmove("jobs", &own, Direction::Left, Direction::Right).await?;
        let Some(job) = job else { return Ok(()) };
        let _: u64 = redis.lrem(&own, 1, &job).await?;
        run(job).await;
    }
}
