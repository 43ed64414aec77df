//! One client writes pairs, and another one counts how often it sees half of a pair.

use std::sync::atomic::{AtomicBool, Ordering};

use lab_connection::{Connection, Target};
use redis::RedisResult;

/// Pairs in each pipeline.
const PAIRS: usize = 1_000;

/// How to send several writes together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriteTogether {
    /// All at once, and nothing more.
    Pipeline,
    /// Inside MULTI and EXEC.
    Transaction,
}

/// What a client read while another one wrote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reads {
    /// How often it read.
    pub all: u64,
    /// How often it saw the first write of a pair without the second.
    pub torn: u64,
}

impl WriteTogether {
    /// Both, the wrong one first.
    pub const ALL: [Self; 2] = [Self::Pipeline, Self::Transaction];

    /// Its row in the table.
    pub fn label(self) -> &'static str {
        match self {
            Self::Pipeline => "pipeline",
            Self::Transaction => "MULTI, EXEC",
        }
    }

    /// Writes pairs in this many pipelines, while another client reads both keys.
    pub async fn race(self, target: &Target, pair: [&String; 2], pipelines: usize) -> RedisResult<Reads> {
        let (mut writer, reader) = tokio::try_join!(target.dedicated(), target.dedicated())?;
        self.write_pairs(&mut writer, pair).await?;
        let ended = AtomicBool::new(false);
        let writing = async {
            for _ in 0..pipelines {
                self.write_pairs(&mut writer, pair).await?;
            }
            ended.store(true, Ordering::Relaxed);
            Ok(())
        };
        let ((), reads) = tokio::try_join!(writing, count_reads(reader, pair, &ended))?;
        Ok(reads)
    }

    async fn write_pairs(self, writer: &mut Connection, [first, second]: [&String; 2]) -> RedisResult<()> {
        let mut pipeline = redis::pipe();
        if self == Self::Transaction {
            pipeline.atomic();
        }
        for value in 0..PAIRS {
            pipeline.set(first, value).ignore().set(second, value).ignore();
        }
        pipeline.exec_async(writer).await
    }
}

async fn count_reads(mut reader: Connection, pair: [&String; 2], ended: &AtomicBool) -> RedisResult<Reads> {
    let mut reads = Reads { all: 0, torn: 0 };
    while !ended.load(Ordering::Relaxed) {
        let (first, second): (u32, u32) = redis::cmd("MGET").arg(&pair).query_async(&mut reader).await?;
        reads.all += 1;
        reads.torn += u64::from(first != second);
    }
    Ok(reads)
}
