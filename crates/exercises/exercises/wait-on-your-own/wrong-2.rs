// refused: commands while there was no job
use redis::aio::MultiplexedConnection;
use redis::{AsyncCommands, Client, RedisResult};

/// It asks again and again.
pub async fn next_job(_: &Client, shared: &MultiplexedConnection) -> RedisResult<String> {
    loop {
        if let Some(job) = shared.clone().lpop("jobs", None).await? {
            return Ok(job);
        }
    }
}
