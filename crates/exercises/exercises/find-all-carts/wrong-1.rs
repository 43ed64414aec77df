// refused: are missing
use redis::RedisResult;
use redis::aio::MultiplexedConnection;

/// The first page only.
pub async fn carts(redis: &mut MultiplexedConnection) -> RedisResult<Vec<String>> {
    let (_, page): (u64, Vec<String>) =
        redis::cmd("SCAN").arg(0).arg(&["MATCH", "cart:*", "COUNT", "1000"]).query_async(redis).await?;
    Ok(page)
}
