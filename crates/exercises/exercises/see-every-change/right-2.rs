use futures_util::StreamExt;
use redis::{AsyncCommands, Client, RedisResult};

/// It looks, listens, and looks again.
pub async fn follow(client: &Client, mut show: impl FnMut(u64)) -> RedisResult<()> {
    let mut redis = client.get_multiplexed_async_connection().await?;
    let mut shown = u64::MAX;
    let mut once = |stock: u64| {
        if stock < shown {
            shown = stock;
            show(stock);
        }
        shown > 0
    };
    once(redis.get("stock").await?);
    let (mut sink, mut changes) = client.get_async_pubsub().await?.split();
    sink.subscribe("stock").await?;
    let mut more = once(redis.get("stock").await?);
    while more {
        let Some(change) = changes.next().await else { break };
        more = once(change.get_payload()?);
    }
    Ok(())
}
