// refused: was not done after
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{AsyncCommands, RedisResult};

/// The mark stays.
pub async fn price(
    redis: &MultiplexedConnection,
    product: &str,
    load: impl AsyncFn() -> String,
) -> RedisResult<String> {
    let mut redis = redis.clone();
    let key = format!("price:{product}");
    loop {
        let cached: Option<String> = redis.get(&key).await?;
        if let Some(price) = cached {
            return Ok(price);
        }
        let mut mark = redis::cmd("SET");
        mark.arg(format!("loading:{product}")).arg("1").arg("NX");
        let mine: bool = mark.query_async::<Option<String>>(&mut redis).await?.is_some();
        if mine {
            let price = load().await;
            let _: () = redis.set_ex(&key, &price, 60).await?;
            return Ok(price);
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
