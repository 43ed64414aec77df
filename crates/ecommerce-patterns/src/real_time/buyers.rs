//! Customers who buy in a flash sale at the same moment, each in two browser tabs.

use std::sync::Arc;

use lab_connection::Connection;
use lab_runner::concurrent::try_join_all;
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
        let barrier = Arc::new(Barrier::new(2 * CUSTOMERS));
        let tabs = (0..2 * CUSTOMERS).map(|number| {
            let tab = Tab {
                customer: format!("user{}", number / 2 + 1),
                order: format!("tab-{number}"),
                sale: sale.clone(),
                bought: bought.clone(),
                redis: redis.clone(),
            };
            let (sales, barrier) = (sales.clone(), Arc::clone(&barrier));
            async move {
                match self {
                    Self::ReadThenWrite => tab.read_then_write(&barrier).await,
                    Self::Script => tab.buy(&sales).await,
                }
            }
        });
        let answers = try_join_all(tabs).await?;

        // The fields of customers; those with a colon are receipts. A value is units, colon, orders.
        let bought = redis.hgetall(&bought).await?.into_iter().filter(|(field, _)| !field.contains(':'));
        let units = bought.map(|(_, value)| value.split(':').next().and_then(|units| units.parse().ok()));
        let units: Vec<usize> = units.map(Option::unwrap_or_default).collect();
        Ok(SaleResult {
            successes: answers.into_iter().filter(|bought| *bought).count(),
            sold: units.iter().sum(),
            over_cap: units.iter().filter(|units| **units > 1).count(),
        })
    }
}

/// One tab of a customer's browser.
struct Tab {
    customer: String,
    order: String,
    sale: String,
    bought: String,
    redis: Connection,
}

impl Tab {
    /// Whether it bought a unit.
    async fn read_then_write(mut self, barrier: &Barrier) -> RedisResult<bool> {
        let left = self.redis.hget(&self.sale, "left").await?;
        let has = self.redis.hget(&self.bought, &self.customer).await?;
        barrier.wait().await; // All tabs have read.
        if left.is_none_or(|left| left == "0") || has.is_some() {
            return Ok(false);
        }
        self.redis.hincr(&self.sale, "left", -1).await?;
        self.redis.hincr(&self.bought, &self.customer, 1).await?;
        Ok(true)
    }

    async fn buy(self, sales: &FlashSale<Connection>) -> RedisResult<bool> {
        match sales.buy(SALE, &self.customer, 1, &self.order).await {
            Ok(purchase) => Ok(matches!(purchase, Purchase::Bought(_))),
            Err(FlashSaleError::SoldOut { .. } | FlashSaleError::OverCap { .. }) => Ok(false),
            Err(error) => Err(into_redis_error(error)),
        }
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
