//! Weekly metrics: the days of [`crate::analytics`], added up.
//!
//! Sums are easy, but visitors can't be summed: a visitor who came on three days would count three times. And if events arrive
//! while you read, the sum may be true at no moment. Here the metrics and visitors of each day are read in one step, the visitors
//! of a week are the union of its days, and the result says whether it is final.
//!
//! | key | type | holds |
//! |---|---|---|
//! | `weekly_metrics:2024-W01` | Hash | the sums of the days, `:closes` (0 if they are final), `:inexact` |
//! | `weekly_metrics:{weekly_metrics:2024-W01}:visitors` | HyperLogLog | the visitors of any of these days |
//! | `top_products:2024-W01` | Sorted Set | the 1,000 products with the most revenue, scored by cents |
//!
//! A week is any name you pick, and any days: a month works as well. Don't give it the name of a day: `top_products` has both.
//!
//! - **Promise**: if all days were closed, the numbers are final ([`Metrics::closed`]). Visitors are an estimate;
//!   [`Metrics::exact`] says whether a key was lost. The metrics and visitors of an open day are read at one moment during the
//!   call. Its products are read in batches, not at one moment. Every event that was acknowledged before the call counts once.
//!   The metrics and visitors of a week are replaced in one step, and its products in another.
//! - **Cost**: four round trips, and one more for each further 500 products of a day. No step reads or writes more than 1,000
//!   products.
//! - **Memory**: one Hash, 12 kB of visitors, and 1,000 products for each week, for 400 days after it was added up.
//! - **Faults**: you can roll up again at any time; the result reflects the days as they are then. So a lost week can be rebuilt
//!   as long as its days exist.
//!
//! ```
//! use patterns::analytics::Analytics;
//! use patterns::weekly_metrics::WeeklyMetrics;
//!
//! # tokio::runtime::Runtime::new()?.block_on(async {
//! # let server = lab_server::Server::start()?;
//! # let url = server.url();
//! let connection = redis::Client::open(url)?.get_multiplexed_async_connection().await?;
//! let analytics = Analytics::new(connection.clone(), "");
//! for (event, day) in [("event-1", "2024-01-01"), ("event-2", "2024-01-02")] {
//!     analytics.page_view(event, day, "user123").await?;
//!     analytics.close(day).await?;
//! }
//! let weekly = WeeklyMetrics::new(connection, "");
//! let week = weekly.roll_up("2024-W01", &["2024-01-01", "2024-01-02"]).await?;
//! assert_eq!((week.get("page_views"), week.visitors, week.closed), (2, 1, true));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::collections::BTreeMap;

use redis::Cmd;
use redis::aio::ConnectionLike;

use crate::analytics::{Analytics, MAX_TOP, Metrics, to_cents, to_metrics};
use crate::key::Key;
use crate::money::Cents;
use crate::script::{Reply, Script, StoreError, by_operation, join_all, send, send_all};

/// The most days of one week.
pub const MAX_DAYS: usize = 366;
/// How many products one step reads.
const BATCH: usize = 500;
/// The largest sum, 2^53 - 1: see [`Metrics::values`].
const MAX_EXACT: i64 = (1 << 53) - 1;

const FILE: &str = include_str!("weekly_metrics.lua");

/// Replaces the metrics and the visitors of a week.
pub static METRICS: Script = Script::new("weekly_metrics.lua: metrics", FILE, &["metrics"]);
/// Reads a week in one step.
pub static WEEK: Script = Script::new("weekly_metrics.lua: week", FILE, &["week"]);
/// Replaces the products of a week.
pub static PRODUCTS: Script = Script::new("weekly_metrics.lua: products", FILE, &["products"]);

/// The scripts of this pattern, by name.
pub fn scripts() -> Vec<(&'static str, &'static Script)> {
    by_operation(&[&METRICS, &WEEK, &PRODUCTS])
}

/// The weeks under a prefix.
#[derive(Clone, Debug)]
pub struct WeeklyMetrics<C> {
    connection: C,
    prefix: String,
    days: Analytics<C>,
}

impl<C: ConnectionLike + Clone> WeeklyMetrics<C> {
    /// Weeks that are kept for 400 days after they were added up.
    pub fn new(connection: C, prefix: &str) -> Self {
        let days = Analytics::new(connection.clone(), prefix);
        Self { connection, prefix: prefix.to_owned(), days }
    }

    /// Adds up the days of a week, at most [`MAX_DAYS`], and replaces what was there. Call it again after an error.
    pub async fn roll_up(&self, week: &str, days: &[&str]) -> Result<Metrics, RollUpError> {
        let (key, products_key) = (self.key(week)?, self.days.products_key(week)?);
        if days.len() > MAX_DAYS {
            return Err(RollUpError::TooManyDays { days: days.len() });
        }
        let mut sum = Metrics { closed: true, exact: true, ..Metrics::default() };
        let mut visitors = Vec::new();
        for day in join_all(days.iter().map(|day| self.days.read(day, true))).await {
            let (day, copy) = day?;
            sum.closed &= day.closed;
            sum.exact &= day.exact;
            for (metric, number) in day.values {
                let total = sum.values.entry(metric.clone()).or_default();
                *total = total
                    .checked_add(number)
                    .filter(|total| total.abs() <= MAX_EXACT)
                    .ok_or(RollUpError::Overflow { metric })?;
            }
            visitors.extend(copy);
        }
        let top = self.sum_products(days).await?;
        sum.visitors = self.replace_metrics(&key, &sum, &visitors).await?;
        let mut call = PRODUCTS.call(&[products_key.as_str()]).arg(self.days.keep_ms());
        for (sku, cents) in &top {
            call = call.arg(cents.get()).arg(sku);
        }
        call.run::<Reply>(&self.connection).await?.must_be("REPLACED")?;
        Ok(sum)
    }

    /// The numbers of a week when it was last added up; all 0 if it never was. One round trip.
    pub async fn of(&self, week: &str) -> Result<Metrics, StoreError> {
        let key = self.key(week)?;
        let call = WEEK.call(&[key.as_str(), &key.companion("visitors")]);
        let mut reply: Reply = call.run(&self.connection).await?;
        reply.must_be("WEEK")?;
        let metrics = to_metrics(&key, reply.next()?, 0)?;
        Ok(Metrics { visitors: reply.next()?, ..metrics })
    }

    /// The products with the most revenue in a week, at most [`MAX_TOP`], the highest first. Of equals, those with the greatest
    /// SKU. One round trip.
    pub async fn top(&self, week: &str, count: usize) -> Result<Vec<(String, Cents)>, StoreError> {
        self.days.top(week, count).await
    }

    /// The products with the most revenue over all days.
    async fn sum_products(&self, days: &[&str]) -> Result<Vec<(String, Cents)>, RollUpError> {
        let mut sums = BTreeMap::<String, Cents>::new();
        for products in join_all(days.iter().map(|day| self.products_of(day))).await {
            for (sku, cents) in products? {
                let sum = sums.entry(sku.clone()).or_default();
                *sum = sum
                    .checked_add(cents)
                    .filter(|sum| sum.get() <= MAX_EXACT)
                    .ok_or(RollUpError::Overflow { metric: sku })?;
            }
        }
        let mut top: Vec<(String, Cents)> = sums.into_iter().collect();
        // As ZREVRANGE sorts.
        top.sort_by(|a, b| (b.1, &b.0).cmp(&(a.1, &a.0)));
        top.truncate(MAX_TOP);
        Ok(top)
    }

    /// All products of a day, in batches. Products never leave a day. So if there are fewer than before, the key has moved to
    /// another node, where the cursor is useless, and it is read again.
    async fn products_of(&self, day: &str) -> Result<BTreeMap<String, Cents>, StoreError> {
        let key = self.days.products_key(day)?;
        loop {
            let mut first = redis::pipe();
            first.zcard(key.as_str()).add_command(scan(&key, 0));
            let (size, mut page): (usize, Page) = send_all(&self.connection, &first).await?;
            let mut products = BTreeMap::new();
            loop {
                for (sku, score) in page.1 {
                    products.insert(sku, to_cents(&key, score)?);
                }
                if page.0 == 0 {
                    break;
                }
                page = send(&self.connection, &scan(&key, page.0)).await?;
            }
            if products.len() >= size {
                return Ok(products);
            }
        }
    }

    /// Returns how many visitors the union has.
    async fn replace_metrics(
        &self,
        key: &Key,
        sum: &Metrics,
        visitors: &[Vec<u8>],
    ) -> Result<u64, StoreError> {
        let keys = [key.as_str(), &key.companion("visitors"), &key.companion("day")];
        let mut call = METRICS.call(&keys).arg(self.days.keep_ms()).arg(sum.values.len() + 2);
        // `:closes` is 0 if all days are final.
        call = call.arg(":closes").arg(u8::from(!sum.closed)).arg(":inexact").arg(u8::from(!sum.exact));
        for (metric, number) in &sum.values {
            let field = if metric.starts_with(':') { format!(":{metric}") } else { metric.clone() };
            call = call.arg(field).arg(*number);
        }
        for copy in visitors {
            call = call.arg(copy);
        }
        let mut reply: Reply = call.run(&self.connection).await?;
        reply.must_be("REPLACED")?;
        reply.next()
    }

    /// The key of a week's metrics.
    pub fn key(&self, week: &str) -> Result<Key, StoreError> {
        Ok(Key::new(&self.prefix, "weekly_metrics", &[week])?)
    }

    /// The key of a week's products by revenue.
    pub fn products_key(&self, week: &str) -> Result<Key, StoreError> {
        self.days.products_key(week)
    }
}

/// A cursor, and SKUs with their scores.
type Page = (u64, Vec<(String, f64)>);

fn scan(key: &Key, cursor: u64) -> Cmd {
    redis::cmd("ZSCAN").arg(key.as_str()).arg(cursor).arg("COUNT").arg(BATCH).take()
}

/// Why a week was not added up. Its metrics may be new and its products old; roll it up again.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RollUpError {
    /// More than [`MAX_DAYS`].
    #[error("{days} days are too many: the maximum is {MAX_DAYS}")]
    TooManyDays {
        /// How many there were.
        days: usize,
    },
    /// A sum would reach 2^53, where numbers are no longer exact.
    #[error("{metric} adds up to more than can be counted exactly")]
    Overflow {
        /// The metric or the product.
        metric: String,
    },
    /// Redis, or the data in it.
    #[error(transparent)]
    Store(#[from] StoreError),
}
