//! A Stream shares the numbers: each entry goes to one consumer of a group and stays pending until it is acknowledged.

use lab_connection::{Connection, Target};
use lab_runner::concurrent::try_join_all;
use lab_runner::table::{Table, thousands};
use lab_runner::{LessonContext, Outcome, Source, source};
use redis::aio::ConnectionLike;
use redis::{RedisResult, Value, cmd};

use crate::keys::Keys;

static STREAM: Source = source!("src/biglist/stream.rs");
/// The group that shares the entries.
pub const GROUP: &str = "readers";
/// Its consumers.
pub const CONSUMERS: [&str; 2] = ["b1", "b2"];
/// Entries written in one pipeline.
const WRITTEN: usize = 1_000;
/// Entries read at a time.
const READ: u64 = 100;

/// An entry: its ID, then its fields and values.
type Entry = (String, Vec<String>);

pub(super) async fn run(ctx: &LessonContext, keys: &Keys) -> Outcome {
    let (key, mut redis) = (keys.biglist_stream(), ctx.redis());
    ctx.step(
        "If several readers share the work, a list either gives all of it to each of them or forgets what one of them has \
         popped. A Stream remembers who got what. The consumers of a group get different entries, and an entry stays pending \
         until its consumer sends XACK.",
    )
    .await?;
    cmd("XGROUP").arg(&["CREATE", &key, GROUP, "$", "MKSTREAM"]).exec_async(&mut redis).await?;
    cmd("XADD").arg(&key).arg(&["*", "number", "1"]).exec_async(&mut redis).await?;
    let first = take(&key, CONSUMERS[0], 1, &mut redis).await?;
    let waiting = pending(&key, &mut redis).await?;
    ctx.check("it was delivered and is pending", (first.len(), waiting) == (1, 1))?;

    ctx.step("The consumer acknowledges the entry, and nothing is pending.").await?;
    acknowledge(&key, &first, &mut redis).await?;
    let waiting = pending(&key, &mut redis).await?;
    ctx.check("nothing is pending", waiting == 0)?;

    let count = ctx.fit("entries", 10_000, 400, 0.05) as u64;
    ctx.step(format!(
        "Server A adds the other numbers up to {}. Then both consumers read what there is, {READ} entries at a time, each on \
         its own connection:",
        thousands(count as f64),
    ))
    .await?;
    ctx.code(STREAM.function("consume"));
    let mut untraced = ctx.untraced(
        "XADD adds the entries in pipelines; the two consumers send XREADGROUP and XACK until nothing is left.",
    );
    add(&key, 2..=count, &mut untraced).await?;
    let shares = share(ctx.target(), &key).await?;
    let waiting = pending(&key, &mut untraced).await?;
    let mut table = Table::new("Who got what", &["consumer", "entries"]);
    for (name, numbers) in CONSUMERS.into_iter().zip(&shares) {
        table = table.row([name.to_owned(), thousands(numbers.len() as f64)]);
    }
    ctx.table(table);
    let mut delivered: Vec<u64> = first.iter().filter_map(number).chain(shares.concat()).collect();
    delivered.sort_unstable();
    ctx.check(
        "each number went to exactly one consumer, and none was lost",
        delivered.into_iter().eq(1..=count),
    )?;
    ctx.check("all entries are acknowledged", waiting == 0)?;
    ctx.say(
        "If a consumer dies before XACK, its entries stay pending, and another consumer claims them with XAUTOCLAIM. Entries \
         stay in the stream until XADD with MAXLEN, or XTRIM, trims it.",
    );
    Ok(())
}

/// Adds an entry for each number.
pub async fn add(
    key: &str,
    numbers: impl Iterator<Item = u64>,
    redis: &mut (impl ConnectionLike + Send),
) -> RedisResult<()> {
    let mut numbers = numbers.peekable();
    while numbers.peek().is_some() {
        let mut pipeline = redis::pipe();
        for number in numbers.by_ref().take(WRITTEN) {
            pipeline.cmd("XADD").arg(key).arg("*").arg("number").arg(number).ignore();
        }
        pipeline.exec_async(redis).await?;
    }
    Ok(())
}

/// Both consumers read at the same time until nothing new is left. Returns the numbers that each of them got.
pub async fn share(target: &Target, key: &str) -> RedisResult<Vec<Vec<u64>>> {
    try_join_all(CONSUMERS.map(async |name| consume(key, name, target.dedicated().await?).await)).await
}

async fn consume(key: &str, consumer: &str, mut redis: Connection) -> RedisResult<Vec<u64>> {
    let mut numbers = Vec::new();
    loop {
        let entries = take(key, consumer, READ, &mut redis).await?;
        if entries.is_empty() {
            return Ok(numbers);
        }
        numbers.extend(entries.iter().filter_map(number));
        acknowledge(key, &entries, &mut redis).await?;
    }
}

/// Up to `count` entries that nobody in the group has.
async fn take(
    key: &str,
    consumer: &str,
    count: u64,
    redis: &mut (impl ConnectionLike + Send),
) -> RedisResult<Vec<Entry>> {
    let mut read = cmd("XREADGROUP");
    read.arg("GROUP").arg(GROUP).arg(consumer).arg("COUNT").arg(count).arg("STREAMS").arg(key).arg(">");
    let streams: Vec<(String, Vec<Entry>)> = read.query_async(redis).await?;
    Ok(streams.into_iter().flat_map(|(_, entries)| entries).collect())
}

async fn acknowledge(
    key: &str,
    entries: &[Entry],
    redis: &mut (impl ConnectionLike + Send),
) -> RedisResult<()> {
    let ids: Vec<&String> = entries.iter().map(|(id, _)| id).collect();
    cmd("XACK").arg(key).arg(GROUP).arg(ids).exec_async(redis).await
}

/// How many entries were delivered and not acknowledged.
pub async fn pending(key: &str, redis: &mut (impl ConnectionLike + Send)) -> RedisResult<u64> {
    let summary: Vec<Value> = cmd("XPENDING").arg(key).arg(GROUP).query_async(redis).await?;
    Ok(summary.first().map(redis::from_redis_value_ref).transpose()?.unwrap_or_default())
}

fn number((_, fields): &Entry) -> Option<u64> {
    fields.get(1)?.parse().ok()
}
