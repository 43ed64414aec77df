//! Recent views: the products that each customer viewed, the latest first, each product once.
//!
//! The naive way is LPUSH and LTRIM. A customer who reloads a page ten times then has the same product in the list ten times,
//! and nothing else. LREM before LPUSH fixes that, but as separate commands, two tabs of one customer can interleave and leave
//! a product twice. Here it is one script.
//!
//! | key | type | holds |
//! |---|---|---|
//! | `recent_views:user123` | List | SKUs, the latest first |
//!
//! - **Promise**: a list has each product once, in the order of the last views, and at most the configured number.
//! - **Cost**: one round trip; O(products in the list), at most 1,000.
//! - **Memory**: at most the configured number of SKUs for each customer; gone after the TTL without a view.
//! - **Faults**: a view that is sent twice has no further effect. If the key is evicted or a failover loses the last writes,
//!   those views are forgotten, and the next view begins again; nothing else depends on them. It stores no times.
//!
//! ```
//! use patterns::recent_views::RecentViews;
//!
//! # tokio::runtime::Runtime::new()?.block_on(async {
//! # let server = lab_server::Server::start()?;
//! # let url = server.url();
//! let connection = redis::Client::open(url)?.get_multiplexed_async_connection().await?;
//! let views = RecentViews::new(connection, "");
//! for sku in ["sku123", "sku456", "sku123"] {
//!     views.record("user123", sku).await?;
//! }
//! assert_eq!(views.latest("user123", 10).await?, ["sku123", "sku456"]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::time::Duration;

use redis::aio::ConnectionLike;

use crate::key::{Key, check_id};
use crate::script::{Reply, Script, StoreError, by_operation, milliseconds, send};

/// The most products that a list can be configured to hold, since each view reads the whole list.
pub const MAX_PRODUCTS: usize = 1_000;

const FILE: &str = include_str!("recent_views.lua");

/// Puts a product at the head of the List of what a customer viewed, removes its earlier entry, and trims the List.
pub static RECORD: Script = Script::new("recent_views.lua", FILE, &[]);

/// The scripts of this pattern, by name.
pub fn scripts() -> Vec<(&'static str, &'static Script)> {
    by_operation(&[&RECORD])
}

/// The recent views of all customers under a prefix.
#[derive(Clone, Debug)]
pub struct RecentViews<C> {
    connection: C,
    prefix: String,
    max_products: usize,
    ttl: Duration,
}

impl<C: ConnectionLike + Clone> RecentViews<C> {
    /// Lists of 50 products, each kept for 90 days after its last view.
    pub fn new(connection: C, prefix: &str) -> Self {
        Self { connection, prefix: prefix.to_owned(), max_products: 50, ttl: Duration::from_hours(90 * 24) }
    }

    /// How many products a list holds: 1 to [`MAX_PRODUCTS`]. Other values become the nearest of these.
    #[must_use]
    pub fn with_max_products(self, max_products: usize) -> Self {
        Self { max_products: max_products.clamp(1, MAX_PRODUCTS), ..self }
    }

    /// How long a list lives after its last view: a millisecond to a year.
    #[must_use]
    pub fn with_ttl(self, ttl: Duration) -> Self {
        Self { ttl, ..self }
    }

    /// Records that a customer viewed a product. One round trip.
    pub async fn record(&self, customer: &str, sku: &str) -> Result<(), StoreError> {
        check_id(sku)?;
        let key = self.key(customer)?;
        let call =
            RECORD.call(&[key.as_str()]).arg(sku).arg(self.max_products - 1).arg(milliseconds(self.ttl));
        call.run::<Reply>(&self.connection).await?.must_be("RECORDED")
    }

    /// The last `count` products, the latest first. One round trip.
    pub async fn latest(&self, customer: &str, count: usize) -> Result<Vec<String>, StoreError> {
        let key = self.key(customer)?;
        let Some(last) = count.min(MAX_PRODUCTS).checked_sub(1) else { return Ok(Vec::new()) };
        send(&self.connection, redis::cmd("LRANGE").arg(key.as_str()).arg(0).arg(last)).await
    }

    /// The key of one customer's list.
    pub fn key(&self, customer: &str) -> Result<Key, StoreError> {
        Ok(Key::new(&self.prefix, "recent_views", &[customer])?)
    }
}
