// refused: was counted 2 times
use redis::{AsyncCommands, Client, RedisResult};

/// Adds a point for this request. Returns the number of points.
pub async fn add_point(client: &Client, request: &str) -> RedisResult<u64> {
    let mut tries = 0;
    loop {
        tries += 1;
        match try_to_add(client, request).await {
            Err(_) if tries < 3 => {}
            result => return result,
        }
    }
}

async fn try_to_add(client: &Client, request: &str) -> RedisResult<u64> {
    let mut redis = client.get_multiplexed_async_connection().await?;
    // The ID last.
    let counted: bool = redis.exists(format!("request:{request}")).await?;
    if !counted {
        let _: u64 = redis.incr("points", 1).await?;
        let _: () = redis.set(format!("request:{request}"), 1).await?;
    }
    redis.get("points").await
}
