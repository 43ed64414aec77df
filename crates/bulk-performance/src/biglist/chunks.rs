//! Reading a long list: in chunks, and from the end that does not move.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use lab_connection::transcript::Exchange;
use lab_connection::{Connection, Transcript};
use lab_runner::table::{Table, bytes, thousands};
use lab_runner::{LessonContext, LessonError, Outcome};

use super::reader::{CHUNK, from_tail};
use super::{SAMPLE, writer};
use crate::keys::Keys;

/// A longer list is not read in one reply, not even to show why.
const LONGEST_REPLY: u64 = 1_000_000;
/// Numbers that somebody pushes between two chunks.
const NEWCOMERS: u64 = 10;

pub(super) async fn run(ctx: &LessonContext, keys: &Keys, count: u64) -> Outcome {
    ctx.step(
        "A list of ten thousand fits into one reply. A list of ten million does too, but the server builds that reply in \
         its memory, sends nothing else to this client meanwhile, and the client holds all of it at once. LRANGE in \
         chunks needs the memory of one chunk.",
    ).await?;
    sizes(ctx, keys, count).await?;
    ctx.step(format!(
        "Chunks bring a question: what if somebody pushes while we read? Here a list of {} is read in chunks of {}, and \
         after each chunk {NEWCOMERS} new numbers are pushed to the head. Places counted from the head (0, 1, 2) move by \
         that; places counted from the tail (-1, -2, -3) do not.",
        thousands(SAMPLE as f64),
        thousands(CHUNK as f64),
    )).await?;
    let head = while_it_grows(ctx, keys, End::Head).await?;
    let tail = while_it_grows(ctx, keys, End::Tail).await?;
    let mut table =
        Table::new("Read while it grows", &["counted from", "expected", "read twice", "never read"]);
    for (word, reading) in [("the head", &head), ("the tail", &tail)] {
        let numbers = [SAMPLE, reading.twice, reading.never].map(|number| thousands(number as f64));
        table = table.row(std::iter::once(word.to_owned()).chain(numbers));
    }
    ctx.table(table);
    let moved = (SAMPLE / CHUNK - 1) * NEWCOMERS;
    ctx.check(
        format!("from the head, {moved} numbers were read twice, and the {moved} oldest never"),
        (head.twice, head.never) == (moved, moved),
    )?;
    ctx.check("from the tail, every number was read once", (tail.twice, tail.never) == (0, 0))?;
    ctx.step(
        "It is the end that counts: where others take from the tail (RPOP), count from the head. Where both ends move, a \
         list is the wrong structure; a Stream, below, has names for its entries instead of places.",
    ).await?;
    Ok(())
}

async fn sizes(ctx: &LessonContext, keys: &Keys, count: u64) -> Outcome {
    let key = keys.biglist();
    let mut table = Table::new(
        format!("Reading {} numbers", thousands(count as f64)),
        &["with", "replies", "largest reply", "numbers held"],
    );
    let mut whole_reply = None;
    if count <= LONGEST_REPLY {
        let meter = Arc::new(Meter::default());
        let mut metered = meter.on(ctx.untraced("TODO"));
        let numbers: Vec<u64> =
            redis::cmd("LRANGE").arg(&key).arg(0).arg(-1).query_async(&mut metered).await?;
        ctx.check("LRANGE 0 -1 brings every number", numbers.len() as u64 == count)?;
        table = table.row(meter.row("LRANGE 0 -1", numbers.len() as u64));
        whole_reply = Some(meter.largest());
    } else {
        ctx.step("At this length we leave the single LRANGE out: its reply would be too large to be a demonstration.").await?;
    }
    let meter = Arc::new(Meter::default());
    let mut metered = meter.on(ctx.untraced("TODO"));
    let mut done = 0;
    while done < count {
        let chunk = from_tail(&key, done, CHUNK.min(count - done), &mut metered).await?;
        if chunk.is_empty() {
            break;
        }
        done += chunk.len() as u64;
    }
    table = table.row(meter.row("LRANGE in chunks", CHUNK.min(count)));
    ctx.table(table);
    let smaller = whole_reply.is_none_or(|whole| count <= CHUNK || meter.largest() * 2 < whole);
    ctx.check("chunks bring every number too, in smaller replies", done == count && smaller)
}

/// The end that places are counted from.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Head,
    Tail,
}

struct Reading {
    twice: u64,
    never: u64,
}

/// Reads a list of [`SAMPLE`] numbers in chunks, while it grows at the head.
async fn while_it_grows(ctx: &LessonContext, keys: &Keys, end: End) -> Result<Reading, LessonError> {
    let key = keys.biglist_growing();
    ctx.start_clean(std::slice::from_ref(&key)).await?;
    let mut connection = ctx.untraced("TODO");
    writer::push(&key, 0, 1..=SAMPLE, &mut connection).await?;
    let (mut seen, mut twice, mut length) = (BTreeSet::new(), 0, SAMPLE);
    for chunk in 0..SAMPLE / CHUNK {
        let done = chunk * CHUNK;
        let numbers: Vec<u64> = match end {
            End::Head => {
                let mut lrange = redis::cmd("LRANGE");
                lrange.arg(&key).arg(done).arg(done + CHUNK - 1).query_async(&mut connection).await?
            }
            End::Tail => from_tail(&key, done, CHUNK, &mut connection).await?,
        };
        twice += numbers.into_iter().filter(|number| !seen.insert(*number)).count() as u64;
        writer::push(&key, length, length + 1..=length + NEWCOMERS, &mut connection).await?;
        length += NEWCOMERS;
    }
    let never = (1..=SAMPLE).filter(|number| !seen.contains(number)).count() as u64;
    Ok(Reading { twice, never })
}

/// Counts replies and remembers the largest.
#[derive(Default)]
struct Meter {
    replies: AtomicU64,
    largest: AtomicUsize,
}

impl Meter {
    fn on(self: &Arc<Self>, connection: Connection) -> Transcript<Connection> {
        let meter = Arc::clone(self);
        let hear = move |exchange: Exchange| {
            meter.replies.fetch_add(1, Ordering::Relaxed);
            meter.largest.fetch_max(exchange.bytes_received, Ordering::Relaxed);
        };
        Transcript::new(connection, Arc::new(hear))
    }

    fn largest(&self) -> usize {
        self.largest.load(Ordering::Relaxed)
    }

    fn row(&self, with: &str, held: u64) -> [String; 4] {
        let replies = self.replies.load(Ordering::Relaxed);
        [with.to_owned(), thousands(replies as f64), bytes(self.largest()), thousands(held as f64)]
    }
}
