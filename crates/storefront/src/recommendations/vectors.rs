use redis::aio::ConnectionLike;
use redis::{Cmd, RedisError};

use super::Scored;
use crate::store::StoreError;
use crate::{Keys, Label, Sku};

/// Numbers of a vector.
pub const DIMENSIONS: usize = 64;

/// Where a product or a customer is among all others: a vector of [`DIMENSIONS`] numbers and of length 1.
///
/// It is made by random indexing, with no model to train. Each trait, such as `category:Books` or `with:PROD7`, has a
/// direction of its own: 64 signs taken from a hash of its name, so two traits are nearly at right angles. A vector is the
/// sum of its traits' directions, each as long as its weight. Things that share traits therefore point the same way, and
/// the same traits make the same vector, on every machine.
#[derive(Clone, Debug, PartialEq)]
pub struct Embedding([f32; DIMENSIONS]);

impl Embedding {
    /// The vector of weighted traits; `None` if they add up to nothing, or a weight is not finite.
    pub fn of<'a>(traits: impl IntoIterator<Item = (&'a str, f32)>) -> Option<Self> {
        let mut sum = [0.0; DIMENSIONS];
        for (name, weight) in traits {
            let signs = hash(name);
            for (index, number) in sum.iter_mut().enumerate() {
                *number += if signs >> index & 1 == 1 { weight } else { -weight };
            }
        }
        Self::of_length_one(sum)
    }

    /// The vector of a product: its category, itself, and, as far as they go with it, its neighbours (see
    /// [`BoughtTogether::with`](super::BoughtTogether::with)). So products lie near each other that are of a category and in
    /// the same company.
    #[must_use]
    pub fn of_product(sku: &Sku, category: &Label, neighbours: &[Scored]) -> Option<Self> {
        let mut traits = vec![(format!("category:{category}"), 1.0), (format!("with:{sku}"), 1.0)];
        for neighbour in neighbours {
            #[expect(clippy::cast_possible_truncation, reason = "a weight needs no more digits")]
            traits.push((format!("with:{}", neighbour.sku), neighbour.score as f32));
        }
        Self::of(traits.iter().map(|(name, weight)| (name.as_str(), *weight)))
    }

    /// The vector in the middle of others: what a customer likes, of what he bought. `None` if there are none, or they add
    /// up to nothing.
    pub fn between<'a>(others: impl IntoIterator<Item = &'a Self>) -> Option<Self> {
        let mut sum = [0.0; DIMENSIONS];
        for other in others {
            for (number, more) in sum.iter_mut().zip(other.0) {
                *number += more;
            }
        }
        Self::of_length_one(sum)
    }

    fn of_length_one(numbers: [f32; DIMENSIONS]) -> Option<Self> {
        let length = numbers.iter().map(|number| number * number).sum::<f32>().sqrt();
        let usable = length.is_finite() && length > f32::EPSILON;
        usable.then(|| Self(numbers.map(|number| number / length)))
    }

    /// As VADD and VSIM take it: little-endian FP32.
    fn bytes(&self) -> Vec<u8> {
        self.0.iter().flat_map(|number| number.to_le_bytes()).collect()
    }
}

/// FNV-1a, then the finish of splitmix64, which spreads its bits: a fixed function, unlike the hash of the standard library.
fn hash(text: &str) -> u64 {
    let fnv = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    let hash = text.bytes().fold(0xcbf2_9ce4_8422_2325, fnv).wrapping_add(0x9e37_79b9_7f4a_7c15);
    let hash = (hash ^ hash >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let hash = (hash ^ hash >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    hash ^ hash >> 31
}

/// How VSIM looks for the nearest.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Search {
    /// Through the graph (HNSW): O(log products), and now and then one of the nearest is missed. The graph is built with
    /// chance, so two servers may differ.
    Approximate,
    /// All products, one after the other (TRUTH): exact, the same everywhere, O(products).
    Exact,
}

/// Products by their vectors, in a vector set: Redis 8.0 and later. Ask the server for `VSIM` before using it.
///
/// On a cluster the vector set is one key, and so on one node.
#[derive(Clone, Debug)]
pub struct ProductVectors<C> {
    connection: C,
    keys: Keys,
    search: Search,
}

impl<C: ConnectionLike + Clone> ProductVectors<C> {
    /// The vectors under `keys`.
    pub fn new(connection: C, keys: Keys, search: Search) -> Self {
        Self { connection, keys, search }
    }

    /// Puts a product where its vector says, or moves it there; `true` if it is new. One round trip; O(log products).
    pub async fn put(&self, sku: &Sku, embedding: &Embedding) -> Result<bool, StoreError> {
        let mut add = redis::cmd("VADD");
        add.arg(self.keys.product_vectors()).arg("FP32").arg(embedding.bytes()).arg(sku.as_str());
        // Without quantization equal vectors have equal scores, and 64 numbers are small.
        Ok(add.arg("NOQUANT").query_async(&mut self.connection.clone()).await?)
    }

    /// Takes a product away; `false` if it was not there. One round trip.
    pub async fn remove(&self, sku: &Sku) -> Result<bool, StoreError> {
        let mut remove = redis::cmd("VREM");
        remove.arg(self.keys.product_vectors()).arg(sku.as_str());
        Ok(remove.query_async(&mut self.connection.clone()).await?)
    }

    /// The products nearest to a vector, at most 10 000, with their similarity from 0 to 1; among equals by SKU. One round
    /// trip.
    pub async fn near(&self, embedding: &Embedding, count: usize) -> Result<Vec<Scored>, StoreError> {
        let mut ask = redis::cmd("VSIM");
        ask.arg(self.keys.product_vectors()).arg("FP32").arg(embedding.bytes());
        self.ask(ask, count).await
    }

    /// The products nearest to this one, without itself, in the order and number of [`Self::near`]; none if it has no vector. One
    /// round trip.
    pub async fn like(&self, sku: &Sku, count: usize) -> Result<Vec<Scored>, StoreError> {
        let mut ask = redis::cmd("VSIM");
        ask.arg(self.keys.product_vectors()).arg("ELE").arg(sku.as_str());
        let nearest = self.ask(ask, count.saturating_add(1)).await;
        let mut nearest = match nearest {
            Err(StoreError::Redis(error)) if is_unknown_element(&error) => return Ok(Vec::new()),
            other => other?,
        };
        nearest.retain(|scored| scored.sku != *sku);
        nearest.truncate(count);
        Ok(nearest)
    }

    async fn ask(&self, mut ask: Cmd, count: usize) -> Result<Vec<Scored>, StoreError> {
        if count == 0 {
            return Ok(Vec::new());
        }
        ask.arg("WITHSCORES").arg("COUNT").arg(count.min(10_000));
        if self.search == Search::Exact {
            ask.arg("TRUTH");
        }
        let found: Vec<(String, f64)> = ask.query_async(&mut self.connection.clone()).await?;
        let key = self.keys.product_vectors();
        let parse = |(sku, score): (String, f64)| match sku.parse() {
            Ok(sku) => Ok(Scored { sku, score }),
            Err(_) => Err(StoreError::malformed(&key, &sku)),
        };
        let mut scored = found.into_iter().map(parse).collect::<Result<Vec<_>, _>>()?;
        scored.sort_by(Scored::order);
        Ok(scored)
    }
}

fn is_unknown_element(error: &RedisError) -> bool {
    error.detail().is_some_and(|detail| detail.contains("element not found"))
}
