//! Ways to count the customers who bought both of two products.

use lab_runner::{AnyConnection, Approach};
use redis::{AsyncTypedCommands, RedisResult};

use crate::keys::Keys;

/// How to count the members that two Sets have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BoughtBoth {
    /// SMEMBERS of both, intersected in the client.
    InTheClient,
    /// SINTER, counted in the client.
    Intersection,
    /// SINTERCARD, since Redis 7.0.
    Cardinality,
}

impl BoughtBoth {
    /// Those that a server can do, with or without SINTERCARD.
    pub fn all(sintercard: bool) -> Vec<Self> {
        let mut all = vec![Self::InTheClient, Self::Intersection];
        all.extend(sintercard.then_some(Self::Cardinality));
        all
    }

    async fn count<C: AnyConnection>(self, redis: &mut C, pair: [&String; 2]) -> RedisResult<usize> {
        match self {
            Self::InTheClient => {
                let one = redis.smembers(pair[0]).await?;
                let other = redis.smembers(pair[1]).await?;
                Ok(one.intersection(&other).count())
            }
            Self::Intersection => Ok(redis.sinter(&pair).await?.len()),
            Self::Cardinality => redis::cmd("SINTERCARD").arg(2).arg(&pair).query_async(redis).await,
        }
    }
}

/// One product, others, and who bought them.
#[derive(Clone, Debug)]
pub struct Purchases {
    /// A Set for each product, the first product first.
    pub keys: Vec<String>,
    buyers: u64,
}

impl Purchases {
    /// `others + 1` products with `buyers` customers each. Each product shares a tenth of them less with the first product
    /// than the one before.
    pub fn new(buyers: u64, others: usize, keys: &Keys) -> Self {
        Self { keys: (101..=101 + others).map(|id| keys.key(format!("{{buyers}}:{id}"))).collect(), buyers }
    }

    /// The first product with each of the others.
    fn pairs(&self) -> impl Iterator<Item = [&String; 2]> {
        self.keys.iter().skip(1).map(|other| [&self.keys[0], other])
    }
}

impl Approach for BoughtBoth {
    type Input = Purchases;
    /// For each pair, how many customers bought both.
    type Output = Vec<usize>;

    fn label(self) -> String {
        match self {
            Self::InTheClient => "SMEMBERS twice",
            Self::Intersection => "SINTER",
            Self::Cardinality => "SINTERCARD",
        }
        .to_owned()
    }

    fn operations(self, purchases: &Purchases) -> u64 {
        purchases.pairs().count() as u64
    }

    async fn reset<C: AnyConnection>(self, purchases: &Purchases, redis: &mut C) -> RedisResult<()> {
        let mut pipeline = redis::pipe();
        for (key, shift) in purchases.keys.iter().zip(0..) {
            let first = shift * purchases.buyers / 10;
            let customers = first..first + purchases.buyers;
            let customers: Vec<String> = customers.map(|number| format!("customer:{number}")).collect();
            pipeline.sadd(key, customers).ignore();
        }
        pipeline.exec_async(redis).await
    }

    async fn run<C: AnyConnection>(self, purchases: &Purchases, redis: &mut C) -> RedisResult<Vec<usize>> {
        let mut counts = Vec::new();
        for pair in purchases.pairs() {
            counts.push(self.count(redis, pair).await?);
        }
        Ok(counts)
    }
}
