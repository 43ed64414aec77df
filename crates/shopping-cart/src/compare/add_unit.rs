use std::collections::BTreeMap;

use lab_runner::{AnyConnection, Approach};
use redis::{AsyncCommands, RedisResult};

use super::read_cart::ReadCart;
use super::{CartShape, Carts, LINES, OPERATIONS, decode, encode, sku};

/// Adds one unit to a line, again and again. As JSON it takes two round trips, and is wrong when two clients do it at
/// once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AddUnit(pub CartShape);

impl Approach for AddUnit {
    type Input = Carts;
    type Output = BTreeMap<String, u32>;

    fn label(self) -> String {
        match self.0 {
            CartShape::Json => "JSON: GET, SET",
            CartShape::Hash => "Hash: HINCRBY",
            CartShape::SortedSet => "Sorted Set: ZINCRBY",
        }
        .into()
    }

    fn operations(self, _carts: &Carts) -> u64 {
        OPERATIONS
    }

    async fn reset<C: AnyConnection>(self, carts: &Carts, connection: &mut C) -> RedisResult<()> {
        carts.fill(LINES, connection).await
    }

    async fn run<C: AnyConnection>(self, carts: &Carts, connection: &mut C) -> RedisResult<Self::Output> {
        for operation in 0..OPERATIONS {
            let line = sku(usize::try_from(operation).unwrap_or(0) % LINES);
            match self.0 {
                CartShape::Json => {
                    let document: String = connection.get(carts.json()).await?;
                    let mut cart = decode(&document)?;
                    cart.iter_mut().filter(|entry| entry.sku == line).for_each(|entry| entry.quantity += 1);
                    let () = connection.set(carts.json(), encode(&cart)?).await?;
                }
                CartShape::Hash => connection.hincr(carts.hash(), line, 1).await?,
                CartShape::SortedSet => {
                    let _: f64 = connection.zincr(carts.sorted_set(), line, 1).await?;
                }
            }
        }
        ReadCart(self.0).once(carts, connection).await
    }
}
