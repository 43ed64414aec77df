use redis::aio::MultiplexedConnection;
use redis::{AsyncCommands, RedisResult};

/// The price of a product, from the cache or from the supplier.
pub async fn price(
    redis: &MultiplexedConnection,
    product: &str,
    load: impl AsyncFn() -> String,
) -> RedisResult<String> {
    let mut redis = redis.clone();
    let key = format!("price:{product}");
    let cached: Option<String> = redis.get(&key).await?;
    if let Some(price) = cached {
        return Ok(price);
    }
    let price = load().await;
    let _: () = redis.set_ex(&key, &price, 60).await?;
    Ok(price)
}
