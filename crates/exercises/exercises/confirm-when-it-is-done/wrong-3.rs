// refused: worker-2 is sending
use redis::RedisResult;
use redis::aio::MultiplexedConnection;

/// It takes everything over, also what others are at.
pub async fn work(
    redis: &mut MultiplexedConnection,
    worker: &str,
    send: impl AsyncFn(String),
) -> RedisResult<()> {
    let (_, mut messages, _): (String, Vec<(String, (String, String))>, Vec<String>) =
        redis::cmd("XAUTOCLAIM").arg(&["mail", "senders", worker, "0", "0"]).query_async(redis).await?;
    loop {
        for (id, (_, to)) in messages {
            send(to).await;
            redis::cmd("XACK").arg(&["mail", "senders", &id]).exec_async(redis).await?;
        }
        let read: Option<Vec<(String, Vec<(String, (String, String))>)>> = redis::cmd("XREADGROUP")
            .arg(&["GROUP", "senders", worker, "COUNT", "10", "STREAMS", "mail", ">"])
            .query_async(redis)
            .await?;
        messages = read.into_iter().flatten().flat_map(|(_, messages)| messages).collect();
        if messages.is_empty() {
            return Ok(());
        }
    }
}
