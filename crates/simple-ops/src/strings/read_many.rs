//! Ways to read many strings.

use lab_runner::{AnyConnection, Approach, Keys, labeled};
use redis::RedisResult;

labeled! {
    /// How to read many strings.
    pub enum ReadMany {
        /// A round trip for each key.
        OneByOne => "GET, one by one",
        /// One command that names all keys.
        Mget => "MGET",
        /// All sent before the first reply is awaited.
        Pipeline => "pipeline of GETs",
    }
}

/// Prices, each with its own key.
#[derive(Clone, Debug)]
pub struct Prices {
    keys: Vec<String>,
    cents: Vec<i64>,
}

impl Prices {
    /// The prices of the products 1 to `count`.
    pub fn first(count: usize, keys: &Keys) -> Self {
        let cents = (499_i64..).step_by(50).take(count).collect();
        let keys = (1..=count).map(|product| keys.key(format_args!("price:{product}"))).collect();
        Self { keys, cents }
    }

    /// Their keys, in order.
    pub fn keys(&self) -> &[String] {
        &self.keys
    }
}

impl Approach for ReadMany {
    type Input = Prices;
    /// The prices in cents, in the order of the keys; `None` for a missing one.
    type Output = Vec<Option<i64>>;

    const RESET_ONCE: bool = true;

    fn label(self) -> String {
        self.label().to_owned()
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
            Self::OneByOne => one_by_one(connection, &prices.keys).await,
            Self::Mget => by_mget(connection, &prices.keys).await,
            Self::Pipeline => by_pipeline(connection, &prices.keys).await,
        }
    }
}

type Cents = Option<i64>;

async fn one_by_one(redis: &mut impl AnyConnection, keys: &[String]) -> RedisResult<Vec<Cents>> {
    let mut prices = Vec::new();
    for key in keys {
        prices.push(redis::cmd("GET").arg(key).query_async(redis).await?);
    }
    Ok(prices)
}

async fn by_mget(redis: &mut impl AnyConnection, keys: &[String]) -> RedisResult<Vec<Cents>> {
    redis::cmd("MGET").arg(keys).query_async(redis).await
}

async fn by_pipeline(redis: &mut impl AnyConnection, keys: &[String]) -> RedisResult<Vec<Cents>> {
    let mut pipeline = redis::pipe();
    for key in keys {
        pipeline.get(key);
    }
    pipeline.query_async(redis).await
}
