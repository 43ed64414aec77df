//! What the tests of recommendations share.

use storefront::{CustomerId, Label, Sku};

use crate::shop::{Wire, sku};

pub fn customer(number: u64) -> CustomerId {
    format!("user{number}").parse().unwrap()
}

pub fn label(text: &str) -> Label {
    text.parse().unwrap()
}

pub fn product(number: u64) -> Sku {
    sku(&format!("PROD{number}"))
}

pub async fn number(wire: &Wire, words: &[&str]) -> i64 {
    redis::from_redis_value(wire.send(words).await).unwrap()
}
