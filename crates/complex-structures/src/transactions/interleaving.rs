//! A pipeline is not a transaction: what another client sees in between.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use lab_connection::{Connection, Target};
use lab_runner::table::{Table, thousands};
use lab_runner::{LessonContext, LessonError, Outcome, Retry};
use redis::RedisResult;
use tokio::task::JoinSet;

use super::crowd::all_end;
use crate::keys::Keys;

/// Seconds that BLPOP waits at most, and that we wait for a pipeline to get there.
const PATIENCE_SECONDS: u64 = 5;
/// How many pipelines the writer of the race sends, and pairs in each.
const PIPELINES: u32 = 20;
const PAIRS: u32 = 1_000;

/// How commands are sent together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Together {
    /// In one go, and nothing more.
    Pipeline,
    /// Within MULTI and EXEC.
    Transaction,
}

/// What a client read while another one wrote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reads {
    /// How often it read.
    pub all: u64,
    /// How often it saw the first of a pair without the second.
    pub torn: u64,
}

impl Together {
    /// Its row in the table.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Pipeline => "pipeline",
            Self::Transaction => "MULTI, EXEC",
        }
    }

    /// An empty pipeline of this kind.
    fn pipe(self) -> redis::Pipeline {
        let mut commands = redis::pipe();
        if self == Self::Transaction {
            commands.atomic();
        }
        commands
    }

    /// One client writes pairs, many in each pipeline; another one reads both keys in one command, until the first
    /// has ended.
    pub async fn race(self, target: &Target, keys: &Keys) -> RedisResult<Reads> {
        let (mut writer, reader) = (target.dedicated().await?, target.dedicated().await?);
        let pair = [keys.pair_first(), keys.pair_second()];
        write(self, &mut writer, &pair, 0..1).await?;
        let ended = Arc::new(AtomicBool::new(false));
        let mut readers = JoinSet::new();
        readers.spawn(read_until(Arc::clone(&ended), reader, pair.clone()));
        for round in 0..PIPELINES {
            write(self, &mut writer, &pair, round * PAIRS..(round + 1) * PAIRS).await?;
        }
        ended.store(true, Ordering::Relaxed);
        let reads = all_end(readers).await?;
        Ok(reads.first().copied().unwrap_or(Reads { all: 0, torn: 0 }))
    }
}

async fn write(
    together: Together,
    writer: &mut Connection,
    pair: &[String; 2],
    values: std::ops::Range<u32>,
) -> RedisResult<()> {
    let mut commands = together.pipe();
    for value in values {
        for key in pair {
            commands.set(key, value).ignore();
        }
    }
    commands.exec_async(writer).await
}

async fn read_until(ended: Arc<AtomicBool>, mut reader: Connection, pair: [String; 2]) -> RedisResult<Reads> {
    let mut reads = Reads { all: 0, torn: 0 };
    while !ended.load(Ordering::Relaxed) {
        let (first, second): (u32, u32) = redis::cmd("MGET").arg(&pair).query_async(&mut reader).await?;
        reads.all += 1;
        reads.torn += u64::from(first != second);
    }
    Ok(reads)
}

pub(super) async fn stop_between(ctx: &LessonContext, keys: &Keys) -> Outcome {
    let (first, second, gate) = (keys.pair_first(), keys.pair_second(), keys.pair_gate());
    let (mut writer, mut reader) = (ctx.dedicated_redis().await?, ctx.dedicated_redis().await?);

    ctx.step(
        "A pipeline is a way of sending: many commands in one go, without waiting for each reply. It does not make them one \
         step. Between any two of them the server may serve others. To catch it in the act, a writer sends SET, BLPOP \
         and SET in one pipeline: BLPOP waits until somebody pushes, and so stops the pipeline in its middle. \
         Meanwhile a reader looks:",
    ).await?;
    let commands = |together: Together, value: u8| {
        let mut commands = together.pipe();
        commands.set(&first, value).ignore();
        commands.cmd("BLPOP").arg(&gate).arg(PATIENCE_SECONDS);
        commands.set(&second, value).ignore();
        commands
    };
    redis::cmd("MSET").arg(&first).arg(1).arg(&second).arg(1).exec_async(&mut ctx.untraced("TODO")).await?;
    let stopped = commands(Together::Pipeline, 2);
    let writing = async {
        Ok::<_, LessonError>(stopped.query_async::<(Option<(String, String)>,)>(&mut writer).await?)
    };
    let reading = async {
        until_written(ctx, &first, 2).await?;
        let seen: (u8, u8) = redis::cmd("MGET").arg(&first).arg(&second).query_async(&mut reader).await?;
        redis::cmd("RPUSH").arg(&gate).arg("go on").exec_async(&mut reader).await?;
        Ok(seen)
    };
    let ((popped,), seen) = tokio::try_join!(writing, reading)?;
    ctx.check("the reader saw the first write without the second", seen == (2, 1) && popped.is_some())?;

    ctx.step(
        "Fix it: MULTI and EXEC around the same commands. Now the server keeps them until EXEC and then runs them with nobody \
         in between. Nothing can wait within it, so BLPOP finds nothing and answers nil at once:",
    ).await?;
    let whole = commands(Together::Transaction, 3);
    let (popped,): (Option<(String, String)>,) = whole.query_async(&mut writer).await?;
    let seen: (u8, u8) =
        redis::cmd("MGET").arg(&first).arg(&second).query_async(&mut ctx.untraced("TODO")).await?;
    ctx.check("both were written, and BLPOP did not wait", popped.is_none() && seen == (3, 3))
}

/// Waits, off the page, until another client has written a value.
async fn until_written(ctx: &LessonContext, key: &str, value: u8) -> Outcome {
    let (mut redis, mut retry) = (ctx.untraced("TODO"), Retry::within(Duration::from_secs(PATIENCE_SECONDS)));
    let claim = format!("{key} is written by the other client");
    loop {
        let seen: Option<u8> = redis::cmd("GET").arg(key).query_async(&mut redis).await?;
        if seen == Some(value) {
            return Ok(());
        }
        retry.again(&claim).await?;
    }
}

pub(super) async fn race(ctx: &LessonContext, keys: &Keys) -> Outcome {
    ctx.step(format!(
        "Nobody needs BLPOP for that. The server reads what a client sends in pieces, 16 kB at first, and serves others \
         between two of them. Here a writer sends {PIPELINES} pipelines of {} pairs each, while a reader asks for both \
         keys with MGET, which is one step. A read is torn when the two are not the same. How many are depends on \
         the machine:",
        thousands(f64::from(PAIRS)),
    )).await?;
    let mut table = Table::new("Torn reads", &["written with", "reads", "torn"]);
    let mut torn = Vec::new();
    for together in [Together::Pipeline, Together::Transaction] {
        let reads = together.race(ctx.target(), keys).await?;
        let numbers = [reads.all, reads.torn].map(|number| thousands(number as f64));
        table = table.row(std::iter::once(together.label().to_owned()).chain(numbers));
        torn.push(reads.torn);
    }
    ctx.table(table);
    ctx.check("with MULTI and EXEC no read was torn", torn.last() == Some(&0))
}
