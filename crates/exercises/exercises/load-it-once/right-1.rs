use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{AsyncCommands, RedisResult};

/// One script says what to do.
pub async fn price(
    redis: &MultiplexedConnection,
    product: &str,
    load: impl AsyncFn() -> String,
) -> RedisResult<String> {
    let mut redis = redis.clone();
    let key = format!("price:{product}");
    let ask = redis::Script::new(
        "local price = redis.call('GET', KEYS[1])
         if price then return {'hit', price} end
         if redis.call('SET', KEYS[2], '1', 'NX', 'PX', 600) then return {'load', ''} end
         return {'wait', ''}",
    );
    loop {
        let (what, price): (String, String) =
            ask.key(&key).key(format!("{key}:loads")).invoke_async(&mut redis).await?;
        match what.as_str() {
            "hit" => return Ok(price),
            "load" => {
                let price = load().await;
                let _: () = redis.set_ex(&key, &price, 60).await?;
                return Ok(price);
            }
            _ => tokio::time::sleep(Duration::from_millis(30)).await,
        }
    }
}
