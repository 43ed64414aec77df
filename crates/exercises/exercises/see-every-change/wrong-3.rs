// refused: asked for `stock`
use redis::{AsyncCommands, Client, RedisResult};

/// It asks again and again.
pub async fn follow(client: &Client, mut show: impl FnMut(u64)) -> RedisResult<()> {
    let mut redis = client.get_multiplexed_async_connection().await?;
    let mut last = u64::MAX;
    while last > 0 {
        let stock: u64 = redis.get("stock").await?;
        if stock < last {
            last = stock;
            show(stock);
        }
    }
    Ok(())
}
