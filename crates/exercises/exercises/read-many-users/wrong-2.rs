// refused: round trips
use redis::RedisResult;
use redis::aio::MultiplexedConnection;

/// One pipeline for each user waits as often as one command for each.
pub async fn names(redis: &mut MultiplexedConnection, ids: &[u64]) -> RedisResult<Vec<Option<String>>> {
    let mut names = Vec::new();
    for id in ids {
        let (name,): (Option<String>,) =
            redis::pipe().hget(format!("user:{id}"), "name").query_async(redis).await?;
        names.push(name);
    }
    Ok(names)
}
