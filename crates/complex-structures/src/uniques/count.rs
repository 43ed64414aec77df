//! The same visitors in a Set, a bitmap and a HyperLogLog: counted, and weighed.

use lab_connection::Connection;
use lab_runner::table::{Table, bytes, thousands};
use lab_runner::{LessonContext, LessonError, Outcome};
use redis::RedisResult;

use super::MONDAY;
use crate::keys::Keys;

/// Numbers of visitors in the table.
pub(super) const SIZES: [u32; 3] = [100, 10_000, 100_000];
/// Visitors in one command or pipeline.
const CHUNK: u32 = 5_000;

/// A standard error of Redis's HyperLogLog: 1.04 / sqrt(16,384), which is 0.81 %.
const STANDARD_ERROR: f64 = 0.008_125;
/// Bytes of a HyperLogLog at its largest: 16,384 registers of 6 bits and a header of 16 bytes.
const LARGEST_ESTIMATE: usize = 16_384 * 6 / 8 + 16;

/// How to count different visitors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counting {
    /// A Set of their numbers: exact, and it knows who they are.
    Set,
    /// A bit for each number: exact, small where the numbers are dense.
    Bitmap,
    /// A HyperLogLog: an estimate, never much more than 12 kB.
    HyperLogLog,
}

impl Counting {
    /// All of them, in the order of the lesson.
    pub const ALL: [Self; 3] = [Self::Set, Self::Bitmap, Self::HyperLogLog];

    /// Its row in the table.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Set => "Set",
            Self::Bitmap => "bitmap",
            Self::HyperLogLog => "HyperLogLog",
        }
    }

    /// Its key for a day.
    #[must_use]
    pub fn key(self, keys: &Keys, day: &str) -> String {
        match self {
            Self::Set => keys.visitor_set(day),
            Self::Bitmap => keys.visitor_bits(day),
            Self::HyperLogLog => keys.visitor_estimate(day),
        }
    }

    /// Adds the visitors `first` to `last`, both included.
    pub async fn add(self, connection: &mut Connection, key: &str, first: u32, last: u32) -> RedisResult<()> {
        let mut next = first;
        while next <= last {
            let end = last.min(next.saturating_add(CHUNK - 1));
            let mut commands = redis::pipe();
            match self {
                Self::Set => commands.cmd("SADD").arg(key).arg((next..=end).collect::<Vec<_>>()).ignore(),
                Self::HyperLogLog => {
                    commands.cmd("PFADD").arg(key).arg((next..=end).collect::<Vec<_>>()).ignore()
                }
                Self::Bitmap => {
                    for visitor in next..=end {
                        commands.cmd("SETBIT").arg(key).arg(visitor).arg(1).ignore();
                    }
                    &mut commands
                }
            };
            commands.exec_async(connection).await?;
            let Some(after) = end.checked_add(1) else { break };
            next = after;
        }
        Ok(())
    }

    /// How many different visitors there were; an estimate with a HyperLogLog.
    pub async fn count(self, connection: &mut Connection, key: &str) -> RedisResult<u64> {
        let command = match self {
            Self::Set => "SCARD",
            Self::Bitmap => "BITCOUNT",
            Self::HyperLogLog => "PFCOUNT",
        };
        redis::cmd(command).arg(key).query_async(connection).await
    }

    /// Whether a count is as near to `real` as it must be: exact, or within three standard errors.
    #[must_use]
    pub fn is_right(self, counted: u64, real: u64) -> bool {
        match self {
            Self::Set | Self::Bitmap => counted == real,
            Self::HyperLogLog => error_of(counted, real).abs() <= 3.0 * STANDARD_ERROR,
        }
    }
}

/// As a share of the real number: 0.01 is one percent too many.
pub(super) fn error_of(counted: u64, real: u64) -> f64 {
    (counted as f64 - real as f64) / (real.max(1) as f64)
}

pub(super) async fn count_visits(ctx: &LessonContext, keys: &Keys) -> Outcome {
    let mut redis = ctx.redis();
    let visitors = keys.visitor_set(MONDAY);

    ctx.step(
        "Five visits, but how many visitors? A Set holds each member once. SADD answers how many were new, SCARD how many \
         there are, and nothing is counted twice.",
    ).await?;
    let new: usize =
        redis::cmd("SADD").arg(&visitors).arg(&[7, 12, 7, 3, 12]).query_async(&mut redis).await?;
    let all: usize = redis::cmd("SCARD").arg(&visitors).query_async(&mut redis).await?;
    ctx.check("five visits by three visitors", (new, all) == (3, 3))
}

pub(super) async fn compare_sizes(ctx: &LessonContext, keys: &Keys) -> Outcome {
    let mut redis = ctx.untraced("TODO");
    ctx.step(
        "All three side by side, with visitors 1 to N in each. The bytes are those of MEMORY USAGE with SAMPLES 0, which \
         counts every element, the key's name and the server's overhead. (A bitmap that grows bit by bit reserves room \
         ahead, so it takes up to twice its N / 8 bytes.)",
    ).await?;
    let mut table = Table::new("Different visitors", &["visitors", "kept in", "counted", "error", "bytes"]);
    let (mut exact, mut near, mut small) = (true, true, true);
    for size in SIZES {
        let day = size.to_string();
        for counting in Counting::ALL {
            let key = counting.key(keys, &day);
            counting.add(&mut redis, &key, 1, size).await?;
            let (counted, real) = (counting.count(&mut redis, &key).await?, u64::from(size));
            let usage = memory_usage(&mut redis, &key).await?;
            let error = format!("{:.2} %", 100.0 * error_of(counted, real));
            let cells = [thousands(f64::from(size)), counting.label().into(), thousands(counted as f64)];
            table = table.row(cells.into_iter().chain([error, bytes(usage)]));
            if counting == Counting::HyperLogLog {
                let length: usize = redis::cmd("STRLEN").arg(&key).query_async(&mut redis).await?;
                near &= counting.is_right(counted, real);
                small &= length <= LARGEST_ESTIMATE;
            } else {
                exact &= counting.is_right(counted, real);
            }
        }
    }
    ctx.table(table);
    ctx.check("Set and bitmap are exact", exact)?;
    ctx.check("the HyperLogLog is within three standard errors, 2.4 %", near)?;
    ctx.check("and its value never exceeds 12,304 bytes (STRLEN)", small)?;
    for size in SIZES {
        let day = size.to_string();
        ctx.start_clean(&Counting::ALL.map(|counting| counting.key(keys, &day))).await?;
    }
    Ok(())
}

/// Bytes of a key with all that belongs to it.
pub(super) async fn memory_usage(redis: &mut Connection, key: &str) -> Result<usize, LessonError> {
    Ok(redis::cmd("MEMORY").arg("USAGE").arg(key).arg("SAMPLES").arg(0).query_async(redis).await?)
}
