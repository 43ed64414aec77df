use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{AsyncCommands, RedisResult, SetExpiry, SetOptions};

/// It takes the mark away when the price is there, and looks once more when it has the mark.
pub async fn price(
    redis: &MultiplexedConnection,
    product: &str,
    load: impl AsyncFn() -> String,
) -> RedisResult<String> {
    let mut redis = redis.clone();
    let (key, mark) = (format!("price:{product}"), format!("mark:{product}"));
    let once =
        SetOptions::default().conditional_set(redis::ExistenceCheck::NX).with_expiration(SetExpiry::PX(700));
    loop {
        let mine: Option<String> = redis.set_options(&mark, "1", once.clone()).await?;
        let cached: Option<String> = redis.get(&key).await?;
        let loaded = if let (None, Some(_)) = (&cached, &mine) { Some(load().await) } else { None };
        if let Some(price) = &loaded {
            let _: () = redis.set_ex(&key, price, 60).await?;
        }
        if mine.is_some() {
            let _: () = redis.del(&mark).await?;
        }
        if let Some(price) = loaded.or(cached) {
            return Ok(price);
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
