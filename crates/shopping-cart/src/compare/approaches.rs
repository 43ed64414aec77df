//! Carts of three shapes, and the two operations that are timed on them.

use std::collections::BTreeMap;

use lab_runner::{AnyConnection, Approach, labeled};
use patterns::key::{Key, KeyError};
use redis::{AsyncCommands, ErrorKind, RedisError, RedisResult, pipe};
use serde::{Deserialize, Serialize};

/// Lines of a cart that is timed.
pub(super) const LINES: usize = 10;

labeled! {
    /// How a cart is stored.
    pub enum CartShape {
        /// A document, which is read and written as a whole.
        Json => "JSON string",
        /// Field SKU, value units.
        Hash => "Hash",
        /// Member SKU, score units.
        SortedSet => "Sorted Set",
    }
}

/// The same cart in each shape, and how many operations one run performs on it.
pub struct Carts {
    /// The key of the JSON document.
    pub json: String,
    /// The key of the Hash.
    pub hash: String,
    /// The key of the Sorted Set.
    pub sorted_set: String,
    operations: usize,
}

/// One line of the JSON document.
#[derive(Serialize, Deserialize)]
struct Line {
    sku: String,
    quantity: u32,
}

impl Carts {
    /// The carts under a prefix. All keys are in one slot.
    pub fn new(prefix: &str, operations: usize) -> Result<Self, KeyError> {
        let key = Key::new(prefix, "cart", &["guest", "compare"])?;
        Ok(Self {
            json: key.companion("json"),
            hash: key.as_str().to_owned(),
            sorted_set: key.companion("by_quantity"),
            operations,
        })
    }

    /// The key of one shape.
    #[must_use]
    pub fn key(&self, shape: CartShape) -> &str {
        match shape {
            CartShape::Json => &self.json,
            CartShape::Hash => &self.hash,
            CartShape::SortedSet => &self.sorted_set,
        }
    }

    /// All keys.
    #[must_use]
    pub fn keys(&self) -> Vec<String> {
        CartShape::ALL.map(|shape| self.key(shape).to_owned()).to_vec()
    }

    /// Writes the cart in all shapes: `lines` lines of one to nine units. One round trip.
    pub async fn fill<C: AnyConnection>(&self, lines: usize, redis: &mut C) -> RedisResult<()> {
        let cart: Vec<(String, u32)> =
            (0..lines).zip((1..=9).cycle()).map(|(line, units)| (sku(line), units)).collect();
        let members: Vec<(u32, &str)> = cart.iter().map(|(sku, units)| (*units, sku.as_str())).collect();
        pipe()
            .unlink(self.keys())
            .set(&self.json, encode(cart.iter().cloned())?)
            .hset_multiple(&self.hash, &cart)
            .zadd_multiple(&self.sorted_set, &members)
            .exec_async(redis)
            .await
    }
}

fn sku(line: usize) -> String {
    format!("sku{line:03}")
}

fn encode(cart: impl IntoIterator<Item = (String, u32)>) -> RedisResult<String> {
    let lines: Vec<Line> = cart.into_iter().map(|(sku, quantity)| Line { sku, quantity }).collect();
    serde_json::to_string(&lines).map_err(bad_document)
}

fn decode(document: &str) -> RedisResult<BTreeMap<String, u32>> {
    let lines: Vec<Line> = serde_json::from_str(document).map_err(bad_document)?;
    Ok(lines.into_iter().map(|line| (line.sku, line.quantity)).collect())
}

fn bad_document(error: impl std::fmt::Display) -> RedisError {
    RedisError::from((ErrorKind::Client, "a cart that is no JSON document of ours", error.to_string()))
}

/// Adds one unit to a line, again and again. As JSON, this loses units if two clients do it at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AddUnit(pub CartShape);

async fn add_unit<C: AnyConnection>(
    shape: CartShape,
    key: &str,
    sku: &str,
    redis: &mut C,
) -> RedisResult<()> {
    match shape {
        CartShape::Json => {
            let document: String = redis.get(key).await?;
            let mut cart = decode(&document)?;
            *cart.entry(sku.to_owned()).or_default() += 1;
            redis.set(key, encode(cart)?).await
        }
        CartShape::Hash => redis.hincr(key, sku, 1).await,
        CartShape::SortedSet => redis.zincr(key, sku, 1).await,
    }
}

impl Approach for AddUnit {
    type Input = Carts;
    type Output = BTreeMap<String, u32>;

    fn label(self) -> String {
        match self.0 {
            CartShape::Json => "JSON: GET, SET",
            CartShape::Hash => "Hash: HINCRBY",
            CartShape::SortedSet => "Sorted Set: ZINCRBY",
        }
        .into()
    }

    fn operations(self, carts: &Carts) -> u64 {
        carts.operations as u64
    }

    async fn reset<C: AnyConnection>(self, carts: &Carts, redis: &mut C) -> RedisResult<()> {
        carts.fill(LINES, redis).await
    }

    async fn run<C: AnyConnection>(self, carts: &Carts, redis: &mut C) -> RedisResult<Self::Output> {
        let key = carts.key(self.0);
        for operation in 0..carts.operations {
            add_unit(self.0, key, &sku(operation % LINES), redis).await?;
        }
        read_cart(self.0, key, redis).await
    }
}

/// Reads the whole cart, again and again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadCart(pub CartShape);

async fn read_cart<C: AnyConnection>(
    shape: CartShape,
    key: &str,
    redis: &mut C,
) -> RedisResult<BTreeMap<String, u32>> {
    match shape {
        CartShape::Json => {
            let document: String = redis.get(key).await?;
            decode(&document)
        }
        CartShape::Hash => redis.hgetall(key).await,
        CartShape::SortedSet => {
            let members: Vec<(String, u32)> = redis.zrange_withscores(key, 0, -1).await?;
            Ok(members.into_iter().collect())
        }
    }
}

impl Approach for ReadCart {
    type Input = Carts;
    type Output = BTreeMap<String, u32>;

    fn label(self) -> String {
        match self.0 {
            CartShape::Json => "JSON: GET",
            CartShape::Hash => "Hash: HGETALL",
            CartShape::SortedSet => "Sorted Set: ZRANGE",
        }
        .into()
    }

    fn operations(self, carts: &Carts) -> u64 {
        carts.operations as u64
    }

    async fn reset<C: AnyConnection>(self, carts: &Carts, redis: &mut C) -> RedisResult<()> {
        carts.fill(LINES, redis).await
    }

    async fn run<C: AnyConnection>(self, carts: &Carts, redis: &mut C) -> RedisResult<Self::Output> {
        let mut cart = BTreeMap::new();
        for _ in 0..carts.operations {
            cart = read_cart(self.0, carts.key(self.0), redis).await?;
        }
        Ok(cart)
    }
}
