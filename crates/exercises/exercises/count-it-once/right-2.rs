use redis::{Client, RedisResult};

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
    redis::Script::new(
        "if redis.call('SET', KEYS[2], '1', 'NX', 'EX', 86400) then return redis.call('INCR', KEYS[1]) end
         return tonumber(redis.call('GET', KEYS[1]))",
    )
    .key("points")
    .key(format!("request:{request}"))
    .invoke_async(&mut redis)
    .await
}
