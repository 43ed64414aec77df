use redis::aio::MultiplexedConnection;
use redis::{AsyncCommands, Client, RedisResult};

/// Sells a ticket to this customer, if one is left. `shared` is the connection that all customers share.
pub async fn buy(client: &Client, shared: &MultiplexedConnection, customer: &str) -> RedisResult<bool> {
    let mut redis = shared.clone();
    loop {
        redis::cmd("WATCH").arg("tickets").exec_async(&mut redis).await?;
        let left: i64 = redis.get("tickets").await?;
        if left == 0 {
            redis::cmd("UNWATCH").exec_async(&mut redis).await?;
            return Ok(false);
        }
        let mut sale = redis::pipe();
        sale.atomic().set("tickets", left - 1).ignore().sadd("buyers", customer).ignore();
        let sold: Option<()> = sale.query_async(&mut redis).await?;
        if sold.is_some() {
            return Ok(true);
        }
    }
}
