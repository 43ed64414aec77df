// refused: `tickets` is -40
use redis::aio::MultiplexedConnection;
use redis::{AsyncCommands, Client, RedisResult};

/// Nobody gives back what was not there.
pub async fn buy(_: &Client, shared: &MultiplexedConnection, customer: &str) -> RedisResult<bool> {
    let mut redis = shared.clone();
    let left: i64 = redis.decr("tickets", 1).await?;
    if left < 0 {
        return Ok(false);
    }
    let _: u64 = redis.sadd("buyers", customer).await?;
    Ok(true)
}
