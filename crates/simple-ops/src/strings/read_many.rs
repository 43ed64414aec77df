//! Ways to read many strings.

use lab_runner::{AnyConnection, Approach};
use redis::RedisResult;

use crate::keys::Keys;

/// How to read many strings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadMany {
    /// GET, wait for the answer, the next GET: a round trip for each key.
    OneByOne,
    /// One command that names all keys.
    Mget,
    /// One GET for each key, all sent before the first answer is awaited.
    Pipeline,
}

/// Prices, each under a key of its own.
#[derive(Clone, Debug)]
pub struct Prices {
    keys: Vec<String>,
    cents: Vec<i64>,
}

impl Prices {
    /// The prices of the products 1 to `count`.
    #[must_use]
    pub fn first(count: usize, keys: &Keys) -> Self {
        let cents = (499_i64..).step_by(50).take(count).collect();
        Self { keys: (1..=count).map(|product| keys.price(product)).collect(), cents }
    }

    /// Where they are stored, in order.
    #[must_use]
    pub fn keys(&self) -> &[String] {
        &self.keys
    }
}

impl Approach for ReadMany {
    type Input = Prices;
    /// The prices in cents, in the order of the keys; `None` for a missing one.
    type Output = Vec<Option<i64>>;

    fn label(self) -> String {
        match self {
            Self::OneByOne => "GET, one by one",
            Self::Mget => "MGET",
            Self::Pipeline => "pipeline of GETs",
        }
        .to_owned()
    }

    fn operations(self, prices: &Prices) -> u64 {
        prices.keys.len() as u64
    }

    async fn reset<C: AnyConnection>(self, prices: &Prices, connection: &mut C) -> RedisResult<()> {
        let mut mset = redis::cmd("MSET");
        for (key, cents) in prices.keys.iter().zip(&prices.cents) {
            mset.arg(key).arg(cents);
        }
        mset.exec_async(connection).await
    }

    async fn run<C: AnyConnection>(self, prices: &Prices, connection: &mut C) -> RedisResult<Self::Output> {
        match self {
            Self::OneByOne => {
                let mut read = Vec::with_capacity(prices.keys.len());
                for key in &prices.keys {
                    read.push(redis::cmd("GET").arg(key).query_async(connection).await?);
                }
                Ok(read)
            }
            Self::Mget => redis::cmd("MGET").arg(&prices.keys).query_async(connection).await,
            Self::Pipeline => {
                let mut pipeline = redis::pipe();
                for key in &prices.keys {
                    pipeline.get(key);
                }
                pipeline.query_async(connection).await
            }
        }
    }
}
