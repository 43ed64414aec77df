use redis::RedisResult;
use redis::aio::MultiplexedConnection;

/// What XREADGROUP returns: for each stream its messages, each with an ID, a field, and its value.
type Read = Option<Vec<(String, Vec<(String, (String, String))>)>>;

/// Sends all mail that waits for this worker.
pub async fn work(
    redis: &mut MultiplexedConnection,
    worker: &str,
    send: impl AsyncFn(String),
) -> RedisResult<()> {
    loop {
        let read: Read = redis::cmd("XREADGROUP")
            .arg(&["GROUP", "senders", worker, "COUNT", "10", "STREAMS", "mail", ">"])
            .query_async(redis)
            .await?;
        let messages: Vec<_> = read.into_iter().flatten().flat_map(|(_, messages)| messages).collect();
        if messages.is_empty() {
            return Ok(());
        }
        for (id, _) in &messages {
            redis::cmd("XACK").arg(&["mail", "senders", id]).exec_async(redis).await?;
        }
        for (_, (_, to)) in messages {
            send(to).await;
        }
    }
}
