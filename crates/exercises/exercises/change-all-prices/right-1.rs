use redis::aio::MultiplexedConnection;
use redis::{AsyncCommands, RedisResult};

/// One command.
pub async fn change(redis: &mut MultiplexedConnection, prices: &[(String, u64)]) -> RedisResult<()> {
    let prices: Vec<(String, u64)> =
        prices.iter().map(|(product, cents)| (format!("price:{product}"), *cents)).collect();
    redis.mset(&prices).await
}
