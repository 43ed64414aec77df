//! Reading a replica before it caught up.

use std::sync::Arc;

use lab_connection::Connection;
use lab_runner::table::{Table, thousands};
use lab_runner::{LessonContext, LessonError, Outcome};
use redis::AsyncTypedCommands;
use tokio::time::Duration;

use super::SAMPLE;
use super::pair::{Pair, caught_up};
use super::replication::{PATIENCE, Replication, wait};
use super::{reader, writer};
use crate::keys::Keys;

/// How long WAIT waits for a replica that cannot answer.
const SHORTLY: Duration = Duration::from_millis(100);

/// Shows what a replica lacks while it is cut off, and that WAIT tells. Without a pair, one is started where servers may
/// be.
pub(super) async fn run(ctx: &LessonContext, pair: Option<Arc<Pair>>) -> Outcome {
    ctx.step(
        "Server B can read from a replica of Server A's server. A primary answers its client first and sends the write \
         to its replicas afterwards, so an acknowledged write may not be there yet.",
    ).await?;
    let pair = if pair.is_some() { pair } else { Pair::beside(ctx.target()).await?.map(Arc::new) };
    let Some(pair) = pair else {
        ctx.step(
            "To see that, run `cargo bulk biglist --server valkey-9.1`: it starts a primary and a replica.",
        )
        .await?;
        return Ok(());
    };
    let late = late(&pair).await?;
    let [before, cut, mended] = late.moments;
    let mut table =
        Table::new("What the replica has", &["moment", "on A", "on B", "missing", "offset A", "offset B"]);
    let words = ["half is written, WAIT said 1", "B cut off, A writes on", "B is back, WAIT said 1"];
    for (word, moment) in words.into_iter().zip([before, cut, mended]) {
        let Moment { on_a, on_b, offset_a, offset_b } = moment;
        let numbers = [on_a, on_b, on_a - on_b, offset_a, offset_b].map(|number| thousands(number as f64));
        table = table.row(std::iter::once(word.to_owned()).chain(numbers));
    }
    ctx.step(
        "Here the replica loses its primary half-way (REPLICAOF to a port where nobody listens; a broken network does the \
         same). Server A goes on, and every LPUSH is answered. Server B reads what it has, in perfect order. Then the \
         replica finds its primary again.",
    ).await?;
    ctx.table(table);
    ctx.check(
        format!("cut off, {} acknowledged numbers are missing on B", thousands(cut.missing() as f64)),
        cut.missing() == SAMPLE / 2,
    )?;
    ctx.check("the offsets tell: B's is behind A's", cut.offset_b < cut.offset_a)?;
    ctx.check("WAIT told too: 0 replicas had the writes", late.confirmed_while_cut == 0)?;
    ctx.check("after WAIT said 1, none is missing", before.missing() == 0 && mended.missing() == 0)?;
    ctx.step(
        "WAIT speaks for the writes of its own connection, so Server A sends it where it has sent its LPUSHes. It waits; \
         it takes nothing back. When it says 0, the primary has the writes all the same, and only Server A knows that \
         nobody else has them.",
    ).await?;
    Ok(())
}

/// The same list on both servers, at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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

    async fn of(key: &str, a: &mut Connection, b: &mut Connection) -> Result<Self, LessonError> {
        let offset_a = Replication::of(a).await?.offset;
        let offset_b = Replication::of(b).await?.offset;
        let on_b = reader::all(key, b).await?;
        if !on_b.iter().copied().eq(1..=on_b.len() as u64) {
            return Err(LessonError::Check("the replica applies writes in their order".into()));
        }
        Ok(Self { on_a: a.llen(key).await? as u64, on_b: on_b.len() as u64, offset_a, offset_b })
    }
}

struct Late {
    moments: [Moment; 3],
    confirmed_while_cut: u64,
}

async fn late(pair: &Pair) -> Result<Late, LessonError> {
    let key = Keys::new(pair.a.prefix()).biglist_late();
    let (mut a, mut b) = (pair.a.blocking(PATIENCE).await?, pair.b.connection());
    a.unlink(&key).await?;
    writer::push(&key, 0, 1..=SAMPLE / 2, &mut a).await?;
    confirm(&mut a).await?;
    let before = Moment::of(&key, &mut a, &mut b).await?;

    pair.cut().await?;
    writer::push(&key, SAMPLE / 2, SAMPLE / 2 + 1..=SAMPLE, &mut a).await?;
    let confirmed_while_cut = wait(1, SHORTLY, &mut a).await?;
    let cut = Moment::of(&key, &mut a, &mut b).await?;

    pair.mend().await?;
    confirm(&mut a).await?;
    let mended = Moment::of(&key, &mut a, &mut b).await?;
    a.unlink(&key).await?;
    caught_up(&mut a, &mut b).await?;
    Ok(Late { moments: [before, cut, mended], confirmed_while_cut })
}

async fn confirm(a: &mut Connection) -> Result<(), LessonError> {
    if wait(1, PATIENCE, a).await? == 1 {
        return Ok(());
    }
    let seconds = PATIENCE.as_secs();
    Err(LessonError::Check(format!("the replica has every write within {seconds} seconds")))
}
