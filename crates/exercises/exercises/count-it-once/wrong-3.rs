// refused: was counted 0 times
use redis::{AsyncCommands, Client, RedisResult};

/// It hopes that the server has done it.
pub async fn add_point(client: &Client, request: &str) -> RedisResult<u64> {
    let mut redis = client.get_multiplexed_async_connection().await?;
    match redis.incr("points", 1).await {
        Ok(points) => Ok(points),
        Err(_) => {
            let mut redis = client.get_multiplexed_async_connection().await?;
            let points: Option<u64> = redis.get("points").await?;
            Ok(points.unwrap_or_default())
        }
    }
}
