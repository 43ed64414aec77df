use redis::aio::MultiplexedConnection;
use redis::{RedisResult, Value};

/// It finds its own pending messages with XPENDING and claims them by their IDs.
pub async fn work(
    redis: &mut MultiplexedConnection,
    worker: &str,
    send: impl AsyncFn(String),
) -> RedisResult<()> {
    loop {
        let pending: Vec<(String, Value, Value, Value)> = redis::cmd("XPENDING")
            .arg(&["mail", "senders", "-", "+", "100", worker])
            .query_async(redis)
            .await?;
        for (id, ..) in &pending {
            let messages: Vec<(String, Vec<String>)> =
                redis::cmd("XCLAIM").arg(&["mail", "senders", worker, "0", id]).query_async(redis).await?;
            for (_, mut fields) in messages {
                send(fields.remove(1)).await;
            }
            redis::cmd("XACK").arg(&["mail", "senders", id]).exec_async(redis).await?;
        }
        let read: Value = redis::cmd("XREADGROUP")
            .arg(&["GROUP", "senders", worker, "COUNT", "5", "STREAMS", "mail", ">"])
            .query_async(redis)
            .await?;
        if read == Value::Nil {
            return Ok(());
        }
    }
}
