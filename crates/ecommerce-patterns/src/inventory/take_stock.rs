//! Ways to take units out of a stock, for comparison.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use lab_runner::{AnyConnection, Approach};
use patterns::inventory::{Inventory, InventoryError};
use redis::{AsyncCommands, RedisResult};

use lab_runner::concurrent::concurrently;
use lab_runner::into_redis_error;

/// How many requests are sent at a time.
pub const MAX_IN_FLIGHT: usize = 50;
/// How long each unit is held.
const HOLD: Duration = Duration::from_mins(10);

/// How a unit is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TakeStock {
    /// INCRBY of a counter, which limits nobody: the baseline.
    Incr,
    /// GET, compare, DECRBY, which oversells.
    GetAndDecr,
    /// [`Inventory::reserve`].
    Reserve,
    /// [`Inventory::reserve`] and [`Inventory::confirm`].
    ReserveAndConfirm,
}

impl TakeStock {
    /// All of them, the baseline first.
    pub const ALL: [Self; 4] = [Self::Incr, Self::GetAndDecr, Self::Reserve, Self::ReserveAndConfirm];

    fn reserves(self) -> bool {
        matches!(self, Self::Reserve | Self::ReserveAndConfirm)
    }
}

/// A stock, and how many units are taken.
#[derive(Debug)]
pub struct Stock {
    units: u32,
    prefix: String,
    /// Counts the runs, so that each has its own IDs.
    runs: AtomicUsize,
}

impl Stock {
    /// This many units, all of which are taken.
    #[must_use]
    pub fn new(units: u32, prefix: &str) -> Self {
        Self { units, prefix: prefix.to_owned(), runs: AtomicUsize::new(0) }
    }
}

/// The product that is reserved, and the one that is only counted.
pub(super) const PRODUCT: &str = "BULK";
pub(super) const COUNTED: &str = "BULK_COUNT";

impl Approach for TakeStock {
    type Input = Stock;
    /// The units taken.
    type Output = usize;

    fn label(self) -> String {
        match self {
            Self::Incr => "INCRBY (the baseline)",
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
        if !self.reserves() {
            let count = inventory.key(COUNTED).map_err(into_redis_error)?;
            return connection.set(count.as_str(), stock.units).await;
        }
        let run = stock.runs.fetch_add(1, Ordering::Relaxed);
        match inventory.restock(PRODUCT, &format!("delivery-{run}"), stock.units).await {
            Err(InventoryError::UnknownProduct(_)) => {}
            restocked => return restocked.map(drop).map_err(into_redis_error),
        }
        let (set_up, ..) = tokio::join!(
            inventory.set_up(PRODUCT, stock.units.into(), None),
            // NOTHING has no stock: these calls only let the server learn the scripts before the time is taken.
            inventory.reserve("NOTHING", "nobody", 1, HOLD),
            inventory.confirm("NOTHING", "nobody"),
        );
        set_up.map(drop).map_err(into_redis_error)
    }

    async fn run<C: AnyConnection>(self, stock: &Stock, connection: &mut C) -> RedisResult<usize> {
        let inventory = Inventory::new(connection.clone(), &stock.prefix);
        let count = inventory.key(COUNTED).map_err(into_redis_error)?.as_str().to_owned();
        let (run, connection) = (stock.runs.load(Ordering::Relaxed), connection.clone());
        let take = move |unit| {
            self.take(inventory.clone(), connection.clone(), count.clone(), format!("buyer-{run}-{unit}"))
        };
        let taken = concurrently(MAX_IN_FLIGHT, stock.units as usize, take).await?;
        Ok(taken.into_iter().filter(|taken| *taken).count())
    }
}

impl TakeStock {
    async fn take<C: AnyConnection>(
        self,
        inventory: Inventory<C>,
        mut redis: C,
        count: String,
        id: String,
    ) -> RedisResult<bool> {
        match self {
            Self::Incr => redis.incr(&count, 1).await.map(|_: i64| true),
            Self::GetAndDecr => {
                let left: i64 = redis.get(&count).await?;
                if left < 1 {
                    return Ok(false);
                }
                redis.decr(&count, 1).await.map(|_: i64| true)
            }
            Self::Reserve | Self::ReserveAndConfirm => {
                inventory.reserve(PRODUCT, &id, 1, HOLD).await.map_err(into_redis_error)?;
                if self == Self::ReserveAndConfirm {
                    inventory.confirm(PRODUCT, &id).await.map_err(into_redis_error)?;
                }
                Ok(true)
            }
        }
    }
}
