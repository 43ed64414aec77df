//! Ways to take units out of a stock, for comparison.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use lab_runner::concurrent::concurrently;
use lab_runner::{AnyConnection, Approach, into_redis_error, labeled};
use patterns::inventory::Inventory;
use redis::{AsyncCommands, RedisResult};

/// How many requests are sent at a time.
pub const MAX_IN_FLIGHT: usize = 50;
/// Units in stock: more than all runs take.
const ENOUGH: u64 = 1_000_000_000;
/// How long each unit is held.
const HOLD: Duration = Duration::from_mins(10);

labeled! {
    /// How a unit is taken.
    pub enum TakeStock {
        /// Limits nobody.
        Incr => "INCRBY (the baseline)",
        /// Oversells.
        GetAndDecr => "GET, compare, DECRBY",
        /// [`Inventory::reserve`].
        Reserve => "reserve",
        /// [`Inventory::reserve`] and [`Inventory::confirm`].
        ReserveAndConfirm => "reserve, confirm",
    }
}

/// How many units each run takes.
#[derive(Debug)]
pub struct Stock {
    units: u32,
    prefix: String,
    /// Counts the runs, so that each has its own IDs.
    runs: AtomicUsize,
}

impl Stock {
    /// This many units in each run.
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

    const RESET_ONCE: bool = true;

    fn label(self) -> String {
        self.label().to_owned()
    }

    fn operations(self, stock: &Stock) -> u64 {
        u64::from(stock.units)
    }

    async fn reset<C: AnyConnection>(self, stock: &Stock, connection: &mut C) -> RedisResult<()> {
        let inventory = Inventory::new(connection.clone(), &stock.prefix);
        if matches!(self, Self::Incr | Self::GetAndDecr) {
            let count = inventory.key(COUNTED).map_err(into_redis_error)?;
            return connection.set(count.as_str(), ENOUGH).await;
        }
        let (set_up, ..) = tokio::join!(
            inventory.set_up(PRODUCT, ENOUGH, None),
            // NOTHING has no stock: these calls only let the server learn the scripts before the time is taken.
            inventory.reserve("NOTHING", "nobody", 1, HOLD),
            inventory.confirm("NOTHING", "nobody"),
        );
        set_up.map(drop).map_err(into_redis_error)
    }

    async fn run<C: AnyConnection>(self, stock: &Stock, connection: &mut C) -> RedisResult<usize> {
        let (redis, inventory) = (&*connection, Inventory::new(connection.clone(), &stock.prefix));
        let count = inventory.key(COUNTED).map_err(into_redis_error)?.as_str().to_owned();
        let run = stock.runs.fetch_add(1, Ordering::Relaxed);
        let take = async |unit: usize| -> RedisResult<bool> {
            let (mut redis, id) = (redis.clone(), format!("buyer-{run}-{unit}"));
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
        };
        let taken = concurrently(MAX_IN_FLIGHT, stock.units as usize, take).await?;
        Ok(taken.into_iter().filter(|taken| *taken).count())
    }
}
