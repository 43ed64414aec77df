//! One list is one key, on one server, written by one thread of it; several lists share the work.

use lab_connection::Target;
use lab_runner::table::{Table, thousands};
use lab_runner::{LessonContext, LessonError, Outcome};
use redis::RedisError;
use tokio::task::JoinSet;

use super::{reader, writer};
use crate::keys::Keys;

/// Parts, and writers.
pub const PARTS: u64 = 4;

pub(super) async fn run(ctx: &LessonContext, keys: &Keys, count: u64) -> Outcome {
    ctx.step(format!(
        "A list lives under one key, so on one server of a cluster, and several writers of one list mix their numbers. To \
         scale, cut it into parts: here {PARTS} writers, each on a connection of its own, write at the same time; number \
         n goes to part n % {PARTS}. The braces in {} are a hash tag: what stands in them decides the slot, so the parts \
         can lie on several servers.",
        keys.biglist_part(0),
    )).await?;
    write(ctx.target(), keys, count).await?;
    let mut parts = Vec::new();
    let mut table = Table::new("The parts", &["list", "numbers", "newest", "oldest", "slot"]);
    for part in 0..PARTS {
        let key = keys.biglist_part(part);
        let numbers = reader::all(&key, &mut ctx.untraced("TODO")).await?;
        let ends =
            [numbers.len() as u64, newest(&numbers), oldest(&numbers)].map(|number| thousands(number as f64));
        let slot = if ctx.target().is_cluster() {
            let mut ask = redis::cmd("CLUSTER");
            ask.arg("KEYSLOT").arg(&key).query_async::<u64>(&mut ctx.untraced("TODO")).await?.to_string()
        } else {
            "-".to_owned()
        };
        table = table.row(std::iter::once(key).chain(ends).chain([slot]));
        parts.push(numbers);
    }
    ctx.table(table);
    let total: usize = parts.iter().map(Vec::len).sum();
    let in_order = parts.iter().zip(0..).all(|(numbers, part)| is_ordered(numbers, part));
    ctx.check(
        format!("{} numbers in all, in order within each part", thousands(total as f64)),
        total as u64 == count && in_order,
    )?;
    let mut merged: Vec<u64> = parts.into_iter().flatten().collect();
    merged.sort_unstable();
    ctx.check("put together by number, they are the whole list again", merged.into_iter().eq(1..=count))?;
    ctx.step(
        "The price: there is an order within a part, and none between parts. Who needs one keeps a number in the value, \
         as here, and merges.",
    ).await?;
    Ok(())
}

/// Lets [`PARTS`] writers, each on a connection of its own, write 1 to `count` at the same time, from nothing.
pub async fn write(target: &Target, keys: &Keys, count: u64) -> Result<(), LessonError> {
    let mut writers = JoinSet::new();
    for part in 0..PARTS {
        let (key, mut connection) = (keys.biglist_part(part), target.dedicated().await?);
        writers.spawn(async move {
            redis::cmd("UNLINK").arg(&key).exec_async(&mut connection).await?;
            writer::push(&key, 0, (1..=count).filter(|number| number % PARTS == part), &mut connection).await
        });
    }
    while let Some(ended) = writers.join_next().await {
        ended.map_err(|stopped| RedisError::from(std::io::Error::other(stopped)))??;
    }
    Ok(())
}

/// Whether the numbers, oldest first, are all of this part and rise.
fn is_ordered(numbers: &[u64], part: u64) -> bool {
    numbers.iter().all(|number| number % PARTS == part) && numbers.is_sorted_by(|a, b| a < b)
}

fn newest(numbers: &[u64]) -> u64 {
    numbers.last().copied().unwrap_or_default()
}

fn oldest(numbers: &[u64]) -> u64 {
    numbers.first().copied().unwrap_or_default()
}
