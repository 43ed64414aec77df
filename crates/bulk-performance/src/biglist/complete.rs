//! Half a list looks like a whole one; the writer has to say when it is done.

use lab_connection::Target;
use lab_runner::table::thousands;
use lab_runner::{Outcome, Page};
use redis::AsyncTypedCommands;

use super::{reader, roles, writer};
use crate::keys::Keys;

/// Numbers that are pushed before the learner's eyes.
const OPENING: u64 = 3;

/// Writes the list in two halves, and reads it after each. `told` if the lines of the two roles need no repetition.
pub(super) async fn teach(page: &Page, keys: &Keys, b: &Target, count: u64, told: bool) -> Outcome {
    let (mut a, key) = (page.own_redis().await?, keys.biglist());
    page.say(
        "Server A has numbers, Server B needs them, and they meet in a list. LPUSH puts each value at the head, so the \
         last one pushed comes first when the list is read.",
    );
    let opening = OPENING.min(count);
    let numbers: Vec<u64> = (1..=opening).collect();
    redis::cmd("LPUSH").arg(&key).arg(&numbers).exec_async(&mut a).await?;
    let shown: Vec<u64> = redis::cmd("LRANGE").arg(&key).arg(0).arg(-1).query_async(&mut a).await?;
    page.check("newest first", shown.iter().rev().eq(&numbers))?;

    let half = (count / 2).max(opening);
    let (so_far, all) = (thousands(half as f64), thousands(count as f64));
    page.say(
        "The other numbers go the same way, but 1,000 to an LPUSH and 16 LPUSHes to a pipeline: few round trips, and the \
         memory of both sides is bounded, however long the list. Now Server A is half-way, and Server B reads:"
    );
    let mut quietly = page.quietly();
    writer::push(&key, opening, opening + 1..=half, &mut quietly).await?;
    let length = a.llen(&key).await?;
    let early = reader::read(keys, &mut quietly).await?;
    page.check(
        format!("{so_far} numbers, in perfect order: nothing shows that {all} are to come"),
        (length as u64, early.length) == (half, half),
    )?;

    page.say(
        "So the writer says when it is done: its last command writes how many there are. A server carries out one \
         client's commands in their order, and a replica receives them in that order. Whoever sees the count has the \
         whole list.",
    );
    let unsaid = a.get(keys.biglist_count()).await?;
    page.check("so far Server A has not said so", unsaid.is_none() && !early.is_complete())?;
    writer::push(&key, half, half + 1..=count, &mut quietly).await?;
    redis::cmd("SET").arg(keys.biglist_count()).arg(count).exec_async(&mut a).await?;
    if b.address() != page.target().address() {
        super::pair::caught_up(&mut quietly, &mut b.connection()).await?;
    }
    let found = reader::read(keys, &mut b.connection()).await?;
    page.check(format!("Server B has {all} numbers, each in its place"), found.is_complete())?;
    if !told {
        page.say(
            "Server A and Server B as commands, `biglist server-a` and `biglist server-b`, say it like this:",
        );
        page.listing(roles::lines(count, &key, &found));
    }
    Ok(())
}
