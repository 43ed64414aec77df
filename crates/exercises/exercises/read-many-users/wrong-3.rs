// refused: there are 495 names
use redis::RedisResult;
use redis::aio::MultiplexedConnection;

/// Users that do not exist are dropped.
pub async fn names(redis: &mut MultiplexedConnection, ids: &[u64]) -> RedisResult<Vec<Option<String>>> {
    let mut pipe = redis::pipe();
    for id in ids {
        pipe.hget(format!("user:{id}"), "name");
    }
    let names: Vec<Option<String>> = pipe.query_async(redis).await?;
    Ok(names.into_iter().filter(Option::is_some).collect())
}
