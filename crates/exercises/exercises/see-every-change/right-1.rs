use futures_util::StreamExt;
use redis::{AsyncCommands, Client, RedisResult};

/// A message is only a sign to look again.
pub async fn follow(client: &Client, mut show: impl FnMut(u64)) -> RedisResult<()> {
    let mut redis = client.get_multiplexed_async_connection().await?;
    let mut changes = client.get_async_pubsub().await?;
    changes.subscribe("stock").await?;
    let mut changes = changes.on_message();
    loop {
        let stock: u64 = redis.get("stock").await?;
        show(stock);
        if stock == 0 || changes.next().await.is_none() {
            return Ok(());
        }
    }
}
