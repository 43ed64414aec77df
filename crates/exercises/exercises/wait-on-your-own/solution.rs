use redis::aio::MultiplexedConnection;
use redis::{AsyncCommands, AsyncConnectionConfig, Client, RedisResult};

/// The oldest job; waits until there is one. `shared` is the connection that everybody shares.
pub async fn next_job(client: &Client, shared: &MultiplexedConnection) -> RedisResult<String> {
    let patient = AsyncConnectionConfig::new().set_response_timeout(None);
    let mut own = client.get_multiplexed_async_connection_with_config(&patient).await?;
    let (_, job): (String, String) = own.blpop("jobs", 0.0).await?;
    Ok(job)
}
