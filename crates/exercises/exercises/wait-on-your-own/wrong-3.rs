// refused: the oldest is
use redis::aio::MultiplexedConnection;
use redis::{AsyncCommands, AsyncConnectionConfig, Client, RedisResult};

/// It takes the newest.
pub async fn next_job(client: &Client, _: &MultiplexedConnection) -> RedisResult<String> {
    let patient = AsyncConnectionConfig::new().set_response_timeout(None);
    let mut own = client.get_multiplexed_async_connection_with_config(&patient).await?;
    let (_, job): (String, String) = own.brpop("jobs", 0.0).await?;
    Ok(job)
}
