use redis::RedisResult;
use redis::aio::MultiplexedConnection;

/// Sets `price:PRODUCT` to its new price in cents, for all of them.
pub async fn change(redis: &mut MultiplexedConnection, prices: &[(String, u64)]) -> RedisResult<()> {
    let mut pipe = redis::pipe();
    pipe.atomic();
    for (product, cents) in prices {
        pipe.set(format!("price:{product}"), cents).ignore();
    }
    pipe.exec_async(redis).await
}
