use redis::RedisResult;
use redis::aio::MultiplexedConnection;

/// One script.
pub async fn change(redis: &mut MultiplexedConnection, prices: &[(String, u64)]) -> RedisResult<()> {
    let script = redis::Script::new("for i, key in ipairs(KEYS) do redis.call('SET', key, ARGV[i]) end");
    let mut call = script.prepare_invoke();
    for (product, cents) in prices {
        call.key(format!("price:{product}")).arg(*cents);
    }
    call.invoke_async(redis).await
}
