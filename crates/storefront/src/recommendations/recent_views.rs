use std::sync::LazyLock;
use std::time::Duration;

use redis::Script;
use redis::aio::ConnectionLike;

use super::milliseconds;
use crate::script;
use crate::store::{Reply, StoreError};
use crate::{CustomerId, Keys, Sku};

/// The text of the script, for who wants to show it.
pub const VIEWED: &str = include_str!("scripts/viewed.lua");
static SCRIPT: LazyLock<Script> = LazyLock::new(|| Script::new(VIEWED));

/// The most views a customer's list can be told to hold: LREM and LTRIM go through all of them.
pub const MOST_VIEWS: usize = 1_000;

/// What each customer looked at, the latest first, each product once.
///
/// The naive way is LPUSH and LTRIM: who reloads a page ten times has ten times the same product in the list, and nothing
/// else. LREM before LPUSH cures that, but as three commands two windows of one customer can come between each other and
/// leave a product twice. Here it is one script.
#[derive(Clone, Debug)]
pub struct RecentViews<C> {
    connection: C,
    keys: Keys,
    most: usize,
    ttl: Duration,
}

impl<C: ConnectionLike + Clone> RecentViews<C> {
    /// Lists of 50 views under `keys`, each living 90 days after its last view.
    pub fn new(connection: C, keys: Keys) -> Self {
        Self { connection, keys, most: 50, ttl: Duration::from_hours(90 * 24) }
    }

    /// How many views a list holds: 1 to [`MOST_VIEWS`]; other values become the nearest of these.
    #[must_use]
    pub fn with_most(mut self, most: usize) -> Self {
        self.most = most.clamp(1, MOST_VIEWS);
        self
    }

    /// How long a list lives after its last view: a second to ten years.
    #[must_use]
    pub fn with_ttl(mut self, ttl: Duration) -> Self {
        self.ttl = ttl;
        self
    }

    /// A customer has looked at a product. One round trip; O(views of the list). Saying it again changes nothing else.
    pub async fn viewed(&self, customer: &CustomerId, sku: &Sku) -> Result<(), StoreError> {
        let mut call = SCRIPT.key(self.keys.recent_views(customer));
        call.arg(sku.as_str()).arg(self.most - 1).arg(milliseconds(self.ttl));
        let reply: Reply = script::run(&call, &self.connection).await?;
        if reply.outcome == "VIEWED" { Ok(()) } else { Err(reply.into_error()) }
    }

    /// What a customer looked at, the latest first, at most `count`. One round trip.
    pub async fn of(&self, customer: &CustomerId, count: usize) -> Result<Vec<Sku>, StoreError> {
        let key = self.keys.recent_views(customer);
        let Some(last) = count.min(MOST_VIEWS).checked_sub(1) else { return Ok(Vec::new()) };
        let stored: Vec<String> =
            redis::cmd("LRANGE").arg(&key).arg(0).arg(last).query_async(&mut self.connection.clone()).await?;
        stored.iter().map(|sku| sku.parse().map_err(|_| StoreError::malformed(&key, sku))).collect()
    }
}
