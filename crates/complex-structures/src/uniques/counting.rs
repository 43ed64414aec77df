//! Counting different visitors with a Set, a bitmap, or a HyperLogLog, and ways to add the visits of a day.

use std::ops::RangeInclusive;

use lab_connection::Connection;
use lab_runner::{AnyConnection, Approach, Keys, labeled};
use redis::{AsyncTypedCommands, Pipeline, RedisResult};

/// Visitors in one command, and in one pipeline.
const CHUNK: usize = 5_000;
const BATCH: usize = 50_000;
/// The standard error of Redis's HyperLogLog: 1.04 / sqrt(16,384), which is 0.81%.
const STANDARD_ERROR: f64 = 0.008_125;

labeled! {
    /// How to count different visitors.
    pub enum Counting {
        /// Of their numbers: exact, and it knows who they are.
        Set => "Set",
        /// One bit per number: exact, and small if the numbers are dense.
        Bitmap => "bitmap",
        /// An estimate, never much more than 12 kB.
        HyperLogLog => "HyperLogLog",
    }
}

impl Counting {
    /// Its key for a day. All days share a hash tag, because BITOP and PFMERGE take keys of one slot only.
    pub fn key(self, keys: &Keys, day: &str) -> String {
        let kind = match self {
            Self::Set => "set",
            Self::Bitmap => "bitmap",
            Self::HyperLogLog => "hll",
        };
        keys.key(format!("{{visitors}}:{day}:{kind}"))
    }

    /// Adds visitors, many in each pipeline.
    pub async fn add(
        self,
        redis: &mut Connection,
        key: &str,
        visitors: RangeInclusive<u32>,
    ) -> RedisResult<()> {
        let visitors: Vec<u32> = visitors.collect();
        for batch in visitors.chunks(BATCH) {
            let mut pipeline = redis::pipe();
            for chunk in batch.chunks(CHUNK) {
                self.add_chunk(&mut pipeline, key, chunk);
            }
            pipeline.exec_async(redis).await?;
        }
        Ok(())
    }

    fn add_chunk(self, pipeline: &mut Pipeline, key: &str, visitors: &[u32]) {
        match self {
            Self::Set => pipeline.sadd(key, visitors).ignore(),
            Self::HyperLogLog => pipeline.pfadd(key, visitors).ignore(),
            Self::Bitmap => {
                for &visitor in visitors {
                    pipeline.setbit(key, visitor as usize, true).ignore();
                }
                pipeline
            }
        };
    }

    fn add_count(self, pipeline: &mut Pipeline, key: &str) {
        match self {
            Self::Set => pipeline.scard(key),
            Self::Bitmap => pipeline.bitcount(key),
            Self::HyperLogLog => pipeline.pfcount(key),
        };
    }

    /// How many different visitors there were (with a HyperLogLog an estimate), and the bytes in memory.
    pub async fn count_and_memory(self, redis: &mut Connection, key: &str) -> RedisResult<(usize, usize)> {
        let mut pipeline = redis::pipe();
        self.add_count(&mut pipeline, key);
        pipeline.cmd("MEMORY").arg(&["USAGE", key, "SAMPLES", "0"]);
        pipeline.query_async(redis).await
    }

    /// Whether a count is as close to `real` as it must be: exact, or within three standard errors.
    pub fn is_right(self, counted: usize, real: usize) -> bool {
        match self {
            Self::Set | Self::Bitmap => counted == real,
            Self::HyperLogLog => error_of(counted, real).abs() <= 3.0 * STANDARD_ERROR,
        }
    }
}

/// As a share of the real number: 0.01 is one percent too many.
pub(super) fn error_of(counted: usize, real: usize) -> f64 {
    (counted as f64 - real as f64) / (real.max(1) as f64)
}

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
