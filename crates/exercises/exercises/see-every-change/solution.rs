use futures_util::StreamExt;
use redis::{AsyncCommands, Client, RedisResult};

/// Shows the stock and each change of it, until it is 0.
pub async fn follow(client: &Client, mut show: impl FnMut(u64)) -> RedisResult<()> {
    let mut changes = client.get_async_pubsub().await?;
    changes.subscribe("stock").await?;
    let mut redis = client.get_multiplexed_async_connection().await?;
    let mut stock: u64 = redis.get("stock").await?;
    show(stock);
    let mut changes = changes.on_message();
    while stock > 0 {
        let Some(change) = changes.next().await else { break };
        let new: u64 = change.get_payload()?;
        // What was published before the GET is older than its reply.
        if new < stock {
            stock = new;
            show(stock);
        }
    }
    Ok(())
}
