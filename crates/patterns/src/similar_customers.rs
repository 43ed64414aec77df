//! Similar customers: who is similar to this customer, and what do they buy? (Collaborative filtering.)
//!
//! The naive way compares a customer with every other one. Here an index leads from each thing that a customer bought (or
//! likes) to the last customers who bought it too. Those who share the most with the customer are compared by the Jaccard
//! index: the things in common divided by the things of either, 0 to 1.
//!
//! | key | type | holds |
//! |---|---|---|
//! | `purchases:user123` | Sorted Set | the last 200 SKUs that the customer bought, scored by a number that counts up |
//! | `buyers:PROD123` | Sorted Set | the last 500 customers who bought it, scored in the same way |
//! | `interests:user123`, `interested:Books` | | see [`crate::interests`] |
//!
//! - **Promise**: the same data gives the same answer. Nothing is recommended that is among the customer's last 200 purchases.
//! - **Cost**: recording takes one call for each product and one more, all in flight at once. Reading takes three round trips
//!   (five to recommend), with at most 100 calls in flight in each, whatever the size of the shop.
//! - **Memory**: at most 200 products for each customer and 500 customers for each product, gone a year after the last purchase.
//! - **Faults**: every call can be sent again. What is evicted or lost by a failover is not found until it is recorded again.
//!   Nothing else depends on it. It stores no times.
//!
//! ```
//! use patterns::similar_customers::{Basis, SimilarCustomers};
//!
//! # tokio::runtime::Runtime::new()?.block_on(async {
//! # let server = lab_server::Server::start()?;
//! # let url = server.url();
//! let connection = redis::Client::open(url)?.get_multiplexed_async_connection().await?;
//! let similar = SimilarCustomers::new(connection, "");
//! similar.bought("ann", &["TENT", "STOVE"]).await?;
//! similar.bought("bob", &["TENT"]).await?;
//! assert_eq!(similar.to("bob", Basis::Purchases, 10).await?[0].customer, "ann");
//! assert_eq!(similar.recommend("bob", Basis::Purchases, 10).await?[0].sku, "STOVE");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use redis::aio::ConnectionLike;

use crate::interests::Interests;
use crate::key::{Key, check_id};
use crate::script::{Reply, Script, StoreError, by_operation, join_all, milliseconds, send};

/// How many products are remembered for each customer.
pub const MAX_PURCHASES: usize = 200;
/// How many customers are remembered for each product.
pub const MAX_BUYERS: usize = 500;
/// The most products that are recorded in one call.
pub const MAX_RECORDED: usize = 100;
/// How much a query reads: things of the customer, customers of each thing, and customers to compare.
const MAX_THINGS: usize = 20;
const CUSTOMERS_PER_THING: usize = 100;
const MAX_CANDIDATES: usize = 100;
const PURCHASES_PER_CUSTOMER: usize = 50;
/// From how many similar customers products are recommended.
const MAX_NEIGHBORS: usize = 30;
const TTL: Duration = Duration::from_hours(365 * 24);

const FILE: &str = include_str!("similar_customers.lua");

/// Makes members the newest of a Sorted Set, and drops the oldest.
pub static REMEMBER: Script = Script::new("similar_customers.lua", FILE, &[]);

/// The scripts of this pattern, by name.
pub fn scripts() -> Vec<(&'static str, &'static Script)> {
    by_operation(&[&REMEMBER])
}

/// The customers under a prefix, and what they bought.
#[derive(Clone, Debug)]
pub struct SimilarCustomers<C> {
    connection: C,
    prefix: String,
    interests: Interests<C>,
}

/// What customers are compared by.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Basis {
    /// What they say they like.
    Interests,
    /// What they bought.
    Purchases,
}

/// A similar customer.
#[derive(Clone, Debug, PartialEq)]
pub struct Similar {
    /// The other customer.
    pub customer: String,
    /// The Jaccard index, above 0, at most 1.
    pub similarity: f64,
}

/// A product that similar customers bought.
#[derive(Clone, Debug, PartialEq)]
pub struct Suggestion {
    /// The product.
    pub sku: String,
    /// The sum of the similarities of those who bought it.
    pub score: f64,
}

impl<C: ConnectionLike + Clone> SimilarCustomers<C> {
    /// The customers under a prefix.
    pub fn new(connection: C, prefix: &str) -> Self {
        let interests = Interests::new(connection.clone(), prefix);
        Self { connection, prefix: prefix.to_owned(), interests }
    }

    /// Records what a customer bought, at most the first [`MAX_RECORDED`] products. One call for each product and one more, all
    /// in flight at once. After an error, send it again.
    pub async fn bought(&self, customer: &str, products: &[&str]) -> Result<(), StoreError> {
        check_id(customer)?;
        let products: BTreeSet<&str> = products.iter().take(MAX_RECORDED).copied().collect();
        if products.is_empty() {
            return Ok(());
        }
        let skus: Vec<&str> = products.iter().copied().collect();
        let mut steps = vec![(self.key(customer)?, MAX_PURCHASES, skus)];
        for sku in products {
            steps.push((self.buyers_key(sku)?, MAX_BUYERS, vec![customer]));
        }
        let remember = async |(key, max, members): (Key, usize, Vec<&str>)| {
            let call = REMEMBER.call(&[key.as_str()]).arg(max).arg(milliseconds(TTL)).arg(members);
            call.run::<Reply>(&self.connection).await?.must_be("REMEMBERED")
        };
        join_all(steps.into_iter().map(remember)).await.into_iter().collect()
    }

    /// What a customer bought, the newest first, at most `count`. One round trip.
    pub async fn purchases(&self, customer: &str, count: usize) -> Result<Vec<String>, StoreError> {
        self.newest(&self.key(customer)?, count.min(MAX_PURCHASES)).await
    }

    /// Who bought a product, the newest first, at most `count`. One round trip.
    pub async fn buyers(&self, sku: &str, count: usize) -> Result<Vec<String>, StoreError> {
        self.newest(&self.buyers_key(sku)?, count.min(MAX_BUYERS)).await
    }

    /// The customers most similar to this one, at most `count` and at most 100; equal ones by ID. Three round trips.
    pub async fn to(&self, customer: &str, basis: Basis, count: usize) -> Result<Vec<Similar>, StoreError> {
        let own = self.things_of(customer, basis).await?;
        let candidates = self.candidates(customer, basis, &own).await?;
        let things = join_all(candidates.iter().map(|other| self.things_of(other, basis))).await;
        let mut similar = Vec::new();
        for (customer, things) in candidates.into_iter().zip(things) {
            let similarity = jaccard(&own, &things?);
            if similarity > 0.0 {
                similar.push(Similar { customer, similarity });
            }
        }
        similar
            .sort_by(|a, b| b.similarity.total_cmp(&a.similarity).then_with(|| a.customer.cmp(&b.customer)));
        similar.truncate(count);
        Ok(similar)
    }

    /// What the 30 most similar customers bought and this one did not, each weighted by similarity. At most `count`, the best
    /// first; equal ones by SKU. Five round trips.
    pub async fn recommend(
        &self,
        customer: &str,
        basis: Basis,
        count: usize,
    ) -> Result<Vec<Suggestion>, StoreError> {
        let advisers = self.to(customer, basis, MAX_NEIGHBORS).await?;
        let own = self.purchases(customer, MAX_PURCHASES).await?;
        let bought =
            join_all(advisers.iter().map(|other| self.purchases(&other.customer, PURCHASES_PER_CUSTOMER)))
                .await;
        let mut scores = BTreeMap::<String, f64>::new();
        for (adviser, bought) in advisers.iter().zip(bought) {
            for sku in bought?.into_iter().filter(|sku| !own.contains(sku)) {
                *scores.entry(sku).or_default() += adviser.similarity;
            }
        }
        let mut best: Vec<Suggestion> =
            scores.into_iter().map(|(sku, score)| Suggestion { sku, score }).collect();
        best.sort_by(|a, b| b.score.total_cmp(&a.score).then_with(|| a.sku.cmp(&b.sku)));
        best.truncate(count);
        Ok(best)
    }

    /// The customers who share the most things with this one, by the indexes.
    async fn candidates(
        &self,
        customer: &str,
        basis: Basis,
        own: &BTreeSet<String>,
    ) -> Result<Vec<String>, StoreError> {
        let people_of = async |thing: &String| match basis {
            Basis::Interests => self.interests.who_like(thing, CUSTOMERS_PER_THING).await,
            Basis::Purchases => self.buyers(thing, CUSTOMERS_PER_THING).await,
        };
        let mut shared = BTreeMap::<String, usize>::new();
        for people in join_all(own.iter().take(MAX_THINGS).map(people_of)).await {
            for person in people? {
                *shared.entry(person).or_default() += 1;
            }
        }
        shared.remove(customer);
        let mut candidates: Vec<(String, usize)> = shared.into_iter().collect();
        candidates.sort_by(|(a, few), (b, many)| many.cmp(few).then_with(|| a.cmp(b)));
        Ok(candidates.into_iter().take(MAX_CANDIDATES).map(|(person, _)| person).collect())
    }

    /// What a customer likes or bought.
    async fn things_of(&self, customer: &str, basis: Basis) -> Result<BTreeSet<String>, StoreError> {
        match basis {
            Basis::Interests => self.interests.of(customer).await,
            Basis::Purchases => {
                Ok(self.purchases(customer, PURCHASES_PER_CUSTOMER).await?.into_iter().collect())
            }
        }
    }

    async fn newest(&self, key: &Key, count: usize) -> Result<Vec<String>, StoreError> {
        let Some(last) = count.checked_sub(1) else { return Ok(Vec::new()) };
        send(&self.connection, redis::cmd("ZREVRANGE").arg(key.as_str()).arg(0).arg(last)).await
    }

    /// The key of what a customer bought.
    pub fn key(&self, customer: &str) -> Result<Key, StoreError> {
        Ok(Key::new(&self.prefix, "purchases", &[customer])?)
    }

    /// The key of who bought a product.
    pub fn buyers_key(&self, sku: &str) -> Result<Key, StoreError> {
        Ok(Key::new(&self.prefix, "buyers", &[sku])?)
    }
}

/// Things in common divided by things of either; 0 if there are none.
fn jaccard(one: &BTreeSet<String>, other: &BTreeSet<String>) -> f64 {
    let common = one.intersection(other).count();
    let either = one.len() + other.len() - common;
    if either == 0 { 0.0 } else { common as f64 / either as f64 }
}
