//! Reading a replica before it has caught up.

use std::sync::Arc;

use lab_connection::Connection;
use lab_runner::table::{Table, thousands};
use lab_runner::{LessonContext, LessonError, Outcome, Source, source};
use redis::AsyncTypedCommands;
use tokio::time::Duration;

use super::pair::{CATCH_UP, Pair, Replication, caught_up, wait};
use super::{reader, writer};
use crate::keys::Keys;

static REPLICA: Source = source!("src/biglist/replica.rs");
/// Numbers in the list, half of them written while the replica is cut off.
const SIZE: u64 = 10_000;
/// How long WAIT waits for a replica that cannot answer.
const SHORTLY: Duration = Duration::from_millis(100);

/// Shows what a replica lacks while it is cut off, and that WAIT says so. Without a pair, starts one if the server is private.
pub(super) async fn run(ctx: &LessonContext, pair: Option<Arc<Pair>>) -> Outcome {
    let pair = if pair.is_some() { pair } else { Pair::beside(ctx.target()).await?.map(Arc::new) };
    ctx.step(
        "Server B can read from a replica of Server A's server. A primary answers its client first and sends the write to \
         its replicas afterward, so an acknowledged write may be missing there. Here the replica loses its primary halfway, \
         and Server A goes on writing:",
    )
    .await?;
    ctx.code(REPLICA.function("lose_the_primary"));
    let Some(pair) = pair else {
        ctx.say(
            "To see it, run `cargo bulk biglist --server valkey-9.1`: it starts a primary and a replica.",
        );
        return Ok(());
    };
    ctx.announce(
        "On a private primary and its replica: UNLINK, LPUSH, LLEN, WAIT, and INFO on the primary; LRANGE and INFO on the \
         replica; REPLICAOF with port 1, where nothing listens, cuts the replica off.",
    );
    let Moments { before, cut, mended, confirmed_while_cut } = lose_the_primary(&pair).await?;
    let header = ["moment", "on A", "on B", "missing", "offset A", "offset B"];
    let moments = [
        ("half is written, WAIT said 1", before),
        ("B is cut off, A writes", cut),
        ("B is back, WAIT said 1", mended),
    ];
    ctx.table(moments.into_iter().fold(
        Table::new("What the replica has", &header),
        |table, (moment, now)| {
            let numbers = [now.on_a, now.on_b, now.missing(), now.offset_a, now.offset_b];
            table
                .row(std::iter::once(moment.to_owned()).chain(numbers.map(|number| thousands(number as f64))))
        },
    ));
    ctx.check(
        format!("cut off, {} acknowledged numbers are missing on B", thousands(cut.missing() as f64)),
        cut.missing() == SIZE / 2,
    )?;
    ctx.check("the offsets show it: B's is behind A's", cut.offset_b < cut.offset_a)?;
    ctx.check("WAIT shows it too: 0 replicas had the writes", confirmed_while_cut == 0)?;
    ctx.check("after WAIT said 1, nothing is missing", before.missing() == 0 && mended.missing() == 0)?;
    ctx.say(
        "WAIT covers the writes of its own connection, so Server A sends it where it sent its LPUSHes. It undoes nothing: \
         after a 0, the primary still has the writes, and only Server A knows that no replica has them.",
    );
    Ok(())
}

struct Moments {
    before: Moment,
    cut: Moment,
    mended: Moment,
    confirmed_while_cut: u64,
}

async fn lose_the_primary(pair: &Pair) -> Result<Moments, LessonError> {
    let key = Keys::new(pair.a.prefix()).biglist_late();
    let (mut a, mut b) = (pair.a.blocking(CATCH_UP).await?, pair.b.connection());
    a.unlink(&key).await?;
    writer::push(&key, 0, 1..=SIZE / 2, &mut a).await?;
    confirm(&mut a).await?;
    let before = Moment::now(&key, &mut a, &mut b).await?;

    pair.cut().await?;
    writer::push(&key, SIZE / 2, SIZE / 2 + 1..=SIZE, &mut a).await?;
    let confirmed_while_cut = wait(1, SHORTLY, &mut a).await?;
    let cut = Moment::now(&key, &mut a, &mut b).await?;

    pair.mend().await?;
    confirm(&mut a).await?;
    let mended = Moment::now(&key, &mut a, &mut b).await?;
    a.unlink(&key).await?;
    caught_up(&mut a, &mut b).await?;
    Ok(Moments { before, cut, mended, confirmed_while_cut })
}

/// The same list on both servers.
#[derive(Clone, Copy)]
struct Moment {
    on_a: u64,
    on_b: u64,
    offset_a: u64,
    offset_b: u64,
}

impl Moment {
    fn missing(&self) -> u64 {
        self.on_a.saturating_sub(self.on_b)
    }

    async fn now(key: &str, a: &mut Connection, b: &mut Connection) -> Result<Self, LessonError> {
        let offset_a = Replication::of(a).await?.offset;
        let offset_b = Replication::of(b).await?.offset;
        let on_b = reader::all(key, b).await?;
        if !on_b.iter().copied().eq(1..=on_b.len() as u64) {
            return Err(LessonError::Check("the replica applies writes in order".into()));
        }
        Ok(Self { on_a: a.llen(key).await? as u64, on_b: on_b.len() as u64, offset_a, offset_b })
    }
}

async fn confirm(a: &mut Connection) -> Result<(), LessonError> {
    if wait(1, CATCH_UP, a).await? == 1 {
        return Ok(());
    }
    let seconds = CATCH_UP.as_secs();
    Err(LessonError::Check(format!("the replica has every write within {seconds} seconds")))
}
