//! Different visitors in three ways.

use std::collections::BTreeSet;

use lab_connection::Connection;
use lab_runner::table::{Table, bytes, thousands};
use lab_runner::{LessonContext, Outcome};
use redis::{AsyncTypedCommands, RedisResult};

use super::{DAY, Shop};

/// Visits, and the people who make them, numbered from 1.
const VISITS: u64 = 20_000;
const NUMBERS: u64 = 16_000;
/// Visits of one pipeline.
const BATCH: usize = 1_000;

/// How to count different visitors.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Counting {
    /// A Set of their numbers.
    Set,
    /// A bit for each number.
    Bitmap,
    /// A HyperLogLog.
    HyperLogLog,
}

impl Counting {
    /// All three.
    pub(super) const ALL: [Self; 3] = [Self::Set, Self::Bitmap, Self::HyperLogLog];

    /// Where they are counted.
    pub(super) fn key(self, prefix: &str) -> String {
        let way = match self {
            Self::Set => "set",
            Self::Bitmap => "bitmap",
            Self::HyperLogLog => "hyperloglog",
        };
        format!("{prefix}unique_visitors:{way}:{DAY}")
    }

    fn label(self) -> &'static str {
        match self {
            Self::Set => "Set",
            Self::Bitmap => "bitmap",
            Self::HyperLogLog => "HyperLogLog",
        }
    }

    /// Adding a visitor again changes nothing.
    async fn add(self, mut redis: Connection, key: &str, visits: &[u64]) -> RedisResult<()> {
        for batch in visits.chunks(BATCH) {
            let mut add = redis::pipe();
            match self {
                Self::Set => drop(add.sadd(key, batch)),
                Self::Bitmap => {
                    for visitor in batch {
                        add.cmd("SETBIT").arg(key).arg(visitor).arg(1);
                    }
                }
                Self::HyperLogLog => drop(add.pfadd(key, batch)),
            }
            add.expire(key, 400 * 86_400).exec_async(&mut redis).await?;
        }
        Ok(())
    }
}

pub(super) async fn count_in_three_ways(ctx: &LessonContext, shop: &Shop) -> Outcome {
    ctx.step(format!(
        "How many different people made {} visits? A Set (SADD) knows exactly, and knows who. A bitmap (SETBIT) has a bit for \
         each number: exact, and small if the numbers of users are dense. A HyperLogLog (PFADD) only estimates, with an error of \
         about 0.8 %, and takes some 12 kB, however many come.",
        thousands(VISITS as f64),
    )).await?;
    // A stride visits the numbers in no order, and begins again when all had their turn.
    let visits: Vec<u64> = (0..VISITS).map(|visit| visit * 7_919 % NUMBERS + 1).collect();
    let distinct = visits.iter().collect::<BTreeSet<_>>().len() as u64;
    let mut redis = ctx.redis();
    let mut table = Table::new("Unique visitors", &["counted by", "visitors", "counted", "error", "bytes"]);
    let mut errors = Vec::new();
    for counting in Counting::ALL {
        let key = counting.key(&shop.prefix);
        counting.add(ctx.untraced("TODO"), &key, &visits).await?;
        let counted = match counting {
            Counting::Set => redis.scard(&key).await? as u64,
            Counting::Bitmap => redis.bitcount(&key).await? as u64,
            Counting::HyperLogLog => redis.pfcount(&key).await? as u64,
        };
        let size: usize = redis::cmd("MEMORY")
            .arg("USAGE")
            .arg(&key)
            .arg("SAMPLES")
            .arg(0)
            .query_async(&mut ctx.untraced("TODO"))
            .await?;
        let error = counted.abs_diff(distinct) as f64 / distinct as f64;
        table = table.row([
            counting.label().to_owned(),
            thousands(distinct as f64),
            thousands(counted as f64),
            format!("{:.2} %", error * 100.0),
            bytes(size),
        ]);
        errors.push(error);
    }
    ctx.table(table);
    ctx.check(
        "Set and bitmap are exact, the HyperLogLog within 3 %",
        errors[0] + errors[1] == 0.0 && errors[2] < 0.03,
    )
}
