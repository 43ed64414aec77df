//! Ways to take units out of a stock, for comparison.

use std::time::Duration;

use lab_runner::{AnyConnection, Approach};
use patterns::inventory::Inventory;
use redis::{AsyncCommands, RedisResult};

use crate::concurrent::concurrently;
use crate::failure::into_redis_error;

/// How many requests are sent at a time.
pub const MAX_IN_FLIGHT: usize = 50;
/// How long each unit is held.
const HOLD: Duration = Duration::from_mins(10);

/// How a unit is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TakeStock {
    /// INCRBY of a counter, which limits nobody: the baseline.
    Incr,
    /// DECRBY, which goes below zero.
    Decr,
    /// GET, compare, DECRBY, which oversells.
    GetAndDecr,
    /// [`Inventory::reserve`].
    Reserve,
    /// [`Inventory::reserve`] and [`Inventory::confirm`].
    ReserveAndConfirm,
}

impl TakeStock {
    /// All of them, the baseline first.
    pub const ALL: [Self; 5] =
        [Self::Incr, Self::Decr, Self::GetAndDecr, Self::Reserve, Self::ReserveAndConfirm];

    fn reserves(self) -> bool {
        matches!(self, Self::Reserve | Self::ReserveAndConfirm)
    }
}

/// A stock, and how many units are taken.
#[derive(Clone, Debug)]
pub struct Stock {
    units: u32,
    prefix: String,
}

impl Stock {
    /// This many units, all of which are taken.
    #[must_use]
    pub fn new(units: u32, prefix: &str) -> Self {
        Self { units, prefix: prefix.to_owned() }
    }
}

/// The product that is taken.
pub(super) const PRODUCT: &str = "BULK";

impl Approach for TakeStock {
    type Input = Stock;
    /// The units taken.
    type Output = usize;

    fn label(self) -> String {
        match self {
            Self::Incr => "INCRBY (the baseline)",
            Self::Decr => "DECRBY, unchecked",
            Self::GetAndDecr => "GET, compare, DECRBY",
            Self::Reserve => "reserve",
            Self::ReserveAndConfirm => "reserve, confirm",
        }
        .to_owned()
    }

    fn operations(self, stock: &Stock) -> u64 {
        u64::from(stock.units)
    }

    async fn reset<C: AnyConnection>(self, stock: &Stock, connection: &mut C) -> RedisResult<()> {
        let inventory = Inventory::new(connection.clone(), &stock.prefix);
        let keys = inventory.keys(PRODUCT).map_err(into_redis_error)?;
        let () = connection.unlink(&keys[..]).await?;
        if !self.reserves() {
            return connection.set(&keys[0], stock.units).await;
        }
        // There is no stock of NOTHING. These calls only let the server learn the scripts before the time is taken.
        let (set_up, ..) = tokio::join!(
            inventory.set_up(PRODUCT, stock.units.into(), None),
            inventory.reserve("NOTHING", "nobody", 1, HOLD),
            inventory.confirm("NOTHING", "nobody"),
        );
        set_up.map(drop).map_err(into_redis_error)
    }

    async fn run<C: AnyConnection>(self, stock: &Stock, connection: &mut C) -> RedisResult<usize> {
        let inventory = Inventory::new(connection.clone(), &stock.prefix);
        let key = inventory.key(PRODUCT).map_err(into_redis_error)?.as_str().to_owned();
        let connection = connection.clone();
        let take = move |unit| self.take(inventory.clone(), connection.clone(), key.clone(), unit);
        let taken = concurrently(MAX_IN_FLIGHT, stock.units as usize, take).await?;
        Ok(taken.into_iter().filter(|taken| *taken).count())
    }
}

impl TakeStock {
    async fn take<C: AnyConnection>(
        self,
        inventory: Inventory<C>,
        mut redis: C,
        key: String,
        unit: usize,
    ) -> RedisResult<bool> {
        match self {
            Self::Incr => redis.incr(&key, 1).await.map(|_: i64| true),
            Self::Decr => redis.decr(&key, 1).await.map(|_: i64| true),
            Self::GetAndDecr => {
                let left: i64 = redis.get(&key).await?;
                if left < 1 {
                    return Ok(false);
                }
                redis.decr(&key, 1).await.map(|_: i64| true)
            }
            Self::Reserve | Self::ReserveAndConfirm => {
                let id = format!("buyer-{unit}");
                inventory.reserve(PRODUCT, &id, 1, HOLD).await.map_err(into_redis_error)?;
                if self == Self::ReserveAndConfirm {
                    inventory.confirm(PRODUCT, &id).await.map_err(into_redis_error)?;
                }
                Ok(true)
            }
        }
    }
}
