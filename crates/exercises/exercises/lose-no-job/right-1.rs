use redis::aio::MultiplexedConnection;
use redis::{AsyncCommands, Direction, RedisResult};

/// It puts back what it left, and then begins.
pub async fn work(
    redis: &mut MultiplexedConnection,
    worker: &str,
    run: impl AsyncFn(String),
) -> RedisResult<()> {
    let own = format!("jobs:{worker}");
    while redis
        .lmove::<_, _, Option<String>>(&own, "jobs", Direction::Right, Direction::Left)
        .await?
        .is_some()
    {}
    loop {
        let job: Option<String> = redis.lmove("jobs", &own, Direction::Left, Direction::Right).await?;
        let Some(job) = job else { return Ok(()) };
        run(job).await;
        let _: () = redis.del(&own).await?;
    }
}
