//! Popular products: what customers view now, with views that fade over time.
//!
//! The naive way counts forever, so last year's bestseller stays on top. Or it goes through all products every night and lowers
//! their counts. Forward decay (Cormode and others, 2009) writes only one score for each view: old views don't shrink, new ones
//! weigh more. At any moment, all scores have the same factor, so the stored ranking is right, and `ZREVRANGE popular_products
//! 0 9` shows it. The scores are logarithms, so they never grow too large.
//!
//! | key | type | holds |
//! |---|---|---|
//! | `popular_products` | Sorted Set | SKU, scored by log2 of its views plus the time in half-lives |
//! | `popular_products:{popular_products}:clock` | Hash | when it was updated last, and how far the clock was set back |
//! | `popular_products:Books` and its clock | the same | the ranking of one category |
//!
//! - **Promise**: a view counts 1 now, 1/2 after a half-life, and 1/4 after two. Products are ranked by the sum of their views.
//! - **Cost**: one round trip; O(log products). With a category, two calls in flight at once.
//! - **Memory**: at most the configured number of products and a tenth, in each ranking; gone 64 half-lives after the last view.
//! - **Faults**: a view counts each time it is sent, because views have no IDs. If a ranking is evicted or a failover loses the
//!   last writes, those views are forgotten, and the next view begins again. If the clock is set back, views go on to count
//!   from the latest moment seen, within a minute. If the clock companion is lost, that is forgotten: nothing else changes.
//!
//! All clients must use the same half-life.
//!
//! ```
//! use patterns::popular_products::PopularProducts;
//!
//! # tokio::runtime::Runtime::new()?.block_on(async {
//! # let server = lab_server::Server::start()?;
//! # let url = server.url();
//! let connection = redis::Client::open(url)?.get_multiplexed_async_connection().await?;
//! let popular = PopularProducts::new(connection, "");
//! popular.viewed("sku123", Some("Books")).await?;
//! popular.viewed("sku456", Some("Toys")).await?;
//! popular.viewed("sku456", Some("Toys")).await?;
//! assert_eq!(popular.top(10).await?[0].sku, "sku456");
//! assert_eq!(popular.top_in("Books", 10).await?[0].sku, "sku123");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::time::Duration;

use redis::aio::ConnectionLike;

use crate::key::{Key, check_id};
use crate::script::{Reply, Script, StoreError, by_operation, join_all, milliseconds};

/// The most products that [`PopularProducts::top`] returns.
pub const MAX_TOP: usize = 1_000;

const FILE: &str = include_str!("popular_products.lua");

/// Counts one view of a product.
pub static VIEW: Script = Script::new("popular_products.lua: view", FILE, &["view"]);
/// Lists the most popular products.
pub static TOP: Script = Script::new("popular_products.lua: top", FILE, &["top"]);

/// The scripts of this pattern, by name.
pub fn scripts() -> Vec<(&'static str, &'static Script)> {
    by_operation(&[&VIEW, &TOP])
}

/// The popular products under a prefix, of the whole shop and of each category.
#[derive(Clone, Debug)]
pub struct PopularProducts<C> {
    connection: C,
    prefix: String,
    half_life: Duration,
    max_products: usize,
}

/// A product and its views as they count now.
#[derive(Clone, Debug, PartialEq)]
pub struct Popular {
    /// The product.
    pub sku: String,
    /// Its views, each halved for every half-life since.
    pub views: f64,
}

impl<C: ConnectionLike + Clone> PopularProducts<C> {
    /// Rankings of 10,000 products, with a half-life of a week.
    pub fn new(connection: C, prefix: &str) -> Self {
        let half_life = Duration::from_hours(7 * 24);
        Self { connection, prefix: prefix.to_owned(), half_life, max_products: 10_000 }
    }

    /// The time after which a view counts half: a second to a year. Other values become the nearest of these.
    #[must_use]
    pub fn with_half_life(self, half_life: Duration) -> Self {
        Self { half_life: half_life.max(Duration::from_secs(1)), ..self }
    }

    /// How many products a ranking holds: 10 to a million. Other values become the nearest of these.
    #[must_use]
    pub fn with_max_products(self, max_products: usize) -> Self {
        Self { max_products: max_products.clamp(10, 1_000_000), ..self }
    }

    /// Counts a view of a product, now, by the server's clock. One round trip; with a category, two calls in flight at once.
    pub async fn viewed(&self, sku: &str, category: Option<&str>) -> Result<(), StoreError> {
        self.add(sku, category, 1.0).await
    }

    /// Counts something that weighs more or less than a view: 10 for a purchase, or 0.5 for a view that arrives a half-life
    /// late. From 10^-100 to 10^6; other values become the nearest of these.
    pub async fn add(&self, sku: &str, category: Option<&str>, weight: f64) -> Result<(), StoreError> {
        check_id(sku)?;
        let weight = if weight > 1e-100 { weight.min(1e6) } else { 1e-100 }.log2();
        let mut keys = vec![self.key()?];
        if let Some(category) = category {
            keys.push(self.category_key(category)?);
        }
        let count = async |key: &Key| {
            let call = VIEW.call(&[key.as_str(), &key.companion("clock")]).arg(sku).arg(weight);
            let call = call.arg(milliseconds(self.half_life)).arg(self.max_products);
            call.run::<Reply>(&self.connection).await?.must_be("VIEWED")
        };
        join_all(keys.iter().map(count)).await.into_iter().collect()
    }

    /// The products with the most views, at most [`MAX_TOP`], the highest first. Of equal products, those with the greatest
    /// SKU. One round trip.
    pub async fn top(&self, count: usize) -> Result<Vec<Popular>, StoreError> {
        self.read(&self.key()?, count).await
    }

    /// The same within a category. One round trip.
    pub async fn top_in(&self, category: &str, count: usize) -> Result<Vec<Popular>, StoreError> {
        self.read(&self.category_key(category)?, count).await
    }

    async fn read(&self, key: &Key, count: usize) -> Result<Vec<Popular>, StoreError> {
        let Some(last) = count.min(MAX_TOP).checked_sub(1) else { return Ok(Vec::new()) };
        let call = TOP.call(&[key.as_str(), &key.companion("clock")]);
        let mut reply: Reply = call.arg(last).arg(milliseconds(self.half_life)).run(&self.connection).await?;
        reply.must_be("TOP")?;
        let now: f64 = reply.next()?;
        let top: Vec<(String, f64)> = reply.next()?;
        Ok(top.into_iter().map(|(sku, score)| Popular { sku, views: (score - now).exp2() }).collect())
    }

    /// The key of the ranking of the whole shop.
    pub fn key(&self) -> Result<Key, StoreError> {
        Ok(Key::new(&self.prefix, "popular_products", &[])?)
    }

    /// The key of the ranking of one category.
    pub fn category_key(&self, category: &str) -> Result<Key, StoreError> {
        Ok(Key::new(&self.prefix, "popular_products", &[category])?)
    }
}
