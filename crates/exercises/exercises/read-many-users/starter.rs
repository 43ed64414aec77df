use redis::aio::MultiplexedConnection;
use redis::{AsyncCommands, RedisResult};

/// The names of these users, in this order.
pub async fn names(redis: &mut MultiplexedConnection, ids: &[u64]) -> RedisResult<Vec<Option<String>>> {
    let mut names = Vec::new();
    for id in ids {
        names.push(redis.hget(format!("user:{id}"), "name").await?);
    }
    Ok(names)
}
