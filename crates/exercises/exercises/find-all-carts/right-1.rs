use redis::aio::MultiplexedConnection;
use redis::{AsyncCommands, AsyncIter, RedisResult};

/// With the library's iterator, and the double ones taken out at the end.
pub async fn carts(redis: &mut MultiplexedConnection) -> RedisResult<Vec<String>> {
    let mut all: AsyncIter<String> = redis.scan_match("cart:*").await?;
    let mut found = Vec::new();
    while let Some(name) = all.next_item().await {
        found.push(name?);
    }
    found.sort();
    found.dedup();
    Ok(found)
}
