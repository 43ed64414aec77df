// refused: and not the price
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{AsyncCommands, RedisResult};

/// The others get nothing.
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
        mark.arg(format!("loading:{product}")).arg("1").arg("NX").arg("PX").arg(700);
        let mine: bool = mark.query_async::<Option<String>>(&mut redis).await?.is_some();
        if mine {
            let price = load().await;
            let _: () = redis.set_ex(&key, &price, 60).await?;
            return Ok(price);
        }
        return Ok(String::new());
    }
}
