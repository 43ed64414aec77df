use futures_util::future::try_join_all;
use redis::aio::MultiplexedConnection;
use redis::{AsyncCommands, RedisResult};

/// A multiplexed connection sends what is pending together.
pub async fn names(redis: &mut MultiplexedConnection, ids: &[u64]) -> RedisResult<Vec<Option<String>>> {
    let redis = &*redis;
    try_join_all(ids.iter().map(|id| {
        let mut redis = redis.clone();
        async move { redis.hget(format!("user:{id}"), "name").await }
    }))
    .await
}
