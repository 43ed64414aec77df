//! How does the same data take less memory?
//!
//! `cargo ops compact-memory`

use lab_runner::table::{Table, thousands};
use lab_runner::{BoxError, Lesson, LessonContext, Need, Retry, outcome, source};
use redis::aio::{ConnectionLike, MultiplexedConnection};
use redis::{AsyncTypedCommands, Cmd, RedisResult};

use crate::private::{self, READY_TIMEOUT, connect, number, set_config};

/// Packed encodings, where they end, small Hashes, and memory that is in pieces.
pub static LESSON: Lesson = Lesson {
    name: "compact-memory",
    title: "Compact memory",
    question: "How does the same data take less memory?",
    commands: &["CONFIG GET", "OBJECT ENCODING", "MEMORY USAGE", "CONFIG SET"],
    needs: &[],
    sources: &[source!("src/compact_memory.rs")],
    rule: "Keep values below the limits of their packed encoding, and measure in bytes.",
    takeaways: &[
        "One field too many, or one text among numbers, unpacks the whole value, and it stays so.",
        "Many tiny keys cost more than their content. Hashes of a hundred keep the same in a fraction.",
        "After deletes, memory can be in pieces. Active defragmentation, where there is one, gives it back.",
    ],
    quiz: &[7, 47, 48, 50],
    run: |ctx| Box::pin(outcome(run(ctx))),
};

/// Counters that are stored as keys, and in Hashes.
const COUNTERS: usize = 20_000;
/// Counters in one Hash.
const IN_HASH: usize = 100;
/// Values of which three in four are deleted, and their bytes.
const PIECES: usize = 20_000;
const PIECE_BYTES: usize = 400;

async fn run(ctx: &mut LessonContext) -> Result<(), BoxError> {
    let server = private::start(ctx.target(), &[]).await?;
    let redis = connect(&server).await?;
    cross_the_limit(ctx, &redis).await?;
    keep_numbers(ctx, &redis).await?;
    use_small_hashes(ctx, &redis).await?;
    defragment(ctx, &redis).await?;
    Ok(private::stop(server).await?)
}

async fn cross_the_limit(ctx: &LessonContext, redis: &MultiplexedConnection) -> Result<(), BoxError> {
    let (mut private, mut quiet) = (ctx.redis_of("private", redis.clone()), redis.clone());
    ctx.step(
        "A small Hash is packed: fields and values stand side by side in one piece of memory, a listpack. `cargo bulk memory` compares \
         ways to store a record. Here is where packing ends. This lesson starts a private server, and never touches yours. Its limit:",
    )
    .await?;
    let limit = limit("hash-max-listpack-entries", &mut private).await?;
    fill_hash(&mut quiet, limit).await?;
    ctx.announce(format!("HSET stored {limit} fields in one Hash."));
    let guess = ctx
        .step("The Hash is as large as the limit allows. One more field comes, and goes again:")
        .predict("How is the Hash stored in the end?", ["packed again", "unpacked"])
        .await?;
    let packed = usage("hash", &mut private).await?;
    private.hset("hash", "one more", "value").await?;
    let unpacked = usage("hash", &mut private).await?;
    private.hdel("hash", "one more").await?;
    let encoding = private.object_encoding("hash").await?;
    guess.answer(if encoding.as_deref() == Some("listpack") { "packed again" } else { "unpacked" })?;
    ctx.check(
        format!("one field more, and {:.1} times the memory", unpacked as f64 / packed as f64),
        unpacked as f64 > 1.5 * packed as f64,
    )?;
    ctx.check_eq(
        "without that field, it is as large as before, and still unpacked",
        &encoding.as_deref(),
        &Some("hashtable"),
    )?;
    Ok(())
}

/// A setting that is a number.
async fn limit(name: &str, redis: &mut (impl ConnectionLike + Send)) -> RedisResult<usize> {
    let (_, limit): (String, usize) = redis::cmd("CONFIG").arg("GET").arg(name).query_async(redis).await?;
    Ok(limit)
}

/// Bytes of a key with all its elements.
async fn usage(key: &str, redis: &mut (impl ConnectionLike + Send)) -> RedisResult<u64> {
    redis::cmd("MEMORY").arg("USAGE").arg(key).arg("SAMPLES").arg(0).query_async(redis).await
}

async fn fill_hash(redis: &mut MultiplexedConnection, fields: usize) -> RedisResult<()> {
    let fields: Vec<(String, usize)> = (0..fields).map(|field| (format!("field {field}"), field)).collect();
    redis.hset_multiple("hash", &fields).await
}

async fn keep_numbers(ctx: &LessonContext, redis: &MultiplexedConnection) -> Result<(), BoxError> {
    let (mut private, mut quiet) = (ctx.redis_of("private", redis.clone()), redis.clone());
    let limit = limit("set-max-intset-entries", &mut quiet).await?;
    quiet.sadd("ids", (1..limit).collect::<Vec<_>>()).await?;
    ctx.announce(format!(
        "CONFIG GET set-max-intset-entries says {limit}. SADD stored one number fewer in a Set."
    ));
    let guess = ctx
        .step(format!(
            "A Set of whole numbers is packed, too, as an intset: sorted numbers, two bytes each as long as they are small. To {} numbers \
             comes one text:",
            thousands((limit - 1) as f64)
        ))
        .predict("What does that do to its memory?", ["a few bytes more", "about half as much again", "more than twice as much"])
        .await?;
    let numbers = usage("ids", &mut private).await?;
    private.sadd("ids", "sku-1").await?;
    let mixed = usage("ids", &mut private).await?;
    let encoding = private.object_encoding("ids").await?;
    guess.answer(match mixed * 10 / numbers.max(1) {
        ..12 => "a few bytes more",
        12..20 => "about half as much again",
        _ => "more than twice as much",
    })?;
    ctx.check(
        format!("one text, and {:.1} times the memory", mixed as f64 / numbers as f64),
        mixed > 2 * numbers && encoding.as_deref() != Some("intset"),
    )?;
    Ok(())
}

async fn use_small_hashes(ctx: &LessonContext, redis: &MultiplexedConnection) -> Result<(), BoxError> {
    let mut quiet = redis.clone();
    ctx.step(format!(
        "A key costs tens of bytes before it holds anything. So put many small values into one Hash. These are {} counters, first a key \
         each, then {IN_HASH} in a Hash. Counter 1234 is the field 34 of the Hash views:12:",
        thousands(COUNTERS as f64),
    ))
    .await?;
    ctx.function("as_keys");
    ctx.function("in_hashes");
    ctx.announce("On the private server: FLUSHALL, SET, HSET, HGET, and INFO.");
    let keys = grown(as_keys(), &mut quiet).await?;
    let hashes = grown(in_hashes(), &mut quiet).await?;
    let each = |bytes: u64| format!("{:.1}", bytes as f64 / COUNTERS as f64);
    let header = ["stored as", "bytes", "bytes each"];
    let row = |name: &str, bytes: u64| [name.to_owned(), thousands(bytes as f64), each(bytes)];
    ctx.table(Table::new("Counters", &header).row(row("a key each", keys)).row(row("Hashes of 100", hashes)));
    ctx.check("Hashes take less than half", hashes * 2 < keys)?;
    let first: Option<String> = quiet.hget("views:12", "34").await?;
    ctx.check_eq("counter 1234 is in its place", &first.as_deref(), &Some("1234"))?;
    ctx.say(
        "The price: only the whole Hash has a TTL, unless the server has TTLs for fields, and it lies in one slot of a cluster. Compressing in the \
         client comes after that, and pays for texts: `cargo bulk memory` measures it, with zstd.",
    );
    Ok(())
}

fn as_keys() -> Vec<Cmd> {
    (0..COUNTERS).map(|counter| Cmd::set(format!("views:{counter}"), counter)).collect()
}

fn in_hashes() -> Vec<Cmd> {
    let hash = |counter| format!("views:{}", counter / IN_HASH);
    (0..COUNTERS).map(|counter| Cmd::hset(hash(counter), counter % IN_HASH, counter)).collect()
}

/// By how many bytes the server grows from empty.
async fn grown(commands: Vec<Cmd>, redis: &mut MultiplexedConnection) -> RedisResult<u64> {
    redis::cmd("FLUSHALL").arg("SYNC").exec_async(redis).await?;
    let before = used(redis).await?;
    for commands in commands.chunks(500) {
        let mut part = redis::pipe();
        for command in commands {
            part.add_command(command.clone());
        }
        part.exec_async(redis).await?;
    }
    Ok(used(redis).await?.saturating_sub(before))
}

async fn used(redis: &mut MultiplexedConnection) -> RedisResult<u64> {
    let dataset = number(redis, "memory", "used_memory_dataset").await?;
    Ok(dataset + number(redis, "memory", "used_memory_overhead").await?)
}

async fn defragment(ctx: &LessonContext, redis: &MultiplexedConnection) -> Result<(), BoxError> {
    let (mut private, mut quiet) = (ctx.redis_of("private", redis.clone()), redis.clone());
    leave_pieces(&mut quiet).await?;
    ctx.announce(format!(
        "FLUSHALL and SET stored {} values of {PIECE_BYTES} bytes. Then UNLINK deleted three in four.",
        thousands(PIECES as f64)
    ));
    ctx.step(
        "The allocator takes whole pages from the operating system. Three values in four are gone, but nearly every page still has one, so \
         the memory stays taken. Active defragmentation moves values together. Only servers with their own jemalloc have it:",
    )
    .await?;
    let switched_on: RedisResult<()> =
        redis::cmd("CONFIG").arg("SET").arg("activedefrag").arg("yes").query_async(&mut private).await;
    if switched_on.is_err() {
        ctx.skip(Need {
            command: "active defragmentation",
            available_in: "a server built with its own jemalloc, such as --server redis-8.2",
        });
        return Ok(());
    }
    // The server takes these figures ten times a second. By default, it does not begin below 100 MB.
    let (mut retry, deleted) = (Retry::within(READY_TIMEOUT), (PIECES * PIECE_BYTES) as u64);
    let mut before = free_in_pieces(&mut quiet).await?;
    while before < deleted / 3 {
        retry.again("the server knows what is free").await?;
        before = free_in_pieces(&mut quiet).await?;
    }
    let eager = [
        ("active-defrag-ignore-bytes", "1"),
        ("active-defrag-threshold-lower", "1"),
        ("active-defrag-cycle-min", "20"),
    ];
    for (name, value) in eager {
        set_config(name, value, &mut quiet).await?;
    }
    ctx.announce("CONFIG SET active-defrag-ignore-bytes, active-defrag-threshold-lower, and active-defrag-cycle-min make it start for so little. INFO tells how it goes.");
    let mut retry = Retry::within(READY_TIMEOUT);
    while free_in_pieces(&mut quiet).await? * 2 > before {
        retry.again("memory is defragmented").await?;
    }
    let after = free_in_pieces(&mut quiet).await?;
    let moved = private::info(&mut quiet, "stats", "active_defrag_hits").await?;
    ctx.check(
        format!(
            "{} free bytes between values became {}, and {moved} allocations moved",
            thousands(before as f64),
            thousands(after as f64)
        ),
        after * 2 <= before,
    )?;
    Ok(())
}

async fn free_in_pieces(redis: &mut MultiplexedConnection) -> RedisResult<u64> {
    number(redis, "memory", "allocator_frag_bytes").await
}

/// Stores values, and deletes three in four.
async fn leave_pieces(redis: &mut MultiplexedConnection) -> RedisResult<()> {
    redis::cmd("FLUSHALL").arg("SYNC").exec_async(redis).await?;
    let (value, numbers) = ([b'v'; PIECE_BYTES], (0..PIECES).collect::<Vec<_>>());
    for numbers in numbers.chunks(500) {
        let mut pipe = redis::pipe();
        for number in numbers {
            pipe.set(format!("piece:{number}"), value.as_slice());
        }
        pipe.exec_async(redis).await?;
    }
    let deleted: Vec<String> =
        numbers.iter().filter(|number| *number % 4 != 0).map(|number| format!("piece:{number}")).collect();
    redis.unlink(deleted).await.map(drop)
}
