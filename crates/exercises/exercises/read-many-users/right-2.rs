use redis::RedisResult;
use redis::aio::MultiplexedConnection;

/// One script reads them all.
pub async fn names(redis: &mut MultiplexedConnection, ids: &[u64]) -> RedisResult<Vec<Option<String>>> {
    let script = redis::Script::new(
        "local names = {} for i, key in ipairs(KEYS) do names[i] = redis.call('HGET', key, 'name') end return names",
    );
    let mut call = script.prepare_invoke();
    for id in ids {
        call.key(format!("user:{id}"));
    }
    call.invoke_async(redis).await
}
