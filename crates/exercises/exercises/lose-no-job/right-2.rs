use redis::aio::MultiplexedConnection;
use redis::{AsyncCommands, RedisResult};

/// A Hash says what each worker is doing, and a script changes both.
pub async fn work(
    redis: &mut MultiplexedConnection,
    worker: &str,
    run: impl AsyncFn(String),
) -> RedisResult<()> {
    let take = redis::Script::new(
        "local left = redis.call('HGET', KEYS[2], ARGV[1])
         if left then return left end
         local job = redis.call('LPOP', KEYS[1])
         if job then redis.call('HSET', KEYS[2], ARGV[1], job) end
         return job",
    );
    loop {
        let job: Option<String> = take.key("jobs").key("jobs:doing").arg(worker).invoke_async(redis).await?;
        let Some(job) = job else { return Ok(()) };
        run(job).await;
        let _: u64 = redis.hdel("jobs:doing", worker).await?;
    }
}
