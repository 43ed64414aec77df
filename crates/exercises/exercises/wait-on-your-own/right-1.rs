use redis::aio::MultiplexedConnection;
use redis::{AsyncCommands, Client, RedisResult};

/// A short wait, again and again, on a connection of its own.
pub async fn next_job(client: &Client, _: &MultiplexedConnection) -> RedisResult<String> {
    let mut own = client.get_multiplexed_async_connection().await?;
    loop {
        let job: Option<(String, String)> = own.blpop("jobs", 0.2).await?;
        if let Some((_, job)) = job {
            return Ok(job);
        }
    }
}
