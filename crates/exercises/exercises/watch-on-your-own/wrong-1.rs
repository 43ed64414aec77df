// refused: nobody has bought
use redis::aio::MultiplexedConnection;
use redis::{AsyncCommands, Client, RedisResult};

/// Whoever comes second gives up.
pub async fn buy(client: &Client, _: &MultiplexedConnection, customer: &str) -> RedisResult<bool> {
    let mut redis = client.get_multiplexed_async_connection().await?;
    redis::cmd("WATCH").arg("tickets").exec_async(&mut redis).await?;
    let left: i64 = redis.get("tickets").await?;
    if left == 0 {
        return Ok(false);
    }
    let mut sale = redis::pipe();
    sale.atomic().set("tickets", left - 1).ignore().sadd("buyers", customer).ignore();
    let sold: Option<()> = sale.query_async(&mut redis).await?;
    Ok(sold.is_some())
}
