// refused: were sold
use redis::aio::MultiplexedConnection;
use redis::{AsyncCommands, Client, RedisResult};

/// DECR counts right, but whether a ticket was left is old.
pub async fn buy(_: &Client, shared: &MultiplexedConnection, customer: &str) -> RedisResult<bool> {
    let mut redis = shared.clone();
    let left: i64 = redis.get("tickets").await?;
    if left == 0 {
        return Ok(false);
    }
    redis::pipe()
        .atomic()
        .decr("tickets", 1)
        .ignore()
        .sadd("buyers", customer)
        .ignore()
        .exec_async(&mut redis)
        .await?;
    Ok(true)
}
