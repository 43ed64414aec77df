//! Ways to add the visits of a day.

use lab_runner::{AnyConnection, Approach};
use redis::{AsyncTypedCommands, Pipeline, RedisResult};

use super::counting::Counting;
use crate::keys::Keys;

/// How to add many visits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AddVisits {
    /// A pipeline with one command per visit: SADD, SETBIT, or PFADD.
    Pipeline(Counting),
    /// One SADD or PFADD.
    AtOnce(Counting),
}

impl AddVisits {
    /// All of them. SETBIT takes only one bit, so there is no bitmap at once.
    pub const ALL: [Self; 5] = [
        Self::Pipeline(Counting::Set),
        Self::AtOnce(Counting::Set),
        Self::Pipeline(Counting::Bitmap),
        Self::Pipeline(Counting::HyperLogLog),
        Self::AtOnce(Counting::HyperLogLog),
    ];

    /// What it counts with.
    pub fn counting(self) -> Counting {
        let (Self::Pipeline(counting) | Self::AtOnce(counting)) = self;
        counting
    }
}

/// The visits of a day, in order. Visitors are numbers from 1, and each comes twice.
#[derive(Clone, Debug)]
pub struct Visits {
    day: String,
    visitors: Vec<u32>,
    keys: Keys,
}

impl Visits {
    /// `count` visits by half as many visitors.
    pub fn new(day: &str, count: u32, keys: &Keys) -> Self {
        let visitors = (0..count).map(|visit| visit / 2 + 1).collect();
        Self { day: day.to_owned(), visitors, keys: keys.clone() }
    }

    /// The key of each way to count.
    pub fn keys(&self) -> [String; 3] {
        Counting::ALL.map(|counting| counting.key(&self.keys, &self.day))
    }
}

impl Approach for AddVisits {
    type Input = Visits;
    /// Whether the count afterward is what the structure promises: exact, or within three standard errors.
    type Output = bool;

    fn label(self) -> String {
        let command = match self.counting() {
            Counting::Set => "SADD",
            Counting::Bitmap => "SETBIT",
            Counting::HyperLogLog => "PFADD",
        };
        match self {
            Self::Pipeline(_) => format!("pipeline of {command}s"),
            Self::AtOnce(_) => format!("one {command}"),
        }
    }

    fn operations(self, visits: &Visits) -> u64 {
        visits.visitors.len() as u64
    }

    async fn reset<C: AnyConnection>(self, visits: &Visits, redis: &mut C) -> RedisResult<()> {
        redis.unlink(&visits.keys()).await.map(drop)
    }

    async fn run<C: AnyConnection>(self, visits: &Visits, redis: &mut C) -> RedisResult<bool> {
        let counting = self.counting();
        let key = counting.key(&visits.keys, &visits.day);
        let mut pipeline = redis::pipe();
        match self {
            Self::Pipeline(_) => add_each(counting, &mut pipeline, &key, &visits.visitors),
            Self::AtOnce(_) => counting.add_chunk(&mut pipeline, &key, &visits.visitors),
        }
        counting.add_count(&mut pipeline, &key);
        let (count,): (usize,) = pipeline.query_async(redis).await?;
        Ok(counting.is_right(count, visits.visitors.len().div_ceil(2)))
    }
}

fn add_each(counting: Counting, pipeline: &mut Pipeline, key: &str, visitors: &[u32]) {
    for &visitor in visitors {
        match counting {
            Counting::Set => pipeline.sadd(key, visitor).ignore(),
            Counting::Bitmap => pipeline.setbit(key, visitor as usize, true).ignore(),
            Counting::HyperLogLog => pipeline.pfadd(key, visitor).ignore(),
        };
    }
}
