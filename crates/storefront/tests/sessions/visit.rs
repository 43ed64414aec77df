//! What the tests of sessions share.

use redis::Value;
use storefront::session::FieldName;
use storefront::{Cart, Catalogue, Keys, NewUser, Product, Representation, Sku, UserId, Users};

use crate::shop::Wire;

pub fn field(name: &str) -> FieldName {
    name.parse().unwrap()
}

pub fn user(number: u64) -> UserId {
    UserId::new(number).unwrap()
}

/// A user, a product, and a cart to put it in.
pub async fn cart_of(wire: &Wire, keys: &Keys, numbers: &[u64]) -> (Cart<Wire>, Sku) {
    for number in numbers {
        let new = NewUser { first_name: "Parker".parse().unwrap(), last_name: "Perry".parse().unwrap() };
        Users::new(wire.clone(), keys.clone()).create_with_id(user(*number), new).await.unwrap();
    }
    let mug =
        Product { sku: "mug".parse().unwrap(), name: "Mug".parse().unwrap(), price: "1".parse().unwrap() };
    Catalogue::new(wire.clone(), keys.clone()).put(&mug).await.unwrap();
    (Cart::new(wire.clone(), keys.clone(), Representation::Hash), mug.sku)
}

pub async fn units_of(cart: &Cart<Wire>, number: u64) -> u64 {
    cart.contents(&user(number).into()).await.unwrap().units
}

pub async fn pttl(wire: &Wire, key: &str) -> i64 {
    match wire.send(&["PTTL", key]).await {
        Value::Int(ttl) => ttl,
        other => panic!("{other:?}"),
    }
}

pub async fn indexed(wire: &Wire, keys: &Keys, number: u64) -> i64 {
    match wire.send(&["ZCARD", &keys.user_sessions(user(number))]).await {
        Value::Int(count) => count,
        other => panic!("{other:?}"),
    }
}
