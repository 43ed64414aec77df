//! One list: complete or not, in chunks, and while it grows.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use futures_util::future::try_join;
use lab_connection::transcript::Exchange;
use lab_connection::{Connection, Target, Transcript};
use lab_runner::table::{Table, bytes, thousands};
use lab_runner::{LessonContext, LessonError, Outcome, Source, source};
use redis::AsyncTypedCommands;

use super::reader::{self, CHUNK, Found, from_tail};
use super::{pair, writer};
use crate::keys::Keys;

static WRITER: Source = source!("src/biglist/writer.rs");
static READER: Source = source!("src/biglist/reader.rs");
/// Numbers pushed on the screen.
const FIRST: u64 = 3;
/// A longer list is not read in one reply, not even to show why.
const LONGEST_REPLY: u64 = 1_000_000;
/// Numbers pushed between two chunks.
const NEW: u64 = 10;

/// Half a list looks like a whole one; the writer has to say when it is done.
pub(super) async fn write_in_two_halves(
    ctx: &LessonContext,
    keys: &Keys,
    b: &Target,
    count: u64,
) -> Result<Found, LessonError> {
    let (mut a, key) = (ctx.redis(), keys.biglist());
    let first = FIRST.min(count);
    let guess = ctx
        .step(format!(
            "Server A has numbers, Server B needs them, and they meet in a list. LPUSH puts each value at the head. Here it gets the \
             numbers 1 to {first}."
        ))
        .predict("Which number does LRANGE return first?", ["the first pushed", "the last pushed"])
        .await?;
    let numbers: Vec<u64> = (1..=first).collect();
    a.lpush(&key, &numbers).await?;
    let read = a.lrange(&key, 0, -1).await?;
    let newest = numbers.last().map(u64::to_string);
    guess.answer(if read.first() == newest.as_ref() { "the last pushed" } else { "the first pushed" })?;
    ctx.check(
        "newest first",
        read.iter().rev().eq(numbers.iter().map(u64::to_string).collect::<Vec<_>>().iter()),
    )?;

    let half = (count / 2).max(first);
    let (so_far, all) = (thousands(half as f64), thousands(count as f64));
    let mut untraced = ctx.target().connection();
    ctx.step(
        "Server A sends the other numbers the same way, but 1,000 to an LPUSH and 16 LPUSHes to a pipeline: few round \
         trips, and little memory on both sides, however long the list. Halfway through, Server B reads it:",
    )
    .await?;
    ctx.announce(
        "Server A sends LPUSH in pipelines. Server B reads with GET, LLEN, and LRANGE, in chunks of 1,000, and checks \
         every number. INFO says how far the replica is.",
    );
    ctx.code(WRITER.function("push"));
    writer::push(&key, first, first + 1..=half, &mut untraced).await?;
    let early = reader::read(keys, &mut untraced).await?;
    let length = a.llen(&key).await?;
    ctx.check(
        format!("{so_far} numbers in perfect order: nothing shows that there will be {all}"),
        (length as u64, early.length) == (half, half),
    )?;

    ctx.step(
        "So the writer says when it is done. Its last command writes how many numbers there are. A server runs the commands \
         of one client in order, and a replica receives them in that order. If you see the count, you have the whole list.",
    )
    .await?;
    let before = a.get(keys.biglist_count()).await?;
    writer::push(&key, half, half + 1..=count, &mut untraced).await?;
    a.set(keys.biglist_count(), count).await?;
    ctx.check("halfway, there was no count", before.is_none() && !early.is_complete())?;
    if b.address() != ctx.target().address() {
        pair::caught_up(&mut untraced, &mut b.connection()).await?;
    }
    let found = reader::read(keys, &mut b.connection()).await?;
    ctx.check(format!("Server B has {all} numbers, each in its place"), found.is_complete())?;
    Ok(found)
}

/// One reply that holds everything, against chunks.
pub(super) async fn read_in_chunks(ctx: &LessonContext, keys: &Keys, count: u64) -> Outcome {
    let key = keys.biglist();
    ctx.step(
        "A list of ten thousand fits into one reply. A list of ten million does too, but the server builds that reply in \
         memory, and the client holds all of it at once. With LRANGE in chunks, both need the memory of one chunk:",
    )
    .await?;
    ctx.code(READER.function("from_tail"));
    let untraced = ctx.untraced("LRANGE reads the list, once whole and once in chunks, and counts bytes.");
    let header = ["with", "replies", "largest reply", "numbers held"];
    let mut table = Table::new(format!("Reading {} numbers", thousands(count as f64)), &header);
    let mut whole_reply = None;
    if count <= LONGEST_REPLY {
        let meter = Arc::new(Meter::default());
        let numbers = meter.on(&untraced).lrange(&key, 0, -1).await?;
        ctx.check("LRANGE 0 -1 returns every number", numbers.len() as u64 == count)?;
        table = table.row(meter.row("LRANGE 0 -1", count));
        whole_reply = Some(meter.largest());
    }
    let meter = Arc::new(Meter::default());
    let numbers = reader::all(&key, &mut meter.on(&untraced)).await?;
    ctx.table(table.row(meter.row("LRANGE in chunks", CHUNK.min(count))));
    let smaller = whole_reply.is_none_or(|whole| count <= CHUNK || meter.largest() * 2 < whole);
    let claim = "chunks return every number too, in smaller replies";
    ctx.check(claim, numbers.len() as u64 == count && smaller)
}

/// What pushes do to a reader that counts from the end where they happen.
pub(super) async fn read_while_it_grows(ctx: &LessonContext, keys: &Keys) -> Outcome {
    let chunks = ctx.fit("chunks", 10, 3, 8.0) as u64;
    let size = chunks * CHUNK;
    let guess = ctx
        .step(format!(
            "What if Server A pushes while Server B reads? Here Server B reads {} numbers in chunks of {}: once by indexes from the \
             head (0, 1, 2), and once by indexes from the tail (-1, -2, -3). After each chunk, Server A pushes {NEW} more to the \
             head.",
            thousands(size as f64),
            thousands(CHUNK as f64),
        ))
        .predict("From where does it read numbers twice?", ["the head", "the tail", "both", "neither"])
        .await?;
    let mut untraced =
        ctx.untraced("UNLINK and LPUSH make a new list; LRANGE from both ends and LPUSH take turns on it.");
    let [head, tail] = read_growing(keys, chunks, &mut untraced).await?;
    let header = ["counted from", "expected", "read twice", "never read"];
    let row = |end: &str, [twice, never]: [u64; 2]| {
        std::iter::once(end.to_owned()).chain([size, twice, never].map(|number| thousands(number as f64)))
    };
    let table = Table::new("Reading while it grows", &header);
    ctx.table(table.row(row("the head", head)).row(row("the tail", tail)));
    guess.answer(match (head[0] > 0, tail[0] > 0) {
        (true, false) => "the head",
        (false, true) => "the tail",
        (true, true) => "both",
        (false, false) => "neither",
    })?;
    ctx.say("Indexes from the head move with every push. Indexes from the tail do not.");
    let moved = (chunks - 1) * NEW;
    ctx.check(
        format!("from the head: {moved} numbers read twice, and the {moved} oldest never"),
        head == [moved; 2],
    )?;
    ctx.check("from the tail: every number read once", tail == [0, 0])?;
    ctx.say(
        "If others take from the tail (RPOP), count from the head. If both ends move, a list is the wrong structure; a \
         Stream names its entries instead of numbering them.",
    );
    Ok(())
}

/// How many numbers were read twice, and how many never: first from the head, then from the tail.
async fn read_growing(
    keys: &Keys,
    chunks: u64,
    redis: &mut Connection,
) -> Result<[[u64; 2]; 2], LessonError> {
    let (key, size) = (keys.biglist_growing(), chunks * CHUNK);
    redis.unlink(&key).await?;
    writer::push(&key, 0, 1..=size, redis).await?;
    let (mut seen, mut twice, mut length) = ([BTreeSet::new(), BTreeSet::new()], [0, 0], size);
    for done in (0..chunks).map(|chunk| chunk * CHUNK) {
        let mut lrange = redis::cmd("LRANGE");
        lrange.arg(&key).arg(done).arg(done + CHUNK - 1);
        let (mut one, mut other) = (redis.clone(), redis.clone());
        let (from_head, from_tail): (Vec<u64>, _) =
            try_join(lrange.query_async(&mut one), from_tail(&key, done, CHUNK, &mut other)).await?;
        for (reader, numbers) in [from_head, from_tail].into_iter().enumerate() {
            twice[reader] +=
                numbers.into_iter().filter(|number| !seen[reader].insert(*number)).count() as u64;
        }
        writer::push(&key, length, length + 1..=length + NEW, redis).await?;
        length += NEW;
    }
    let never = seen.map(|seen| (1..=size).filter(|number| !seen.contains(number)).count() as u64);
    Ok([[twice[0], never[0]], [twice[1], never[1]]])
}

/// Counts replies and remembers the largest.
#[derive(Default)]
struct Meter {
    replies: AtomicU64,
    largest: AtomicUsize,
}

impl Meter {
    fn on(self: &Arc<Self>, connection: &Connection) -> Transcript<Connection> {
        let meter = Arc::clone(self);
        let listener = move |exchange: Exchange| {
            meter.replies.fetch_add(1, Ordering::Relaxed);
            meter.largest.fetch_max(exchange.bytes_received, Ordering::Relaxed);
        };
        Transcript::new(connection.clone(), Arc::new(listener))
    }

    fn largest(&self) -> usize {
        self.largest.load(Ordering::Relaxed)
    }

    fn row(&self, with: &str, held: u64) -> [String; 4] {
        let replies = self.replies.load(Ordering::Relaxed);
        [with.to_owned(), thousands(replies as f64), bytes(self.largest()), thousands(held as f64)]
    }
}
