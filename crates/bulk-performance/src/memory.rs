//! How much memory does a record take, depending on how you store it?
//!
//! `cargo bulk memory`

mod weigh;

use std::cmp::Ordering;
use std::collections::HashMap;
use std::sync::Arc;

use clap::Args;
use lab_connection::{Connection, own_keys};
use lab_measure::memory::{self, Access, COLUMNS, Encoding, Store, Zstd, changes_are_kept};
use lab_runner::caveat::Caveat;
use lab_runner::concurrent::try_join_all;
use lab_runner::environment::environment;
use lab_runner::measurement::{ComparisonResult, Measured, Row};
use lab_runner::table::{Table, percent, thousands};
use lab_runner::{Lesson, LessonContext, LessonError, Outcome, Source, activity, source};
use redis::{AsyncTypedCommands, RedisResult};

pub use self::weigh::{MemoryUsage, weigh};
use self::weigh::{index_table, per, usage_table, weigh_indexes};
use crate::keys::Keys;
use crate::people::{FIELDS, People};
use crate::stored::{Content, index_keys};

/// The lesson: the command in small sizes.
pub static LESSON: Lesson = Lesson {
    name: "memory",
    title: "Bytes per record",
    question: "How much memory does a record take, depending on how you store it?",
    commands: &["OBJECT ENCODING", "MEMORY USAGE", "HGET", "LINDEX", "BITFIELD_RO"],
    needs: &[],
    sources: &[source!("src/memory.rs"), source!("src/memory/weigh.rs")],
    rule: "Use one Hash for each record until memory is what you pay for.",
    takeaways: &[
        "Short field names cost nothing but readability. Try them first.",
        "Columns in buckets keep HGET and HSET, but a single user has no TTL and no DEL anymore.",
        "MessagePack or compressed values in buckets suit what you read and write whole.",
    ],
    quiz: &[7, 16, 21, 47, 48, 110],
    run: |ctx| Box::pin(run(ctx, Options { records: None, default_records: SHORT_RECORDS })),
};

static WEIGH: Source = source!("src/memory/weigh.rs");

/// Users that stay in each encoding, for you to look at.
const LEFT: u64 = 10;
/// Users of which some are read and changed when time is measured.
const TIMED: u64 = 1_000;
/// Users in each encoding without `--records`.
const RECORDS: u64 = 20_000;
const SHORT_RECORDS: u64 = 2_000;
/// With fewer users, too few share the cost of a bucket. On a slow network, this many.
const FEWEST_TO_JUDGE: u32 = 1_000;
/// The encodings to time first, if there is no time for all.
const TIMED_FIRST: [Encoding; 3] = [Encoding::JsonString, Encoding::Hash, Encoding::CodedColumns];
/// What this project was asked to reach: 2.18 MB for 2,000 users.
const TARGET_BYTES: f64 = 2_180_000.0 / 2_000.0;
/// The smallest encoding with field access takes at most this many times the raw bytes.
const MOST_TIMES_RAW: f64 = 1.5;
/// No value of a user is longer. A server that packs values of this length packs every Hash of a user.
const LONGEST_VALUE: u64 = 64;
/// A longer value is not sent only to show what it does.
const LONGEST_DEMO: usize = 1_000;
/// Every release packs this many fields unless it is set otherwise.
const USUAL_ENTRIES: u64 = 128;

/// What the command line can set.
#[derive(Args, Clone, Debug)]
pub struct Options {
    /// Users to weigh in each encoding [default: 20000, or fewer on a slow network]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub records: Option<u64>,

    /// Users if `records` is not given
    #[arg(skip = RECORDS)]
    pub default_records: u64,
}

pub(crate) async fn run(ctx: &mut LessonContext, options: Options) -> Outcome {
    let mut connection = ctx.untraced(
        "CONFIG GET tells which Hashes the server packs. HGETALL memory:written tells what the last run wrote, UNLINK removes \
         it, and HSET notes what this run is going to write.",
    );
    let limits = PackingLimits::ask(&mut connection).await?;
    let records = options.records.unwrap_or_else(|| {
        let wanted = usize::try_from(options.default_records).unwrap_or(usize::MAX);
        ctx.fit("users", wanted, FEWEST_TO_JUDGE as usize, 0.02) as u64
    });
    let zstd = Zstd::train(&People::new())?.map(Arc::new);
    let store = Store::new(Keys::new(ctx.prefix()), records, limits.bucket_size(), zstd);
    remove_last_run(&store, &mut connection).await?;
    note_run(&store, &mut connection).await?;

    one_record(ctx, &store, limits).await?;
    let encodings: Vec<Encoding> = Encoding::built_in().collect();
    if encodings.len() < Encoding::ALL.len() {
        ctx.say(
            "Left out: everything with zstd, because this program was built without it. To see it: cargo run --release \
             --package bulk-performance --features zstd -- memory",
        );
    }
    let usages = weigh_encodings(ctx, &store, &encodings).await?;
    time(ctx, &store, &encodings).await?;
    indexes(ctx, &store, &usages).await?;

    remove_last_run(&store, &mut connection).await?;
    let left = store.with_records(LEFT.min(records));
    note_run(&left, &mut connection).await?;
    write_all(&left, &encodings, &connection).await?;
    look_afterward(ctx, &left, &encodings).await
}

/// Up to which size the server packs a Hash as a listpack; `None` if it does not tell, as some managed ones do not.
#[derive(Clone, Copy, Debug)]
pub struct PackingLimits {
    entries: Option<u64>,
    value_bytes: Option<u64>,
}

impl PackingLimits {
    /// Asks the server.
    pub async fn ask(redis: &mut Connection) -> RedisResult<Self> {
        let mut get = redis::cmd("CONFIG");
        get.arg("GET").arg("hash-max-listpack-*");
        let settings: HashMap<String, String> = match get.query_async(redis).await {
            Err(error) if error.code().is_some() => HashMap::new(),
            settings => settings?,
        };
        let number = |name: &str| settings.get(name).and_then(|value| value.parse().ok());
        Ok(Self {
            entries: number("hash-max-listpack-entries"),
            value_bytes: number("hash-max-listpack-value"),
        })
    }

    /// The largest round bucket that is still packed: 100 users, or fewer if the server packs fewer.
    pub fn bucket_size(self) -> u64 {
        self.entries.unwrap_or(USUAL_ENTRIES).clamp(1, 100)
    }
}

/// Notes how many users there will be, before the first one is written.
async fn note_run(store: &Store, redis: &mut Connection) -> RedisResult<()> {
    let mut command = redis::cmd("HSET");
    command.arg(store.keys().memory_written()).arg("records").arg(store.records);
    command.arg("bucket").arg(store.bucket()).exec_async(redis).await
}

/// Removes exactly what the last run noted, even if it was interrupted.
async fn remove_last_run(store: &Store, redis: &mut Connection) -> Outcome {
    let note = store.keys().memory_written();
    let noted: HashMap<String, String> = redis.hgetall(&note).await?;
    let number = |name: &str| noted.get(name).and_then(|number| number.parse().ok());
    let (Some(records), Some(bucket)) = (number("records"), number("bucket")) else { return Ok(()) };
    activity::set("removing the last run's users");
    let last_run = Store::new(store.keys().clone(), records, bucket, None);
    let mut keys: Vec<String> =
        Encoding::ALL.into_iter().flat_map(|encoding| last_run.keys_of(encoding)).collect();
    keys.extend(index_keys(&store.keys().memory_indexes()));
    keys.push(note);
    own_keys::unlink(redis, &keys).await?;
    Ok(())
}

async fn one_record(ctx: &LessonContext, store: &Store, limits: PackingLimits) -> Outcome {
    let mut redis = ctx.redis();
    let key = store.keys().memory_user(Encoding::Hash.name(), 1);
    let values = store.people.user(1).values();

    ctx.step(
        "Memory is what a Redis server costs. The same eight values can take several times their own size, or less than it, by \
         the way you store them. The usual record is a Hash. OBJECT ENCODING tells how the server keeps it, and MEMORY USAGE \
         how many bytes it takes, with the key's name and the server's own overhead.",
    )
    .await?;
    let fields: Vec<_> = FIELDS.iter().zip(&values).collect();
    redis::cmd("HSET").arg(&key).arg(&fields).exec_async(&mut redis).await?;
    let encoding = redis.object_encoding(&key).await?;
    let mut usage = redis::cmd("MEMORY");
    usage.arg("USAGE").arg(&key).arg("SAMPLES").arg(0);
    let packed: Option<u64> = usage.query_async(&mut redis).await?;
    ctx.check("the Hash has a size", packed.is_some_and(|bytes| bytes > 0))?;
    let PackingLimits { entries: Some(entries), value_bytes: Some(value_bytes) } = limits else {
        redis.unlink(&key).await?;
        ctx.say("This server does not tell which Hashes it packs, so its sizes may differ from those of other servers.");
        return Ok(());
    };
    let packs = entries >= FIELDS.len() as u64 && value_bytes >= LONGEST_VALUE;
    if packs {
        ctx.check_eq("eight short fields are packed as a listpack", &encoding.as_deref(), &Some("listpack"))?;
    }
    let longer = "x".repeat(usize::try_from(value_bytes).unwrap_or(usize::MAX).min(LONGEST_DEMO) + 1);

    let guess = ctx
        .step(format!(
            "A listpack is one piece of memory in which fields and values stand side by side. This server packs Hashes of up to \
             {entries} fields, with values of up to {value_bytes} bytes. One longer value, and the whole Hash becomes a hash \
             table, with a pointer and a header for each part. Then that value is deleted:",
        ))
        .predict("What is the Hash then?", ["packed", "a hash table"])
        .await?;
    redis.hset(&key, "note", &longer).await?;
    redis.hdel(&key, "note").await?;
    let encoding = redis.object_encoding(&key).await?;
    let table: Option<u64> = usage.query_async(&mut redis).await?;
    redis.unlink(&key).await?;
    guess.answer(if encoding.as_deref() == Some("hashtable") { "a hash table" } else { "packed" })?;
    if packs && value_bytes < LONGEST_DEMO as u64 {
        ctx.check_eq("one long value made a hash table of it", &encoding.as_deref(), &Some("hashtable"))?;
        ctx.check("the same eight values take more memory now", table > packed)?;
    }
    Ok(())
}

async fn write_all(store: &Store, encodings: &[Encoding], redis: &Connection) -> RedisResult<()> {
    try_join_all(encodings.iter().map(async |&encoding| store.write(encoding, &mut redis.clone()).await))
        .await?;
    Ok(())
}

/// Writes all users in every encoding, and shows what they take.
async fn weigh_encodings(
    ctx: &LessonContext,
    store: &Store,
    encodings: &[Encoding],
) -> Result<Vec<(Encoding, MemoryUsage)>, LessonError> {
    ctx.step(format!(
        "Now {} users in each encoding. Buckets keep users {} to {} in one Hash, each as one value under its place in the \
         bucket. Columns keep one Hash or List for each bucket and field, so names are stored once. With codes, cities, \
         departments, and dates are numbers, whose meaning the application knows. Bits puts all numbers of a user into 56 bits. \
         This is how one value is read, by where it is:",
        thousands(store.records as f64),
        store.bucket(),
        2 * store.bucket() - 1,
    ))
    .await?;
    ctx.code(COLUMNS.function("read"));

    ctx.step("MEMORY USAGE is summed over all keys of an encoding. Without SAMPLES 0, it would guess from five elements of each.")
        .await?;
    ctx.code(WEIGH.function("usage"));
    ctx.announce(
        "For each encoding: SET, HSET, RPUSH, and BITFIELD write the users. GET, HGET, HMGET, LINDEX, and BITFIELD_RO read them \
         back. MEMORY USAGE and OBJECT ENCODING weigh their keys. UNLINK removes them.",
    );
    let connection = ctx.target().connection();
    let expected = &Content::expected(&store.people, store.records);
    activity::set("weighing");
    let weigh = async |&encoding| weigh(encoding, store, expected, &mut connection.clone()).await;
    let usages = try_join_all(encodings.iter().map(weigh)).await?;
    let usages: Vec<_> = encodings.iter().copied().zip(usages).collect();
    ctx.check("each encoding gave back every user as it was", usages.len() == encodings.len())?;
    show_usage(ctx, store, &usages).await?;
    Ok(usages)
}

async fn show_usage(ctx: &LessonContext, store: &Store, usages: &[(Encoding, MemoryUsage)]) -> Outcome {
    let (records, raw) = (store.records, raw_bytes(store));
    let [hash, json] = [Encoding::Hash, Encoding::JsonString].map(|encoding| bytes_of(usages, encoding));
    let guess = ctx
        .step("Here is what they take.")
        .predict("What takes less memory for each user?", ["a Hash", "a JSON string", "both the same"])
        .await?;
    ctx.table(usage_table(usages, records, raw));
    guess.answer(match hash.cmp(&json) {
        Ordering::Less => "a Hash",
        Ordering::Greater => "a JSON string",
        Ordering::Equal => "both the same",
    })?;
    ctx.say(format!(
        "Raw is the values alone, as text: {:.1} bytes a record. The server's table of keys comes on top. \
         Names come from lists of 128, so zstd saves more here than in most data. Its dictionary was trained on other users and \
         is counted. {}.",
        per(raw, records),
        environment(ctx.target()).join(", "),
    ));
    let bytes = per(hash, records);
    ctx.say(format!(
        "This project was asked to store 2,000 users in 2.18 MB, which is 1,090 bytes each. The Hash takes {bytes:.0} bytes \
         here, {:.2} of that.",
        bytes / TARGET_BYTES
    ));
    let with_access = usages.iter().filter(|(encoding, _)| encoding.has_field_access());
    let Some((encoding, smallest)) = with_access.min_by_key(|(_, usage)| usage.bytes) else { return Ok(()) };
    if records < FEWEST_TO_JUDGE.into() {
        ctx.say("So few users fill no bucket. With 1,000 and more, the figures can be compared.");
        return Ok(());
    }
    let (label, times) = (encoding.label(), per(smallest.bytes, raw));
    ctx.check(
        format!("the smallest encoding with field access, '{label}', takes {times:.2} times the raw bytes"),
        times <= MOST_TIMES_RAW,
    )
}

fn bytes_of(usages: &[(Encoding, MemoryUsage)], encoding: Encoding) -> u64 {
    usages.iter().find(|(one, _)| *one == encoding).map_or(0, |(_, usage)| usage.bytes)
}

/// Bytes of the values alone: no field names, no keys, no framing.
fn raw_bytes(store: &Store) -> u64 {
    let users = (1..=store.records).map(|number| store.people.user(number).values());
    users.flatten().map(|value| value.len() as u64).sum()
}

/// Reads one field, changes one, and reads whole users, in every encoding.
async fn time(ctx: &LessonContext, store: &Store, encodings: &[Encoding]) -> Outcome {
    ctx.step(
        "Smaller is not free. Where the column `field?` says no, a change reads the whole record and writes it back. With two \
         clients, one would undo the other's change.",
    )
    .await?;
    ctx.code(COLUMNS.function("change"));
    let store = store.with_records(TIMED.min(store.records));
    let connection = ctx.untraced(format!(
        "Again SET, HSET, RPUSH, and BITFIELD write users, {} in each encoding. The same commands, GET, HGET, HMGET, LINDEX, \
         LSET, and BITFIELD_RO then read and change their fields, which is timed.",
        thousands(store.records as f64)
    ));
    write_all(&store, encodings, &connection).await?;
    let changes = async |&encoding| changes_are_kept(&store, encoding, &mut connection.clone()).await;
    let kept = try_join_all(encodings.iter().map(changes)).await?;
    ctx.check("each encoding changed one field and left the others as they were", !kept.contains(&false))?;
    let timed = most_telling(ctx, encodings);
    let mut rates = Vec::new();
    for access in [Access::ReadField, Access::ChangeField, Access::ReadUser] {
        rates.push(memory::measure(ctx.target(), &store, &timed, access).await?);
    }
    show_rates(ctx, &store, &timed, &rates);
    Ok(())
}

/// On a slow network, only the most telling encodings.
fn most_telling(ctx: &LessonContext, encodings: &[Encoding]) -> Vec<Encoding> {
    let mut timed: Vec<Encoding> = encodings.to_vec();
    timed.sort_by_key(|encoding| !TIMED_FIRST.contains(encoding));
    timed.truncate(ctx.fit("encodings", timed.len(), TIMED_FIRST.len(), 16.0));
    timed.sort_by_key(|encoding| encodings.iter().position(|one| one == encoding));
    timed
}

/// What you can do with each encoding, and how fast. `rates` are reads, changes, and records.
fn rate_table(encodings: &[Encoding], rates: &[ComparisonResult]) -> Table {
    let header = ["encoding", "field?", "reads/s", "changes/s", "records/s", "spread"];
    encodings.iter().fold(Table::new("What it costs in time", &header), |table, encoding| {
        let label = encoding.label();
        let rows: Vec<&Row> =
            rates.iter().filter_map(|rate| rate.rows.iter().find(|row| row.label == label)).collect();
        let has_access = if encoding.has_field_access() { "yes" } else { "no" };
        let spread = rows.iter().map(|row| row.rate.spread).fold(0.0, f64::max);
        let cells = rows.iter().map(|row| thousands(row.rate.median));
        let spread = percent(spread);
        table.row([label.to_owned(), has_access.to_owned()].into_iter().chain(cells).chain([spread]))
    })
}

fn show_rates(ctx: &LessonContext, store: &Store, encodings: &[Encoding], rates: &[ComparisonResult]) {
    let units = ["reads/s", "changes/s", "records/s"].into_iter().zip(rates);
    let rounds = units.map(|(unit, rate)| {
        Measured::rates(unit, rate.rows.iter().map(|row| (row.label.clone(), row.rate.clone())))
    });
    ctx.table(rounds.fold(rate_table(encodings, rates), Table::with_rounds));
    let operations = rates.first().map_or(0, |rate| rate.operations);
    let rounds = rates.iter().map(|rate| rate.rounds).min().unwrap_or(0);
    ctx.say(format!(
        "A read is of `city`, a change of `salary`, and a record is all eight values, decoded. {operations} operations a run, in \
         one pipeline, over {} users; medians of {rounds} interleaved rounds. Spread is the widest of the three rates: the width \
         of the middle half of the rounds. {}.",
        thousands(store.records as f64),
        environment(ctx.target()).join(", "),
    ));
    let mut advice: Vec<String> = rates.iter().flat_map(|rate| &rate.caveats).map(Caveat::advice).collect();
    advice.sort();
    advice.dedup();
    ctx.say(advice.join(" "));
}

async fn indexes(ctx: &LessonContext, store: &Store, usages: &[(Encoding, MemoryUsage)]) -> Outcome {
    ctx.step(
        "To find users by city, department, or salary, you need indexes, and they take memory too. A small Set of numbers is \
         packed as an `intset`. A larger one is a hash table, in which a member costs many times as much.",
    )
    .await?;
    ctx.announce(
        "SADD and ZADD write the indexes of all users. MEMORY USAGE and OBJECT ENCODING weigh them. UNLINK removes them.",
    );
    let indexes = weigh_indexes(store, &mut ctx.target().connection()).await?;
    ctx.table(index_table(&indexes, store.records, bytes_of(usages, Encoding::Hash)));
    ctx.say(format!("{}.", environment(ctx.target()).join(", ")));
    Ok(())
}

async fn look_afterward(ctx: &LessonContext, left: &Store, encodings: &[Encoding]) -> Outcome {
    let (mut redis, (bucket, place)) = (ctx.redis(), left.place(1));
    let keys = left.keys();
    let column = |encoding: Encoding| keys.memory_column(encoding.name(), bucket, "city");
    let hash = keys.memory_user(Encoding::Hash.name(), 1);
    let (columns, codes) = (column(Encoding::Columns), column(Encoding::CodedColumns));
    let (list, bits) = (column(Encoding::Lists), keys.memory_bucket(Encoding::Bits.name(), bucket));
    let (index, first_bit) = (isize::try_from(place).unwrap_or_default(), place * 56 + 7);

    ctx.announce(format!(
        "Users 1 to {} were written again in each encoding, and all others removed.",
        left.records
    ));
    ctx.step(
        "User 1 is still there in each encoding. Here is its city, by one command each, where there is one.",
    )
    .await?;
    let city = redis.hget(&hash, "city").await?;
    let city_in_column = redis.hget(&columns, place).await?;
    let code = redis.hget(&codes, place).await?;
    let code_in_list = redis.lindex(&list, index).await?;
    let mut bitfield = redis::cmd("BITFIELD_RO");
    bitfield.arg(&bits).arg("GET").arg("u8").arg(first_bit);
    let code_in_bits: [u64; 1] = bitfield.query_async(&mut redis).await?;
    let values = [city, city_in_column, code, code_in_list];
    let expected = ["New York", "New York", "0", "0"].map(|value| Some(value.to_owned()));
    ctx.check_eq("each command read New York, or its code, 0", &values, &expected)?;
    ctx.check("so do the bits", code_in_bits == [0])?;
    ctx.keys(encodings.iter().filter_map(|&encoding| left.keys_of(encoding).into_iter().next()));
    Ok(())
}
