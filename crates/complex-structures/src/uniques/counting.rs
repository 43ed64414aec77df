//! Counting different visitors with a Set, a bitmap, or a HyperLogLog.

use std::ops::RangeInclusive;

use lab_connection::Connection;
use redis::{Pipeline, RedisResult};

use crate::keys::Keys;

/// Visitors in one command, and in one pipeline.
const CHUNK: usize = 5_000;
const BATCH: usize = 25_000;
/// The standard error of Redis's HyperLogLog: 1.04 / sqrt(16,384), which is 0.81%.
const STANDARD_ERROR: f64 = 0.008_125;

/// How to count different visitors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counting {
    /// A Set of their numbers: exact, and it knows who they are.
    Set,
    /// One bit per number: exact, and small if the numbers are dense.
    Bitmap,
    /// A HyperLogLog: an estimate, never much more than 12 kB.
    HyperLogLog,
}

impl Counting {
    /// All of them, in the order of the lesson.
    pub const ALL: [Self; 3] = [Self::Set, Self::Bitmap, Self::HyperLogLog];

    /// Its row in the table.
    pub fn label(self) -> &'static str {
        match self {
            Self::Set => "Set",
            Self::Bitmap => "bitmap",
            Self::HyperLogLog => "HyperLogLog",
        }
    }

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

    pub(super) fn add_chunk(self, pipeline: &mut Pipeline, key: &str, visitors: &[u32]) {
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

    pub(super) fn add_count(self, pipeline: &mut Pipeline, key: &str) {
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
