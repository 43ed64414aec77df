use redis::aio::MultiplexedConnection;
use redis::{Client, RedisResult};

/// A script, on the shared connection.
pub async fn buy(_: &Client, shared: &MultiplexedConnection, customer: &str) -> RedisResult<bool> {
    redis::Script::new(
        "if tonumber(redis.call('GET', KEYS[1])) == 0 then return 0 end
         redis.call('DECR', KEYS[1]) redis.call('SADD', KEYS[2], ARGV[1]) return 1",
    )
    .key("tickets")
    .key("buyers")
    .arg(customer)
    .invoke_async(&mut shared.clone())
    .await
}
