//! What the lesson says, shows and claims.

use lab_runner::measurement::ComparisonResult;
use lab_runner::{LessonContext, Outcome};
use redis::AsyncTypedCommands;

use super::indexes::IndexWeight;
use super::memory_usage::MemoryUsage;
use super::tables::{self, per};
use super::{Encoding, Limits, Store};
use crate::people::FIELDS;

/// What a documented figure says: 2.18 MB for 2,000 users.
const DOCUMENTED_BYTES: f64 = 2_180_000.0 / 2_000.0;
/// The smallest encoding with field access takes at most so many times the raw bytes.
const MOST_TIMES_RAW: f64 = 1.5;
/// With fewer users a bucket's own cost is shared by too few.
const FEWEST_TO_JUDGE: u64 = 1_000;
/// Longest value of a user; a Hash is packed if its server packs so many bytes.
const LONGEST_VALUE: u64 = 64;

pub(super) async fn introduce(ctx: &LessonContext, store: &Store, limits: Limits) -> Outcome {
    ctx.step(
        "Memory is what a Redis server costs. The same eight values can take six times their own size or less than it, \
         by the way they are stored. The documented record is a Hash: OBJECT ENCODING tells how the server keeps it, \
         and MEMORY USAGE what it takes, the key's name and the server's own overhead included.",
    ).await?;
    let mut redis = ctx.redis();
    let one = store.with_records(1);
    let key = store.keys().memory_user(Encoding::Hash.name(), 1);
    one.write(Encoding::Hash, &mut ctx.untraced("TODO")).await?;
    redis.hgetall(&key).await?;
    let kept_as = redis.object_encoding(&key).await?.unwrap_or_default();
    let usage = memory_usage(&key, &mut redis).await?;
    ctx.start_clean(std::slice::from_ref(&key)).await?;
    ctx.check("MEMORY USAGE told a size", usage > 0)?;
    if limits.pack(FIELDS.len() as u64, LONGEST_VALUE) {
        ctx.check_eq("eight short fields are packed as a listpack", &kept_as.as_str(), &"listpack")?;
    }
    let packs = limits
        .entries
        .map_or_else(|| "as many fields as its settings say".into(), |n| format!("up to {n} fields"));
    ctx.step(format!(
        "A listpack is one piece of memory in which fields and values stand side by side; this server packs {packs}, and \
         values up to {} bytes. One that grows beyond becomes a hash table, with a pointer and a header for each part.",
        limits.value_bytes.map_or_else(|| "some".to_owned(), |bytes| bytes.to_string()),
    )).await?;
    ctx.step(format!(
        "Now {} users in each encoding. 'Buckets' keep the users {} to {} in one Hash, each as one value under its place \
         in the bucket. 'Columns' keep one Hash or List for each bucket and field, so that names are stored once and \
         small numbers as numbers; with 'codes', cities, departments and dates are numbers too, whose meaning the \
         application knows. 'Bits' puts the numbers into 56 bits of a user.",
        lab_runner::table::thousands(store.records() as f64),
        store.bucket(),
        2 * store.bucket() - 1,
    )).await?;
    Ok(())
}

pub(super) fn show_bytes(ctx: &LessonContext, store: &Store, weights: &[MemoryUsage], raw: u64) -> Outcome {
    let records = store.records();
    ctx.table(tables::bytes(weights, records, raw));
    ctx.say(format!(
        "Bytes: MEMORY USAGE with SAMPLES 0, summed over all keys. Raw: the values alone, as text, {:.1} bytes a record. \
         used_memory: by how much the whole server grew, with its table of keys{}. Names come from lists of 128, so zstd \
         finds more to save here than in most data; its dictionary was trained on other users, and is counted.",
        per(raw, records),
        if ctx.target().private().is_some() { "" } else { "; only asked where nobody else writes, on a private server" },
    ));
    let of = |encoding: Encoding| weights.iter().find(|weight| weight.encoding == encoding);
    if let Some(hash) = of(Encoding::Hash) {
        let bytes = per(hash.bytes, records);
        let share = bytes / DOCUMENTED_BYTES;
        let verdict = if share <= 0.2 { "within a fifth of it" } else { "more than a fifth of it" };
        ctx.say(format!(
            "The documented figure is 2.18 MB for 2,000 users, 1,090 bytes each. Here the documented Hash \
             takes {bytes:.0} bytes, {share:.2} of that: {verdict}.",
        ));
    }
    if let (Some(buckets), Some(packed)) = (of(Encoding::MessagePackBuckets), of(Encoding::MessagePackPacked))
    {
        ctx.check(
            "records in buckets take less when their values are packed too",
            packed.bytes < buckets.bytes,
        )?;
    }
    let with_access = weights.iter().filter(|weight| weight.encoding.field_access());
    let Some(smallest) = with_access.min_by_key(|weight| weight.bytes) else { return Ok(()) };
    let times = per(smallest.bytes, raw);
    let found = format!(
        "the smallest encoding with field access, '{}', takes {times:.2} times the raw bytes, at most {MOST_TIMES_RAW}",
        smallest.encoding.label()
    );
    if records < FEWEST_TO_JUDGE {
        ctx.say("So few users fill no bucket; from 1,000 on the figures can be compared.");
        return Ok(());
    }
    ctx.check(found, times <= MOST_TIMES_RAW)
}

pub(super) fn show_prices(
    ctx: &LessonContext,
    store: &Store,
    weights: &[MemoryUsage],
    raw: u64,
    rates: &[ComparisonResult; 3],
) {
    ctx.say(
        "Smaller is not free. Reading a field is reading `city`, changing one is setting `salary`, a record is all eight \
         values, decoded. Where 'field?' says no, a change reads the whole record and writes it back: the figure holds \
         for one client, and two of them would undo each other's changes.",
    );
    ctx.table(tables::prices(weights, store.records(), raw, rates));
    let [reads, ..] = rates;
    ctx.say(format!(
        "{} operations a run, in pipelines of 100, over {} users; medians of {} rounds, all encodings in turn. {}.",
        reads.operations,
        lab_runner::table::thousands(super::TIMED.min(store.records()) as f64),
        rates.iter().map(|measured| measured.rounds).min().unwrap_or(0),
        reads.environment.join(", "),
    ));
    let mut advice: Vec<String> = rates
        .iter()
        .flat_map(|measured| measured.caveats.iter().map(lab_runner::caveat::Caveat::advice))
        .collect();
    advice.sort();
    advice.dedup();
    ctx.say(advice.join(" "));
}

pub(super) fn show_indexes(
    ctx: &LessonContext,
    store: &Store,
    weights: &[MemoryUsage],
    indexes: &[IndexWeight],
) {
    ctx.say(
        "Finding users by city, department or salary needs indexes, and they take memory too. A Set of numbers is packed \
         as long as it is small (`intset`), then it is a hash table, and its members cost many times as much.",
    );
    let documented =
        weights.iter().find(|weight| weight.encoding == Encoding::Hash).map_or(0, |weight| weight.bytes);
    ctx.table(tables::indexes(indexes, store.records(), documented));
}

/// Shows what was left, and ends the lesson.
pub(super) async fn look(ctx: &LessonContext, left: &Store, encodings: &[Encoding]) -> Outcome {
    let mut redis = ctx.redis();
    let keys = left.keys();
    let name = Encoding::name;
    let user = left.people().user(1).values();
    ctx.step("User 1 is still there in each encoding. Its city by one command each, where there is one:")
        .await?;
    let mut read = Vec::new();
    let city = redis.hget(keys.memory_user(name(Encoding::Hash), 1), "city").await?;
    read.push(city.unwrap_or_default() == user[4]);
    let (bucket, place) = left.place(1);
    for (encoding, stored) in [(Encoding::Columns, user[4].as_str()), (Encoding::CodedColumns, "0")] {
        let key = keys.memory_column(name(encoding), bucket, FIELDS[4]);
        let city = redis.hget(key, place).await?;
        read.push(city.unwrap_or_default() == stored);
    }
    let key = keys.memory_column(name(Encoding::Lists), bucket, FIELDS[4]);
    let index = isize::try_from(place).unwrap_or_default();
    let city = redis.lindex(key, index).await?;
    read.push(city.unwrap_or_default() == "0");
    let bits = keys.memory_bucket(name(Encoding::Bits), bucket);
    let [city]: [u64; 1] = redis::cmd("BITFIELD_RO")
        .arg(bits)
        .arg("GET")
        .arg("u8")
        .arg(place * super::columns::BITS_OF_A_USER + 7)
        .query_async(&mut redis)
        .await?;
    read.push(city == 0);
    ctx.check("each command read New York, or its code", read.iter().all(|right| *right))?;
    ctx.step(
        "Rule: a Hash for each record until memory is what you pay for; short names first, they cost nothing but \
         readability. Then columns in buckets, which keep HGET and HSET, but no TTL or DEL for a single user. Compressed \
         or MessagePack values in buckets for what is read and written whole.",
    ).await?;
    ctx.step(format!("Users 1 to {} stay in each encoding; all others were removed.", left.records()))
        .await?;
    ctx.keys(encodings.iter().filter_map(|&encoding| left.keys_of(encoding).into_iter().next()));
    Ok(())
}

async fn memory_usage(
    key: &str,
    redis: &mut (impl redis::aio::ConnectionLike + Send),
) -> redis::RedisResult<u64> {
    let mut command = redis::cmd("MEMORY");
    let usage = command.arg("USAGE").arg(key).arg("SAMPLES").arg(0).query_async::<Option<u64>>(redis).await?;
    Ok(usage.unwrap_or_default())
}
