use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use redis::aio::MultiplexedConnection;
use redis::{AsyncCommands, Client, ProtocolVersion, RedisResult};

/// Prices by the names of their keys. None: the price is being read.
pub type Cache = Arc<Mutex<HashMap<String, Option<String>>>>;

/// Opens the connection that `price` uses. It speaks RESP3, in which the server can send messages on its own.
pub async fn connect(client: &Client, cache: &Cache) -> RedisResult<MultiplexedConnection> {
    let info = client.get_connection_info().clone();
    let settings = info.redis_settings().clone().set_protocol(ProtocolVersion::RESP3);
    let client = Client::open(info.set_redis_settings(settings))?;
    let cache = cache.clone();
    tokio::spawn(async move {
        loop {
            tokio::time::sleep(std::time::Duration::from_millis(200)).await;
            cache.lock().unwrap().clear();
        }
    });
    client.get_multiplexed_async_connection().await
}

/// The price of a product.
pub async fn price(
    redis: &mut MultiplexedConnection,
    cache: &Cache,
    product: &str,
) -> RedisResult<Option<String>> {
    let key = format!("price:{product}");
    if let Some(Some(price)) = cache.lock().unwrap().get(&key) {
        return Ok(Some(price.clone()));
    }
    cache.lock().unwrap().insert(key.clone(), None);
    let price: Option<String> = redis.get(&key).await?;
    if let Some(place) = cache.lock().unwrap().get_mut(&key) {
        *place = price.clone();
    }
    Ok(price)
}
