use redis::aio::MultiplexedConnection;
use redis::{AsyncCommands, Client, RedisResult};

/// The oldest job; waits until there is one. `shared` is the connection that everybody shares.
pub async fn next_job(client: &Client, shared: &MultiplexedConnection) -> RedisResult<String> {
    let (_, job): (String, String) = shared.clone().blpop("jobs", 0.0).await?;
    Ok(job)
}
