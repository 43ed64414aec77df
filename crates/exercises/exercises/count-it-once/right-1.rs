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
    let id = format!("request:{request}");
    redis::aio::transaction_async(redis, &[id.clone()], |mut redis, mut pipe| {
        let id = id.clone();
        async move {
            if redis.exists(&id).await? {
                return redis.get::<_, u64>("points").await.map(Some);
            }
            pipe.set(id, 1).ignore().incr("points", 1);
            let points: Option<(u64,)> = pipe.query_async(&mut redis).await?;
            Ok(points.map(|(points,)| points))
        }
    })
    .await
}
