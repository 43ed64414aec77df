// refused: saw
use redis::RedisResult;
use redis::aio::MultiplexedConnection;

/// Many small transactions are not one.
pub async fn change(redis: &mut MultiplexedConnection, prices: &[(String, u64)]) -> RedisResult<()> {
    for some in prices.chunks(100) {
        let mut pipe = redis::pipe();
        pipe.atomic();
        for (product, cents) in some {
            pipe.set(format!("price:{product}"), cents).ignore();
        }
        pipe.exec_async(redis).await?;
    }
    Ok(())
}
