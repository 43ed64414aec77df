use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;
use std::time::Duration;

use futures_util::future::try_join_all;
use redis::Script;
use redis::aio::ConnectionLike;

use super::{Scored, best, milliseconds};
use crate::script;
use crate::store::{Reply, StoreError};
use crate::together::together;
use crate::{Keys, Layout, OrderId, Sku};

static COUNT: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("scripts/also_bought.lua")));

/// The most products of an order that are paired: 20 make 380 pairs. Who buys more at once, buys for a reason that says
/// little of what goes together.
pub const MOST_PAIRED: usize = 20;
/// From how many of a customer's products his recommendations are made.
const MOST_SEEDS: usize = 20;
/// How many neighbours are stored of each product (up to twice as many between cuts), and how many are looked at.
const MOST_NEIGHBOURS: usize = 100;
const LOOKED_AT: usize = 30;
/// How many orders of each product are remembered, so that none counts twice.
const MOST_ORDERS: usize = 1_000;
const TTL: Duration = Duration::from_hours(400 * 24);

/// Who bought this also bought that.
///
/// The naive way is to show what shared the most orders with a product. That is nearly always the bestseller, which shares
/// orders with everything. Here the count is divided by how many orders either was in: n(a,b) / √(n(a) · n(b)), the cosine of
/// the two columns of orders, 0 to 1. Pairs seen in fewer than two orders (see [`BoughtTogether::with_min_support`]) say
/// nothing and are left out.
///
/// An order counts once for each product: retry after an unknown outcome with the same [`OrderId`], as long as no 1 000 other
/// orders of a product came between. On a cluster each product is a step of its own, in its own slot; who dies between two
/// steps sends the order again, and only what is missing is counted.
#[derive(Clone, Debug)]
pub struct BoughtTogether<C> {
    connection: C,
    keys: Keys,
    min_support: u32,
}

impl<C: ConnectionLike + Clone> BoughtTogether<C> {
    /// The counts under `keys`, with a minimum support of two orders.
    pub fn new(connection: C, keys: Keys) -> Self {
        Self { connection, keys, min_support: 2 }
    }

    /// In how many orders a pair must have been to be recommended, at least 1.
    #[must_use]
    pub fn with_min_support(mut self, min_support: u32) -> Self {
        self.min_support = min_support.max(1);
        self
    }

    /// Counts an order, of which at most the first [`MOST_PAIRED`] products; answers for how many of them it was new. One
    /// round trip; on a cluster one for each product, all in flight at once. O(n²) for n products.
    pub async fn count(&self, order: &OrderId, products: &[Sku]) -> Result<usize, StoreError> {
        let mut paired: Vec<&Sku> = Vec::new();
        for sku in products {
            if paired.len() < MOST_PAIRED && !paired.contains(&sku) {
                paired.push(sku);
            }
        }
        if paired.is_empty() {
            return Ok(0);
        }
        let at_a_time = if self.keys.layout() == Layout::Standalone { paired.len() } else { 1 };
        let mut steps = Vec::new();
        for here in paired.chunks(at_a_time) {
            steps.push(self.count_here(order, here, &paired));
        }
        Ok(try_join_all(steps).await?.into_iter().sum())
    }

    /// One step: the products of one slot.
    async fn count_here(&self, order: &OrderId, here: &[&Sku], paired: &[&Sku]) -> Result<usize, StoreError> {
        let mut call = COUNT.prepare_invoke();
        for sku in here {
            call.key(self.keys.also_bought(sku)).key(self.keys.also_bought_orders(sku));
            call.key(self.keys.also_bought_support(sku));
        }
        call.arg(order.as_str()).arg(MOST_NEIGHBOURS).arg(MOST_ORDERS).arg(milliseconds(TTL));
        call.arg(here.len());
        for sku in here.iter().chain(paired) {
            call.arg(sku.as_str());
        }
        let mut reply: Reply = script::run(&call, &self.connection).await?;
        if reply.outcome == "COUNTED" { reply.next() } else { Err(reply.into_error()) }
    }

    /// What goes best with a product; among equals by SKU. Two round trips; on a cluster the second is one for each of at
    /// most 30 neighbours, all in flight at once.
    pub async fn with(&self, sku: &Sku, count: usize) -> Result<Vec<Scored>, StoreError> {
        self.with_all(std::slice::from_ref(sku), count).await
    }

    /// What goes best with these products together, none of them itself: the sum over the first 20. Two round trips; on a
    /// cluster one for each product and then for each neighbour, all in flight at once.
    pub async fn with_all(&self, products: &[Sku], count: usize) -> Result<Vec<Scored>, StoreError> {
        let seeds: Vec<&Sku> = products.iter().take(MOST_SEEDS).collect();
        if seeds.is_empty() || count == 0 {
            return Ok(Vec::new());
        }
        let pairs = self.neighbours(&seeds).await?;
        let involved: BTreeSet<&Sku> = pairs.iter().flat_map(|(seed, other, _)| [*seed, other]).collect();
        let support = self.support(involved.into_iter().collect()).await?;
        let mut scores = BTreeMap::<&Sku, f64>::new();
        for (seed, other, shared) in &pairs {
            let product = support.get(seed).unwrap_or(&1.0) * support.get(other).unwrap_or(&1.0);
            if !products.contains(other) {
                *scores.entry(other).or_default() += shared / product.sqrt();
            }
        }
        Ok(best(scores.into_iter().map(|(sku, score)| (sku.clone(), score)), count))
    }

    /// The products that shared the most orders with each of these, and how many.
    async fn neighbours<'a>(&self, seeds: &[&'a Sku]) -> Result<Vec<(&'a Sku, Sku, f64)>, StoreError> {
        let read = |sku: &&Sku| {
            let mut range = redis::cmd("ZREVRANGE");
            range.arg(self.keys.also_bought(sku)).arg(0).arg(LOOKED_AT - 1).arg("WITHSCORES").take()
        };
        let read = seeds.iter().map(read).collect();
        let stored: Vec<Vec<(String, f64)>> = together(&self.connection, self.keys.layout(), read).await?;
        let mut pairs = Vec::new();
        for (seed, neighbours) in seeds.iter().zip(stored) {
            for (other, shared) in neighbours {
                if shared >= f64::from(self.min_support) {
                    let other = other
                        .parse()
                        .map_err(|_| StoreError::malformed(&self.keys.also_bought(seed), &other))?;
                    pairs.push((*seed, other, shared));
                }
            }
        }
        Ok(pairs)
    }

    /// In how many orders each product was.
    async fn support<'a>(&self, products: Vec<&'a Sku>) -> Result<BTreeMap<&'a Sku, f64>, StoreError> {
        if products.is_empty() {
            return Ok(BTreeMap::new());
        }
        let keys = products.iter().map(|sku| self.keys.also_bought_support(sku));
        let counts: Vec<Option<f64>> = match self.keys.layout() {
            Layout::Standalone => {
                let mut read = redis::cmd("MGET");
                read.arg(keys.collect::<Vec<_>>()).query_async(&mut self.connection.clone()).await?
            }
            Layout::Cluster => {
                let read = keys.map(|key| redis::cmd("GET").arg(key).take()).collect();
                together(&self.connection, self.keys.layout(), read).await?
            }
        };
        // A count that has expired counts as the least there can be.
        Ok(products.into_iter().zip(counts.into_iter().map(|count| count.unwrap_or(1.0).max(1.0))).collect())
    }
}
