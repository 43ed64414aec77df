//! One list is one key, on one server. Several lists share the work.

use lab_connection::Target;
use lab_runner::concurrent::try_join_all;
use lab_runner::table::{Table, thousands};
use lab_runner::{LessonContext, LessonError, Outcome, Source, source};
use redis::AsyncTypedCommands;

use super::{reader, writer};
use crate::keys::Keys;

static PARTS_RS: Source = source!("src/biglist/parts.rs");
/// Lists, and writers.
pub const PARTS: u64 = 4;
/// Numbers in all of them.
const SIZE: u64 = 10_000;

pub(super) async fn run(ctx: &LessonContext, keys: &Keys) -> Outcome {
    ctx.step(format!(
        "A list is one key, so it lives on one server of a cluster, and several writers mix their numbers in it. To scale, \
         cut it into parts. Here {PARTS} writers, each on its own connection, write at the same time; number n goes to part \
         n % {PARTS}. Each part, such as {}, is a key of its own with its own hash tag, so the parts can be on different \
         servers.",
        keys.biglist_part(0),
    ))
    .await?;
    ctx.code(PARTS_RS.function("write"));
    let slots = if ctx.target().is_cluster() { ", and CLUSTER KEYSLOT finds their slots" } else { "" };
    let mut untraced = ctx.untraced(format!(
        "{PARTS} clients send UNLINK and LPUSH, each to its own list; LRANGE reads the lists{slots}.",
    ));
    write(ctx.target(), keys, SIZE).await?;
    let mut table = Table::new("The parts", &["list", "numbers", "newest", "oldest", "slot"]);
    let (mut total, mut in_order) = (0, true);
    let lists = try_join_all(
        (0..PARTS)
            .map(async |part| reader::all(&keys.biglist_part(part), &mut ctx.target().connection()).await),
    );
    for (part, numbers) in (0..).zip(lists.await?) {
        let key = keys.biglist_part(part);
        let slot = if ctx.target().is_cluster() {
            let mut keyslot = redis::cmd("CLUSTER");
            keyslot.arg("KEYSLOT").arg(&key).query_async::<u64>(&mut untraced).await?.to_string()
        } else {
            "-".to_owned()
        };
        let ends = [numbers.last(), numbers.first()].map(|number| number.copied().unwrap_or_default());
        let figures = [numbers.len() as u64, ends[0], ends[1]].map(|number| thousands(number as f64));
        table = table.row(std::iter::once(key).chain(figures).chain([slot]));
        total += numbers.len() as u64;
        in_order &= numbers.iter().all(|number| number % PARTS == part);
        in_order &= numbers.is_sorted_by(|one, next| one < next);
    }
    ctx.table(table);
    let claim = format!("{} numbers in all, in order within each part", thousands(total as f64));
    ctx.check(claim, total == SIZE && in_order)?;
    ctx.say(
        "There is no order between the parts. If readers need an order, put a number into each value, as here, and merge.",
    );
    Ok(())
}

/// [`PARTS`] writers, each on its own connection, write 1 to `count` at the same time.
pub async fn write(target: &Target, keys: &Keys, count: u64) -> Result<(), LessonError> {
    let writers = (0..PARTS).map(async |part| {
        let (key, mut redis) = (keys.biglist_part(part), target.dedicated().await?);
        redis.unlink(&key).await?;
        let numbers = (1..=count).filter(|number| number % PARTS == part);
        writer::push(&key, 0, numbers, &mut redis).await
    });
    try_join_all(writers).await?;
    Ok(())
}
