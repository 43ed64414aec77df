// refused: gave up
use redis::aio::MultiplexedConnection;
use redis::{AsyncCommands, Client, RedisResult};

/// The reply must come within 500 ms, if nothing else is said.
pub async fn next_job(client: &Client, _: &MultiplexedConnection) -> RedisResult<String> {
    let mut own = client.get_multiplexed_async_connection().await?;
    let (_, job): (String, String) = own.blpop("jobs", 0.0).await?;
    Ok(job)
}
