//! A Stream shares the numbers out: each entry goes to one consumer of a group, and is pending until it is done.

use lab_connection::{Connection, Target};
use lab_runner::table::{Table, thousands};
use lab_runner::{LessonContext, LessonError, Outcome};
use redis::aio::ConnectionLike;
use redis::{RedisError, RedisResult, Value};
use tokio::task::JoinSet;

use crate::keys::Keys;

/// The group that shares the entries.
pub const GROUP: &str = "readers";
/// Its consumers.
pub const CONSUMERS: [&str; 2] = ["b1", "b2"];
/// Entries written in one pipeline.
const WRITTEN: usize = 1_000;
/// Entries read at a time.
const READ: u64 = 100;

/// An entry of a stream: its id, and its fields and values.
type Entry = (String, Vec<String>);
/// What XREADGROUP answers: for each stream its entries.
type Streams = Vec<(String, Vec<Entry>)>;

pub(super) async fn run(ctx: &LessonContext, keys: &Keys, count: u64) -> Outcome {
    let key = keys.biglist_stream();
    ctx.step(
        "When several readers are to share the work, a list gives every one of them all of it, or forgets what one has \
         popped. A Stream remembers who got what. Consumers of a group each get other entries; an entry stays pending \
         until its consumer says XACK.",
    ).await?;
    let mut redis = ctx.dedicated_redis().await?;
    redis::cmd("XGROUP").arg(&["CREATE", &key, GROUP, "$", "MKSTREAM"]).exec_async(&mut redis).await?;
    redis::cmd("XADD").arg(&key).arg(&["*", "number", "1"]).exec_async(&mut redis).await?;
    add(&key, 2..=count, &mut ctx.untraced("TODO")).await?;
    ctx.step(format!(
        "The others follow in pipelines, up to {}. The first consumer takes one entry:",
        thousands(count as f64)
    ))
    .await?;
    let first = take(&key, CONSUMERS[0], 1, &mut redis).await?;
    let pending = pending(&key, &mut redis).await?;
    ctx.check("it was delivered, and is pending until it is acknowledged", (first.len(), pending) == (1, 1))?;
    acknowledge(&key, &first, &mut redis).await?;

    ctx.step("Now both consumers take what there is, 100 at a time, each on a connection of its own.")
        .await?;
    let [mut one, two] = share(ctx.target(), &key).await?;
    one.extend(first.iter().filter_map(number_of));
    let mut table = Table::new("Who got what", &["consumer", "entries"]);
    for (name, numbers) in CONSUMERS.into_iter().zip([&one, &two]) {
        table = table.row([name.to_owned(), thousands(numbers.len() as f64)]);
    }
    ctx.table(table);
    let mut delivered: Vec<u64> = one.into_iter().chain(two).collect();
    delivered.sort_unstable();
    ctx.check(
        "each number was delivered to exactly one of them, none was lost",
        delivered.into_iter().eq(1..=count),
    )?;
    let left = self::pending(&key, &mut redis).await?;
    ctx.check("all are acknowledged: nothing is pending", left == 0)?;
    ctx.step(
        "Had a consumer died before XACK, its entries would still be pending, and another could claim them (XAUTOCLAIM). \
         The entries stay in the stream until it is trimmed (XADD with MAXLEN, or XTRIM).",
    ).await?;
    Ok(())
}

/// Adds numbers to the stream, each as an entry.
pub async fn add(
    key: &str,
    numbers: impl Iterator<Item = u64>,
    connection: &mut (impl ConnectionLike + Send),
) -> RedisResult<()> {
    let mut numbers = numbers.peekable();
    while numbers.peek().is_some() {
        let mut pipeline = redis::pipe();
        for number in numbers.by_ref().take(WRITTEN) {
            pipeline.cmd("XADD").arg(key).arg("*").arg("number").arg(number).ignore();
        }
        pipeline.exec_async(connection).await?;
    }
    Ok(())
}

/// Lets both consumers read at the same time until nothing new is left; the numbers that each of them got.
pub async fn share(target: &Target, key: &str) -> Result<[Vec<u64>; 2], LessonError> {
    let mut consumers = JoinSet::new();
    for (index, name) in CONSUMERS.into_iter().enumerate() {
        let (key, connection) = (key.to_owned(), target.dedicated().await?);
        consumers.spawn(async move { consume(&key, name, connection).await.map(|numbers| (index, numbers)) });
    }
    let mut shares = [Vec::new(), Vec::new()];
    while let Some(ended) = consumers.join_next().await {
        let (index, numbers) =
            ended.map_err(|stopped| RedisError::from(std::io::Error::other(stopped)))??;
        shares[index] = numbers;
    }
    Ok(shares)
}

async fn consume(key: &str, consumer: &str, mut connection: Connection) -> RedisResult<Vec<u64>> {
    let mut numbers = Vec::new();
    loop {
        let entries = take(key, consumer, READ, &mut connection).await?;
        if entries.is_empty() {
            return Ok(numbers);
        }
        numbers.extend(entries.iter().filter_map(number_of));
        acknowledge(key, &entries, &mut connection).await?;
    }
}

/// Takes up to `most` entries that nobody in the group has got.
async fn take(
    key: &str,
    consumer: &str,
    most: u64,
    connection: &mut (impl ConnectionLike + Send),
) -> RedisResult<Vec<Entry>> {
    let mut read = redis::cmd("XREADGROUP");
    read.arg("GROUP").arg(GROUP).arg(consumer).arg("COUNT").arg(most).arg("STREAMS").arg(key).arg(">");
    let streams: Streams = read.query_async(connection).await?;
    Ok(streams.into_iter().flat_map(|(_, entries)| entries).collect())
}

async fn acknowledge(
    key: &str,
    entries: &[Entry],
    connection: &mut (impl ConnectionLike + Send),
) -> RedisResult<()> {
    let mut xack = redis::cmd("XACK");
    xack.arg(key).arg(GROUP);
    for (id, _) in entries {
        xack.arg(id);
    }
    xack.exec_async(connection).await
}

/// How many entries were delivered and not acknowledged.
pub async fn pending(key: &str, connection: &mut (impl ConnectionLike + Send)) -> RedisResult<u64> {
    let summary: Vec<Value> = redis::cmd("XPENDING").arg(key).arg(GROUP).query_async(connection).await?;
    Ok(summary.first().map(redis::from_redis_value_ref).transpose()?.unwrap_or_default())
}

fn number_of((_, fields): &Entry) -> Option<u64> {
    fields.get(1)?.parse().ok()
}
