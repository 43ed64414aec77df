//! The products that the comparisons work on.

use lab_runner::Keys;
use redis::RedisResult;
use redis::aio::ConnectionLike;

use super::shape::Shape;
use crate::catalog::{Product, products};

/// The products of the comparisons have the numbers from here on.
const FIRST_ID: u64 = 1001;

/// A few products, and where they are stored.
#[derive(Clone, Debug)]
pub struct Assortment {
    keys: Keys,
    products: Vec<Product>,
}

impl Assortment {
    /// The products 1001 and following.
    pub fn with(count: usize, keys: &Keys) -> Self {
        Self { keys: keys.clone(), products: products(FIRST_ID, count) }
    }

    /// The products, as they are before anything is sold.
    pub fn products(&self) -> &[Product] {
        &self.products
    }

    /// Where they are stored in this shape, in order.
    pub fn keys(&self, shape: Shape) -> Vec<String> {
        self.products.iter().map(|product| shape.key(&self.keys, product.id)).collect()
    }

    /// Puts all of them back to how they were.
    pub async fn fill(&self, shape: Shape, connection: &mut impl ConnectionLike) -> RedisResult<()> {
        let mut pipeline = redis::pipe();
        for (key, product) in self.keys(shape).iter().zip(&self.products) {
            pipeline.add_command(shape.store_command(key, product)?).ignore();
        }
        pipeline.exec_async(connection).await
    }
}
