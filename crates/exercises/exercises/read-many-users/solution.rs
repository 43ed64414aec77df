use redis::RedisResult;
use redis::aio::MultiplexedConnection;

/// The names of these users, in this order.
pub async fn names(redis: &mut MultiplexedConnection, ids: &[u64]) -> RedisResult<Vec<Option<String>>> {
    let mut pipe = redis::pipe();
    for id in ids {
        pipe.hget(format!("user:{id}"), "name");
    }
    pipe.query_async(redis).await
}
