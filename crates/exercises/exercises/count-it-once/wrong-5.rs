// refused: with different IDs
use redis::{AsyncCommands, Client, RedisResult};

/// What it writes was counted earlier.
pub async fn add_point(client: &Client, request: &str) -> RedisResult<u64> {
    let mut redis = client.get_multiplexed_async_connection().await?;
    let (_, points): (u64, u64) =
        redis::pipe().atomic().sadd("requests", request).scard("requests").query_async(&mut redis).await?;
    let _: () = redis.set("points", points).await?;
    Ok(points)
}
