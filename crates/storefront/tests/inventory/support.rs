//! What the tests of one product's stock share.

use std::time::Duration;

use redis::FromRedisValue;
use storefront::inventory::Level;
use storefront::{Inventory, Keys, ReservationId, Sku};

use crate::shop::{Wire, sku};

pub const LONG: Duration = Duration::from_mins(10);
pub const SHORT: Duration = Duration::from_millis(30);

pub fn id(text: &str) -> ReservationId {
    text.parse().unwrap()
}

pub fn level(free: u64, held: u64, sold: u64) -> Level {
    Level { free, held, sold }
}

pub async fn stock(wire: &Wire, keys: &Keys, units: u32) -> (Inventory<Wire>, Sku) {
    let inventory = Inventory::new(wire.clone(), keys.clone());
    let product = sku("PROD123");
    inventory.set_up(&product, units, None).await.unwrap();
    (inventory, product)
}

/// What somebody reads who knows nothing of holds.
pub async fn plain_count(wire: &Wire, keys: &Keys, product: &Sku) -> u64 {
    u64::from_redis_value(wire.send(&["GET", &keys.inventory(product).free]).await).unwrap()
}
