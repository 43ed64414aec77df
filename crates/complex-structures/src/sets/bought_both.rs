//! Ways to ask how many customers bought both of two products.

use std::collections::HashSet;

use lab_runner::{AnyConnection, Approach};
use redis::{Pipeline, RedisResult};

use crate::keys::Keys;

/// How to count those who are in both of two Sets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BoughtBoth {
    /// SMEMBERS of both, intersected here.
    InTheClient,
    /// SINTER, counted here.
    Intersection,
    /// SINTERCARD, since Redis 7.0.
    Cardinality,
}

impl BoughtBoth {
    /// Those that a server can do, with or without SINTERCARD.
    #[must_use]
    pub fn all(sintercard: bool) -> Vec<Self> {
        [Self::InTheClient, Self::Intersection]
            .into_iter()
            .chain(sintercard.then_some(Self::Cardinality))
            .collect()
    }
}

/// One product, others, and who bought them.
#[derive(Clone, Debug)]
pub struct Purchases {
    keys: Vec<String>,
    buyers: u64,
    step: u64,
}

impl Purchases {
    /// `others + 1` products with `buyers` customers each. Each product shares a tenth of them less with the first than
    /// the one before.
    #[must_use]
    pub fn of(buyers: u64, others: u64, keys: &Keys) -> Self {
        Self { keys: (0..=others).map(|other| keys.buyers(101 + other)).collect(), buyers, step: buyers / 10 }
    }

    /// The Sets, that of the first product first.
    #[must_use]
    pub fn keys(&self) -> &[String] {
        &self.keys
    }

    /// The first product, and each of the others.
    fn pairs(&self) -> impl Iterator<Item = [&String; 2]> {
        self.keys
            .first()
            .into_iter()
            .flat_map(|first| self.keys.iter().skip(1).map(move |other| [first, other]))
    }
}

impl Approach for BoughtBoth {
    type Input = Purchases;
    /// How many bought the first product and the second, the first and the third, and so on.
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

    async fn reset<C: AnyConnection>(self, purchases: &Purchases, connection: &mut C) -> RedisResult<()> {
        let mut pipeline = Pipeline::new();
        for (key, shift) in purchases.keys.iter().zip(0..) {
            let first = shift * purchases.step;
            let customers: Vec<String> =
                (first..first + purchases.buyers).map(|number| format!("customer:{number}")).collect();
            pipeline.cmd("SADD").arg(key).arg(customers).ignore();
        }
        pipeline.exec_async(connection).await
    }

    async fn run<C: AnyConnection>(
        self,
        purchases: &Purchases,
        connection: &mut C,
    ) -> RedisResult<Vec<usize>> {
        let mut both = Vec::new();
        for pair in purchases.pairs() {
            both.push(match self {
                Self::InTheClient => {
                    let [first, other] = pair;
                    let first: HashSet<String> =
                        redis::cmd("SMEMBERS").arg(first).query_async(connection).await?;
                    let other: HashSet<String> =
                        redis::cmd("SMEMBERS").arg(other).query_async(connection).await?;
                    first.intersection(&other).count()
                }
                Self::Intersection => {
                    let both: Vec<String> = redis::cmd("SINTER").arg(&pair).query_async(connection).await?;
                    both.len()
                }
                Self::Cardinality => {
                    redis::cmd("SINTERCARD").arg(2).arg(&pair).query_async(connection).await?
                }
            });
        }
        Ok(both)
    }
}
