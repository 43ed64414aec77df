//! Many buyers who want the last units at the same moment.

use std::time::Duration;

use lab_connection::{Connection, Target};
use lab_runner::concurrent::try_join_all;
use lab_runner::{BoxError, labeled};
use patterns::inventory::{Inventory, InventoryError};
use redis::{AsyncTypedCommands, RedisResult};
use tokio::sync::Barrier;

labeled! {
    /// How each buyer takes a unit.
    pub enum SellLast {
        /// SET it one lower.
        GetAndSet => "GET, compare, SET",
        /// In two commands, too.
        GetAndDecr => "GET, compare, DECRBY",
        /// [`Inventory::reserve`].
        Reserve => "reserve (one script)",
    }
}

/// How a race ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Race {
    /// Buyers who believe that they have a unit.
    pub promised: u32,
    /// The count afterward.
    pub count: i64,
}

impl SellLast {
    /// The product that the buyers want.
    pub(super) fn product(self) -> &'static str {
        match self {
            Self::GetAndSet => "LAST_BY_SET",
            Self::GetAndDecr => "LAST_BY_DECRBY",
            Self::Reserve => "LAST_BY_RESERVE",
        }
    }

    /// Lets these buyers want one of `units` units at the same moment.
    pub async fn race(self, target: &Target, buyers: &[Connection], units: u32) -> Result<Race, BoxError> {
        let mut redis = target.connection();
        let inventory = Inventory::new(redis.clone(), target.prefix());
        let keys = inventory.keys(self.product())?;
        let stock = &keys[0];
        if self == Self::Reserve {
            redis.unlink(&keys[..]).await?;
            inventory.set_up(self.product(), units.into(), None).await?;
        } else {
            redis.set(stock, units).await?;
        }
        let barrier = &Barrier::new(buyers.len());
        let buy = async |(buyer, mut redis): (usize, Connection)| -> Result<bool, BoxError> {
            Ok(match self {
                Self::GetAndSet => by_get_and_set(&mut redis, stock, barrier).await?,
                Self::GetAndDecr => by_get_and_decr(&mut redis, stock, barrier).await?,
                Self::Reserve => by_reserve(Inventory::new(redis, target.prefix()), buyer, barrier).await?,
            })
        };
        let bought = try_join_all(buyers.iter().cloned().enumerate().map(buy).collect::<Vec<_>>()).await?;
        let promised = bought.into_iter().map(u32::from).sum();
        Ok(Race { promised, count: redis.get_int(stock).await?.unwrap_or_default() as i64 })
    }
}

async fn by_get_and_set(redis: &mut Connection, stock: &str, barrier: &Barrier) -> RedisResult<bool> {
    let count = redis.get_int(stock).await?.unwrap_or(0);
    barrier.wait().await;
    if count >= 1 {
        redis.set(stock, count - 1).await?;
    }
    Ok(count >= 1)
}

async fn by_get_and_decr(redis: &mut Connection, stock: &str, barrier: &Barrier) -> RedisResult<bool> {
    let count = redis.get_int(stock).await?.unwrap_or(0);
    // All buyers have read when the barrier opens.
    barrier.wait().await;
    if count >= 1 {
        redis.decr(stock, 1).await?;
    }
    Ok(count >= 1)
}

async fn by_reserve(
    inventory: Inventory<Connection>,
    buyer: usize,
    barrier: &Barrier,
) -> Result<bool, BoxError> {
    barrier.wait().await;
    match inventory
        .reserve(SellLast::Reserve.product(), &format!("buyer-{buyer}"), 1, Duration::from_mins(10))
        .await
    {
        Ok(_) => Ok(true),
        Err(InventoryError::OutOfStock { .. }) => Ok(false),
        Err(error) => Err(error.into()),
    }
}
