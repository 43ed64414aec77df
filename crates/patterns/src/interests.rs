//! Interests: what each customer likes, and who likes a thing.
//!
//! A plain SADD answers the first question. For the second, you would have to read every customer. So each interest has an
//! index of the last customers who chose it. With it, you find similar customers without reading all of them.
//!
//! | key | type | holds |
//! |---|---|---|
//! | `interests:user123` | Set | what the customer likes |
//! | `interested:Books` | Sorted Set | the last 1,000 customers who chose it, scored by a number that counts up |
//!
//! - **Promise**: the Set is exact, with at most 50 interests. The index is a hint: it may name a customer who has changed
//!   their mind, so compare with the Set before you rely on it.
//! - **Cost**: two round trips to add or remove, one to read; O(interests), at most 50.
//! - **Memory**: at most 50 interests for each customer, kept until you remove them, and 1,000 customers for each interest,
//!   gone a year after the last one chose it.
//! - **Faults**: every call can be sent again. If you crash between its two steps, the customer is missing from the index, or
//!   still in it. The same call again repairs that. A lost index fills with those who choose the interest from then on. If a
//!   Set is evicted, the interests of that customer are lost: use `noeviction` if they are stored nowhere else. A failover may
//!   lose the last changes. No time is stored.
//!
//! ```
//! use patterns::interests::Interests;
//!
//! # tokio::runtime::Runtime::new()?.block_on(async {
//! # let server = lab_server::Server::start()?;
//! # let url = server.url();
//! let connection = redis::Client::open(url)?.get_multiplexed_async_connection().await?;
//! let interests = Interests::new(connection, "");
//! interests.add("user123", &["Books", "Toys"]).await?;
//! interests.add("user456", &["Books"]).await?;
//! assert!(interests.of("user123").await?.contains("Toys"));
//! assert_eq!(interests.who_like("Books", 10).await?, ["user456", "user123"]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::collections::BTreeSet;
use std::time::Duration;

use redis::aio::ConnectionLike;

use crate::key::{Key, check_id};
use crate::script::{Reply, Script, StoreError, by_operation, join_all, milliseconds, send};

/// The most interests of one customer.
pub const MAX_INTERESTS: usize = 50;
/// The most customers in the index of one interest.
pub const MAX_CUSTOMERS: usize = 1_000;
const INDEX_TTL: Duration = Duration::from_hours(365 * 24);

const FILE: &str = include_str!("interests.lua");

/// Adds interests to a customer, all or none.
pub static LIKE: Script = Script::new("interests.lua: like", FILE, &["like"]);
/// Makes a customer the newest who likes a thing.
pub static INDEX: Script = Script::new("interests.lua: index", FILE, &["index"]);

/// The scripts of this pattern, by name.
pub fn scripts() -> Vec<(&'static str, &'static Script)> {
    by_operation(&[&LIKE, &INDEX])
}

/// The interests of all customers under a prefix.
#[derive(Clone, Debug)]
pub struct Interests<C> {
    connection: C,
    prefix: String,
}

impl<C: ConnectionLike + Clone> Interests<C> {
    /// The interests under a prefix.
    pub fn new(connection: C, prefix: &str) -> Self {
        Self { connection, prefix: prefix.to_owned() }
    }

    /// Adds interests of a customer, and returns how many were new. Two round trips; in the second, one call for each
    /// interest, all in flight at once.
    pub async fn add(&self, customer: &str, interests: &[&str]) -> Result<usize, InterestError> {
        let interests: BTreeSet<&str> = interests.iter().copied().collect();
        if interests.is_empty() {
            return Ok(0);
        }
        if interests.len() > MAX_INTERESTS {
            return Err(InterestError::TooMany);
        }
        check_id(customer).map_err(StoreError::from)?;
        let index = interests.iter().map(|interest| self.index_key(interest));
        let index = index.collect::<Result<Vec<_>, _>>()?;
        let mut call = LIKE.call(&[self.key(customer)?.as_str()]).arg(MAX_INTERESTS);
        for interest in &interests {
            call = call.arg(*interest);
        }
        let mut reply: Reply = call.run(&self.connection).await?;
        let new = match reply.outcome.as_str() {
            "LIKED" => reply.next().map_err(InterestError::Store)?,
            "TOO_MANY" => return Err(InterestError::TooMany),
            _ => return Err(reply.unexpected().into()),
        };
        // Even those that were not new: an earlier call may have been cut off here.
        for indexed in join_all(index.iter().map(|key| self.index(key, customer))).await {
            indexed?;
        }
        Ok(new)
    }

    /// Removes an interest of a customer; `false` if the customer did not have it. Two round trips.
    pub async fn remove(&self, customer: &str, interest: &str) -> Result<bool, StoreError> {
        check_id(customer)?;
        let index = self.index_key(interest)?;
        let mut srem = redis::cmd("SREM");
        srem.arg(self.key(customer)?.as_str()).arg(interest);
        let was_there = send(&self.connection, &srem).await?;
        let mut zrem = redis::cmd("ZREM");
        let _: u64 = send(&self.connection, zrem.arg(index.as_str()).arg(customer)).await?;
        Ok(was_there)
    }

    /// What a customer likes. One round trip.
    pub async fn of(&self, customer: &str) -> Result<BTreeSet<String>, StoreError> {
        send(&self.connection, redis::cmd("SMEMBERS").arg(self.key(customer)?.as_str())).await
    }

    /// The last `count` customers who chose this interest, at most 1,000, the newest first, as the index knows them. One round
    /// trip.
    pub async fn who_like(&self, interest: &str, count: usize) -> Result<Vec<String>, StoreError> {
        let key = self.index_key(interest)?;
        let Some(last) = count.min(MAX_CUSTOMERS).checked_sub(1) else { return Ok(Vec::new()) };
        send(&self.connection, redis::cmd("ZREVRANGE").arg(key.as_str()).arg(0).arg(last)).await
    }

    async fn index(&self, key: &Key, customer: &str) -> Result<(), StoreError> {
        let call = INDEX.call(&[key.as_str()]).arg(customer).arg(MAX_CUSTOMERS).arg(milliseconds(INDEX_TTL));
        call.run::<Reply>(&self.connection).await?.must_be("INDEXED")
    }

    /// The key of one customer's interests.
    pub fn key(&self, customer: &str) -> Result<Key, StoreError> {
        Ok(Key::new(&self.prefix, "interests", &[customer])?)
    }

    /// The key of the index of one interest.
    pub fn index_key(&self, interest: &str) -> Result<Key, StoreError> {
        Ok(Key::new(&self.prefix, "interested", &[interest])?)
    }
}

/// Why interests were not added.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InterestError {
    /// There would be more than [`MAX_INTERESTS`]. Nothing was changed.
    #[error("a customer has at most {MAX_INTERESTS} interests")]
    TooMany,
    /// Redis, or the data in it.
    #[error(transparent)]
    Store(#[from] StoreError),
}
