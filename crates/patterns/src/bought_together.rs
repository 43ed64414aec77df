//! Bought together: customers who bought this also bought that.
//!
//! The naive way recommends the product that shared the most orders. That is nearly always the bestseller, which shares orders
//! with everything. Here the count is divided by the number of orders of each of the two: n(a,b) / √(n(a) · n(b)), the cosine
//! of the two columns of orders, 0 to 1.
//!
//! | key | type | holds |
//! |---|---|---|
//! | `also_bought:PROD123` | Sorted Set | SKU, scored by the orders it shared with this one; the product itself, by all its
//! orders |
//! | `also_bought:{also_bought:PROD123}:orders` | Sorted Set | the last 1,000 orders counted, scored by a number that counts up |
//!
//! - **Promise**: an order counts once for each of its products, however often you send it, until 1,000 other orders of that
//!   product were counted. A pair that shared fewer orders than the minimum (2) is not recommended.
//! - **Cost**: counting takes one call for each product, all in flight at once; O(products of the order), at most 20. Reading
//!   takes two round trips, with one call for each product and then for each neighbor in flight at once.
//! - **Memory**: at most 200 neighbors and 1,000 orders for each product, gone a year after its last order.
//! - **Faults**: if you crash between two products, send the order again: only what is missing is counted. If a product's
//!   Sorted Set is evicted, its neighbors are forgotten, and new orders fill it again. If its orders are evicted, an order that
//!   is sent again counts again. A failover forgets the last orders; send those again whose reply you did not get. It stores no
//!   times.
//!
//! ```
//! use patterns::bought_together::BoughtTogether;
//!
//! # tokio::runtime::Runtime::new()?.block_on(async {
//! # let server = lab_server::Server::start()?;
//! # let url = server.url();
//! let connection = redis::Client::open(url)?.get_multiplexed_async_connection().await?;
//! let together = BoughtTogether::new(connection, "");
//! together.count("order-1", &["TENT", "STOVE"]).await?;
//! together.count("order-2", &["TENT", "STOVE", "KETTLE"]).await?;
//! assert_eq!(together.count("order-2", &["TENT", "STOVE", "KETTLE"]).await?, 0);
//! let related = together.with("TENT", 10).await?;
//! assert_eq!((related.len(), related[0].sku.as_str(), related[0].score), (1, "STOVE", 1.0));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use redis::aio::ConnectionLike;

use crate::key::{Key, check_id};
use crate::script::{Reply, Script, StoreError, by_operation, join_all, milliseconds, send};

/// The most products of an order that are paired: 20 make 380 pairs. A customer who buys more at once has a reason that says
/// little about what goes together.
pub const MAX_PAIRED: usize = 20;
/// The most products that [`BoughtTogether::with_all`] starts from.
pub const MAX_SEEDS: usize = 20;
/// How many neighbors of each product are kept (up to twice as many in between), and how many are looked at.
const MAX_NEIGHBORS: usize = 100;
const NEIGHBORS_READ: usize = 30;
/// How many orders of each product are remembered.
const MAX_ORDERS: usize = 1_000;
const TTL: Duration = Duration::from_hours(365 * 24);

const FILE: &str = include_str!("bought_together.lua");

/// Counts an order for one of its products, unless it was counted for that product before.
pub static COUNT: Script = Script::new("bought_together.lua", FILE, &[]);

/// The scripts of this pattern, by name.
pub fn scripts() -> Vec<(&'static str, &'static Script)> {
    by_operation(&[&COUNT])
}

/// The products under a prefix, with what is bought together with them.
#[derive(Clone, Debug)]
pub struct BoughtTogether<C> {
    connection: C,
    prefix: String,
    min_support: u32,
}

/// A product that goes with another.
#[derive(Clone, Debug, PartialEq)]
pub struct Related {
    /// The product.
    pub sku: String,
    /// How well it fits: the cosine, 0 to 1, or the sum of several.
    pub score: f64,
}

impl<C: ConnectionLike + Clone> BoughtTogether<C> {
    /// Pairs count from two shared orders on.
    pub fn new(connection: C, prefix: &str) -> Self {
        Self { connection, prefix: prefix.to_owned(), min_support: 2 }
    }

    /// How many orders a pair must have shared to be recommended, at least 1.
    #[must_use]
    pub fn with_min_support(self, min_support: u32) -> Self {
        Self { min_support: min_support.max(1), ..self }
    }

    /// Counts an order, for at most the first [`MAX_PAIRED`] of its products, and returns for how many of them it was new. One
    /// call for each product, all in flight at once. After an error, send it again.
    pub async fn count(&self, order: &str, products: &[&str]) -> Result<usize, StoreError> {
        check_id(order)?;
        let mut paired: Vec<&str> = Vec::new();
        for sku in products {
            check_id(sku)?;
            if paired.len() < MAX_PAIRED && !paired.contains(sku) {
                paired.push(sku);
            }
        }
        let counted = join_all(paired.iter().map(|sku| self.count_for(sku, order, &paired))).await;
        let mut new = 0;
        for counted in counted {
            new += usize::from(counted?);
        }
        Ok(new)
    }

    async fn count_for(&self, sku: &str, order: &str, paired: &[&str]) -> Result<bool, StoreError> {
        let key = self.key(sku)?;
        let call = COUNT.call(&[key.as_str(), &key.companion("orders")]);
        let call = call.arg(order).arg(MAX_NEIGHBORS + 1).arg(MAX_ORDERS).arg(milliseconds(TTL)).arg(paired);
        call.run::<Reply>(&self.connection).await?.either("COUNTED", "DUPLICATE")
    }

    /// What goes best with a product; equals by SKU. Two round trips, the second with at most 30 calls in flight.
    pub async fn with(&self, sku: &str, count: usize) -> Result<Vec<Related>, StoreError> {
        self.with_all(&[sku], count).await
    }

    /// What goes best with these products together, without themselves: the sum over the first [`MAX_SEEDS`]. Two round trips
    /// of several calls in flight at once: one for each product, then one for each neighbor.
    pub async fn with_all(&self, products: &[&str], count: usize) -> Result<Vec<Related>, StoreError> {
        let seeds: BTreeSet<&str> = products.iter().take(MAX_SEEDS).copied().collect();
        if seeds.is_empty() || count == 0 {
            return Ok(Vec::new());
        }
        let mut support = BTreeMap::<String, f64>::new();
        let mut pairs = Vec::new();
        for (seed, stored) in seeds.iter().zip(join_all(seeds.iter().map(|sku| self.neighbors(sku))).await) {
            for (other, shared) in stored? {
                if other == *seed {
                    support.insert(other, shared);
                } else if shared >= f64::from(self.min_support) {
                    pairs.push((*seed, other, shared));
                }
            }
        }
        let others: BTreeSet<&str> = pairs.iter().map(|(_, other, _)| other.as_str()).collect();
        let missing: Vec<&str> = others.into_iter().filter(|sku| !support.contains_key(*sku)).collect();
        for (sku, orders) in missing.iter().zip(join_all(missing.iter().map(|sku| self.orders_of(sku))).await)
        {
            support.insert((*sku).to_owned(), orders?);
        }
        let mut scores = BTreeMap::<&str, f64>::new();
        for (seed, other, shared) in &pairs {
            if !products.contains(&other.as_str()) {
                // A product whose Sorted Set was lost has fewer orders than it shared: it counts for no more than those.
                let [one, two] = [*seed, other].map(|sku| support.get(sku).copied().unwrap_or(1.0).max(1.0));
                *scores.entry(other).or_default() += shared.min(one).min(two) / (one * two).sqrt();
            }
        }
        let mut related: Vec<Related> =
            scores.into_iter().map(|(sku, score)| Related { sku: sku.to_owned(), score }).collect();
        related.sort_by(|a, b| b.score.total_cmp(&a.score).then_with(|| a.sku.cmp(&b.sku)));
        related.truncate(count);
        Ok(related)
    }

    /// The products that shared the most orders with this one, and itself.
    async fn neighbors(&self, sku: &str) -> Result<Vec<(String, f64)>, StoreError> {
        let key = self.key(sku)?;
        let mut range = redis::cmd("ZREVRANGE");
        range.arg(key.as_str()).arg(0).arg(NEIGHBORS_READ).arg("WITHSCORES");
        send(&self.connection, &range).await
    }

    /// In how many orders a product was; 0 if that is not known.
    async fn orders_of(&self, sku: &str) -> Result<f64, StoreError> {
        let key = self.key(sku)?;
        let score: Option<f64> =
            send(&self.connection, redis::cmd("ZSCORE").arg(key.as_str()).arg(sku)).await?;
        Ok(score.unwrap_or_default())
    }

    /// The key of what was bought together with a product.
    pub fn key(&self, sku: &str) -> Result<Key, StoreError> {
        Ok(Key::new(&self.prefix, "also_bought", &[sku])?)
    }
}
