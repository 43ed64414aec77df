//! Customers who buy in a flash sale at the same moment, each in two browser tabs.

use lab_connection::Connection;
use lab_runner::concurrent::count_at_once;
use lab_runner::{into_redis_error, labeled};
use patterns::flash_sale::{FlashSale, FlashSaleError, Plan, Purchase};
use redis::{AsyncTypedCommands, RedisResult};
use tokio::sync::Barrier;

use super::{PRODUCT, SALE};

/// Units of the sale; each customer may have one.
pub const UNITS: u32 = 10;
/// Customers, each with two tabs.
pub const CUSTOMERS: usize = 20;
/// In milliseconds: longer than anybody takes to read the lesson.
const WEEK: u64 = 7 * 86_400_000;

labeled! {
    /// How a tab buys.
    pub enum Buy {
        /// All tabs read before any of them writes: the worst case.
        ReadThenWrite => "HGET, then HINCRBY",
        /// [`FlashSale::buy`].
        Script => "script: buy",
    }
}

/// How the sale ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SaleResult {
    /// Tabs whose purchase succeeded.
    pub successes: usize,
    /// Units that somebody has.
    pub sold: usize,
    /// Customers with more than one unit.
    pub over_cap: usize,
}

impl SaleResult {
    /// Units sold that do not exist.
    pub fn oversold(self) -> usize {
        self.sold.saturating_sub(UNITS as usize)
    }
}

impl Buy {
    /// Opens the sale, and lets all tabs buy at the same moment.
    pub async fn run(self, mut redis: Connection, prefix: &str) -> RedisResult<SaleResult> {
        let sales = FlashSale::new(redis.clone(), prefix);
        let [sale, bought, _] = sales.keys(SALE).map_err(into_redis_error)?;
        open(&sales, UNITS, 0).await?;
        let barrier = Barrier::new(2 * CUSTOMERS);
        let successes = count_at_once(2 * CUSTOMERS, async |tab: usize| {
            let (customer, order) = (format!("user{}", tab / 2 + 1), format!("tab-{tab}"));
            match self {
                Self::ReadThenWrite => {
                    read_then_write(redis.clone(), [&sale, &bought], &customer, &barrier).await
                }
                Self::Script => buy(&sales, &customer, &order).await,
            }
        })
        .await?;

        // The fields of customers; those with a colon are receipts. A value is units, colon, orders.
        let bought = redis.hgetall(&bought).await?.into_iter().filter(|(field, _)| !field.contains(':'));
        let units = bought.map(|(_, value)| value.split(':').next().and_then(|units| units.parse().ok()));
        let units: Vec<usize> = units.map(Option::unwrap_or_default).collect();
        Ok(SaleResult {
            successes,
            sold: units.iter().sum(),
            over_cap: units.iter().filter(|units| **units > 1).count(),
        })
    }
}

/// Whether it bought a unit.
async fn read_then_write(
    mut redis: Connection,
    [sale, bought]: [&str; 2],
    customer: &str,
    barrier: &Barrier,
) -> RedisResult<bool> {
    let left = redis.hget(sale, "left").await?;
    let has = redis.hget(bought, customer).await?;
    barrier.wait().await; // All tabs have read.
    if left.is_none_or(|left| left == "0") || has.is_some() {
        return Ok(false);
    }
    redis.hincr(sale, "left", -1).await?;
    redis.hincr(bought, customer, 1).await?;
    Ok(true)
}

async fn buy(sales: &FlashSale<Connection>, customer: &str, order: &str) -> RedisResult<bool> {
    match sales.buy(SALE, customer, 1, order).await {
        Ok(purchase) => Ok(matches!(purchase, Purchase::Bought(_))),
        Err(FlashSaleError::SoldOut { .. } | FlashSaleError::OverCap { .. }) => Ok(false),
        Err(error) => Err(into_redis_error(error)),
    }
}

/// Opens the sale again, with one unit for each customer and `places` on the waitlist.
pub(super) async fn open(sales: &FlashSale<Connection>, units: u32, places: u32) -> RedisResult<()> {
    sales.close(SALE).await.map_err(into_redis_error)?;
    let now = sales.now().await.map_err(into_redis_error)?;
    let (name, product) = ("Black Friday".to_owned(), PRODUCT.to_owned());
    let plan = Plan { name, product, starts: now, ends: now + WEEK, units, cap: 1, places };
    sales.open(SALE, &plan).await.map_err(into_redis_error)
}
