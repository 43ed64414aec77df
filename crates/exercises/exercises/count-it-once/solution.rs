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
        "if redis.call('SADD', KEYS[2], ARGV[1]) == 1 then redis.call('INCR', KEYS[1]) end
         return redis.call('GET', KEYS[1])",
    )
    .key("points")
    .key("points:requests")
    .arg(request)
    .invoke_async(&mut redis)
    .await
}
