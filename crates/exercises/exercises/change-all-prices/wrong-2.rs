// refused: have no price
use redis::aio::MultiplexedConnection;
use redis::{AsyncCommands, RedisResult};

/// It deletes the old ones first.
pub async fn change(redis: &mut MultiplexedConnection, prices: &[(String, u64)]) -> RedisResult<()> {
    let keys: Vec<String> = prices.iter().map(|(product, _)| format!("price:{product}")).collect();
    let _: u64 = redis.del(keys).await?;
    let mut pipe = redis::pipe();
    pipe.atomic();
    for (product, cents) in prices {
        pipe.set(format!("price:{product}"), cents).ignore();
    }
    pipe.exec_async(redis).await
}
