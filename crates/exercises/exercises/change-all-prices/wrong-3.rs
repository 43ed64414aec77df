// refused: saw
use futures_util::future::try_join_all;
use redis::RedisResult;
use redis::aio::MultiplexedConnection;

/// Sent at the same time is not done at the same time.
pub async fn change(redis: &mut MultiplexedConnection, prices: &[(String, u64)]) -> RedisResult<()> {
    let redis = &*redis;
    let all =
        prices.iter().map(|(product, cents)| {
            let mut redis = redis.clone();
            async move {
                redis::cmd("SET").arg(format!("price:{product}")).arg(cents).exec_async(&mut redis).await
            }
        });
    try_join_all(all).await?;
    Ok(())
}
