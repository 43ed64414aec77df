use std::collections::BTreeMap;

use lab_runner::{AnyConnection, Approach};
use redis::{AsyncCommands, RedisResult};

use super::{CartShape, Carts, LINES, OPERATIONS, decode};

/// Reads the whole cart, again and again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadCart(pub CartShape);

impl Approach for ReadCart {
    type Input = Carts;
    type Output = BTreeMap<String, u32>;

    fn label(self) -> String {
        match self.0 {
            CartShape::Json => "JSON: GET",
            CartShape::Hash => "Hash: HGETALL",
            CartShape::SortedSet => "Sorted Set: ZRANGE",
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
        let mut cart = BTreeMap::new();
        for _ in 0..OPERATIONS {
            cart = self.once(carts, connection).await?;
        }
        Ok(cart)
    }
}

impl ReadCart {
    /// Reads the cart once.
    pub(super) async fn once<C: AnyConnection>(
        self,
        carts: &Carts,
        connection: &mut C,
    ) -> RedisResult<BTreeMap<String, u32>> {
        match self.0 {
            CartShape::Json => {
                let document: String = connection.get(carts.json()).await?;
                Ok(decode(&document)?.into_iter().map(|line| (line.sku, line.quantity)).collect())
            }
            CartShape::Hash => connection.hgetall(carts.hash()).await,
            CartShape::SortedSet => {
                let members: Vec<(String, u32)> =
                    connection.zrange_withscores(carts.sorted_set(), 0, -1).await?;
                Ok(members.into_iter().collect())
            }
        }
    }
}
