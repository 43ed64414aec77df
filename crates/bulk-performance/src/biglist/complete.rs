//! Half a list looks like a whole one; the writer has to say when it is done.

use lab_connection::Target;
use lab_runner::table::thousands;
use lab_runner::{LessonContext, Outcome};
use redis::AsyncTypedCommands;

use super::{reader, roles, writer};
use crate::keys::Keys;

/// Numbers that are pushed before the learner's eyes.
const OPENING: u64 = 3;

/// Writes the list in two halves, and reads it after each. `told` if the lines of the two roles need no repetition.
pub(super) async fn run(ctx: &LessonContext, keys: &Keys, b: &Target, count: u64, told: bool) -> Outcome {
    let (mut a, key) = (ctx.dedicated_redis().await?, keys.biglist());
    ctx.step(
        "Server A has numbers, Server B needs them, and they meet in a list. LPUSH puts each value at the head, so the \
         last one pushed comes first when the list is read.",
    ).await?;
    let opening = OPENING.min(count);
    let numbers: Vec<u64> = (1..=opening).collect();
    redis::cmd("LPUSH").arg(&key).arg(&numbers).exec_async(&mut a).await?;
    let shown: Vec<u64> = redis::cmd("LRANGE").arg(&key).arg(0).arg(-1).query_async(&mut a).await?;
    ctx.check("newest first", shown.iter().rev().eq(&numbers))?;

    let half = (count / 2).max(opening);
    let (so_far, all) = (thousands(half as f64), thousands(count as f64));
    ctx.step(
        "The other numbers go the same way, but 1,000 to an LPUSH and 16 LPUSHes to a pipeline: few round trips, and the \
         memory of both sides is bounded, however long the list. Now Server A is half-way, and Server B reads:"
    ).await?;
    let mut quietly = ctx.untraced("TODO");
    writer::push(&key, opening, opening + 1..=half, &mut quietly).await?;
    let length = a.llen(&key).await?;
    let early = reader::read(keys, &mut quietly).await?;
    ctx.check(
        format!("{so_far} numbers, in perfect order: nothing shows that {all} are to come"),
        (length as u64, early.length) == (half, half),
    )?;

    ctx.step(
        "So the writer says when it is done: its last command writes how many there are. A server carries out one \
         client's commands in their order, and a replica receives them in that order. Whoever sees the count has the \
         whole list.",
    ).await?;
    let unsaid = a.get(keys.biglist_count()).await?;
    ctx.check("so far Server A has not said so", unsaid.is_none() && !early.is_complete())?;
    writer::push(&key, half, half + 1..=count, &mut quietly).await?;
    redis::cmd("SET").arg(keys.biglist_count()).arg(count).exec_async(&mut a).await?;
    if b.address() != ctx.target().address() {
        super::pair::caught_up(&mut quietly, &mut b.connection()).await?;
    }
    let found = reader::read(keys, &mut b.connection()).await?;
    ctx.check(format!("Server B has {all} numbers, each in its place"), found.is_complete())?;
    if !told {
        ctx.step(
            "Server A and Server B as commands, `biglist server-a` and `biglist server-b`, say it like this:",
        )
        .await?;
        ctx.listing(roles::lines(count, &key, &found));
    }
    Ok(())
}
