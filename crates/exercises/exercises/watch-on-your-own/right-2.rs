use redis::aio::{MultiplexedConnection, transaction_async};
use redis::{AsyncCommands, Client, RedisResult};

/// The library's loop, on a connection of its own.
pub async fn buy(client: &Client, _: &MultiplexedConnection, customer: &str) -> RedisResult<bool> {
    let redis = client.get_multiplexed_async_connection().await?;
    transaction_async(redis, &["tickets"], |mut redis, mut sale| async move {
        let left: i64 = redis.get("tickets").await?;
        if left == 0 {
            return Ok(Some(false));
        }
        sale.set("tickets", left - 1).ignore().sadd("buyers", customer).ignore();
        let sold: Option<()> = sale.query_async(&mut redis).await?;
        Ok(sold.map(|()| true))
    })
    .await
}
