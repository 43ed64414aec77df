// refused: twice
use redis::aio::MultiplexedConnection;
use redis::{AsyncCommands, AsyncIter, RedisResult};

/// Some come twice.
pub async fn carts(redis: &mut MultiplexedConnection) -> RedisResult<Vec<String>> {
    let mut all: AsyncIter<String> = redis.scan_match("cart:*").await?;
    let mut found = Vec::new();
    while let Some(name) = all.next_item().await {
        found.push(name?);
    }
    Ok(found)
}
