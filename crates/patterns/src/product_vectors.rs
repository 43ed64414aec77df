//! Product vectors: what is similar to a product or to a taste, in a vector set.
//!
//! Your model turns each product into a vector. Vectors of similar products point in a similar direction. To compare one with
//! all others in your service, you would have to read them all. A vector set (Redis 8.0 and later; ask `COMMAND INFO VSIM`
//! first) finds the nearest in one command.
//!
//! | key | type | holds |
//! |---|---|---|
//! | `product_vectors` | vector set | SKU and its vector |
//!
//! - **Promise**: with exact search, you get the nearest products in the order of their similarity. Without it, mostly: the
//!   graph (HNSW) may miss a product, and two servers may differ.
//! - **Cost**: one round trip; O(log products), exact O(products).
//! - **Memory**: 4 bytes for each number of each vector, and the graph. One key, so on a cluster one node holds it all.
//! - **Faults**: every call can be sent again. Vectors that are evicted or lost by a failover are not found until you put them
//!   again; nothing else depends on them.
//!
//! ```
//! use patterns::product_vectors::ProductVectors;
//!
//! # tokio::runtime::Runtime::new()?.block_on(async {
//! # let server = lab_server::Server::start()?;
//! # let url = server.url();
//! let connection = redis::Client::open(url)?.get_multiplexed_async_connection().await?;
//! # let mut ask = redis::cmd("COMMAND");
//! # let known: Vec<redis::Value> = ask.arg("INFO").arg("VSIM").query_async(&mut connection.clone()).await?;
//! # if known == [redis::Value::Nil] {
//! #     return Ok(());
//! # }
//! let vectors = ProductVectors::new(connection, "");
//! vectors.put("sku123", &[1.0, 0.1]).await?;
//! vectors.put("sku456", &[0.9, 0.2]).await?;
//! assert_eq!(vectors.like("sku123", 10).await?[0].sku, "sku456");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use redis::Cmd;
use redis::aio::ConnectionLike;

use crate::key::{Key, check_id};
use crate::script::{StoreError, send};

/// The most products that one question returns.
pub const MAX_NEAR: usize = 1_000;

/// The vectors of all products under a prefix.
#[derive(Clone, Debug)]
pub struct ProductVectors<C> {
    connection: C,
    prefix: String,
    exact: bool,
}

/// A product near to another.
#[derive(Clone, Debug, PartialEq)]
pub struct Near {
    /// The product.
    pub sku: String,
    /// How near it is, 0 to 1.
    pub similarity: f64,
}

impl<C: ConnectionLike + Clone> ProductVectors<C> {
    /// The vectors under a prefix, searched through the graph.
    pub fn new(connection: C, prefix: &str) -> Self {
        Self { connection, prefix: prefix.to_owned(), exact: false }
    }

    /// Compares all products, one after the other (TRUTH): exact and the same on every server, but slower with more products.
    #[must_use]
    pub fn with_exact_search(self) -> Self {
        Self { exact: true, ..self }
    }

    /// Adds a product with its vector, or replaces its vector; `true` if it is new. All vectors have the same length. One round
    /// trip.
    pub async fn put(&self, sku: &str, vector: &[f32]) -> Result<bool, StoreError> {
        check_id(sku)?;
        let mut add = redis::cmd("VADD");
        add.arg(self.key()?.as_str()).arg("FP32").arg(bytes(vector)).arg(sku);
        // Without quantization, equal vectors have equal scores.
        send(&self.connection, add.arg("NOQUANT")).await
    }

    /// Removes a product; `false` if it had no vector. One round trip.
    pub async fn remove(&self, sku: &str) -> Result<bool, StoreError> {
        check_id(sku)?;
        send(&self.connection, redis::cmd("VREM").arg(self.key()?.as_str()).arg(sku)).await
    }

    /// The products nearest to a vector, at most [`MAX_NEAR`]; equal ones by SKU. One round trip.
    pub async fn near(&self, vector: &[f32], count: usize) -> Result<Vec<Near>, StoreError> {
        let mut ask = redis::cmd("VSIM");
        ask.arg(self.key()?.as_str()).arg("FP32").arg(bytes(vector));
        self.ask(ask, count).await
    }

    /// The products nearest to this one, without itself; none if it has no vector. One round trip.
    pub async fn like(&self, sku: &str, count: usize) -> Result<Vec<Near>, StoreError> {
        check_id(sku)?;
        let mut ask = redis::cmd("VSIM");
        ask.arg(self.key()?.as_str()).arg("ELE").arg(sku);
        let mut nearest = match self.ask(ask, count.saturating_add(1)).await {
            Err(StoreError::Redis(error))
                if error.detail().is_some_and(|detail| detail.contains("element not found")) =>
            {
                return Ok(Vec::new());
            }
            other => other?,
        };
        nearest.retain(|near| near.sku != sku);
        nearest.truncate(count);
        Ok(nearest)
    }

    async fn ask(&self, mut ask: Cmd, count: usize) -> Result<Vec<Near>, StoreError> {
        if count == 0 {
            return Ok(Vec::new());
        }
        ask.arg("WITHSCORES").arg("COUNT").arg(count.min(MAX_NEAR));
        if self.exact {
            ask.arg("TRUTH");
        }
        let found: Vec<(String, f64)> = send(&self.connection, &ask).await?;
        let mut near: Vec<Near> =
            found.into_iter().map(|(sku, similarity)| Near { sku, similarity }).collect();
        near.sort_by(|a, b| b.similarity.total_cmp(&a.similarity).then_with(|| a.sku.cmp(&b.sku)));
        Ok(near)
    }

    /// The key of the vector set.
    pub fn key(&self) -> Result<Key, StoreError> {
        Ok(Key::new(&self.prefix, "product_vectors", &[])?)
    }
}

/// As VADD and VSIM take it: little-endian FP32.
fn bytes(vector: &[f32]) -> Vec<u8> {
    vector.iter().flat_map(|number| number.to_le_bytes()).collect()
}
