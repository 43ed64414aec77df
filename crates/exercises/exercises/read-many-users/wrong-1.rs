// refused: in the order of the IDs
use redis::RedisResult;
use redis::aio::MultiplexedConnection;

pub async fn names(redis: &mut MultiplexedConnection, ids: &[u64]) -> RedisResult<Vec<Option<String>>> {
    let mut ids = ids.to_vec();
    ids.sort_unstable();
    let mut pipe = redis::pipe();
    for id in ids {
        pipe.hget(format!("user:{id}"), "name");
    }
    pipe.query_async(redis).await
}
