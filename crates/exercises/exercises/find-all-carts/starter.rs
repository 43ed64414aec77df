use redis::aio::MultiplexedConnection;
use redis::{AsyncCommands, RedisResult};

/// The names of all carts, each once.
pub async fn carts(redis: &mut MultiplexedConnection) -> RedisResult<Vec<String>> {
    redis.keys("cart:*").await
}
