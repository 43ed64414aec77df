// refused: is blocked
use redis::aio::MultiplexedConnection;
use redis::{AsyncCommands, Client, RedisResult};

/// It stops the others for a tenth of a second, all the time.
pub async fn next_job(_: &Client, shared: &MultiplexedConnection) -> RedisResult<String> {
    loop {
        let job: Option<(String, String)> = shared.clone().blpop("jobs", 0.1).await?;
        if let Some((_, job)) = job {
            return Ok(job);
        }
    }
}
