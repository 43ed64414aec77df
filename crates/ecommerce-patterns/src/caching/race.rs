//! A load that began before a write, and stores after it.

use std::convert::Infallible;

use lab_runner::table::Table;
use lab_runner::{LessonContext, LessonError, Outcome};

use super::{failed, keys_of_cache, new_cache};

/// How often a write comes between reading the row and storing it.
pub const WRITES: usize = 20;
/// The price before the write, and after it.
const OLD: &str = "19.99";
const NEW: &str = "17.99";

fn raced(number: usize) -> String {
    format!("raced-{number}")
}

pub(super) fn keys(ctx: &LessonContext) -> Result<Vec<String>, LessonError> {
    keys_of_cache(ctx, (0..WRITES).map(raced))
}

pub(super) async fn count(ctx: &LessonContext) -> Outcome {
    ctx.step(format!(
        "Break it: one client reads the row at the old price. Another writes the new price and deletes the entry, as it should. \
         Then the first stores what it has read. {WRITES} times, the old price is shown until its TTL ends. Fix it: a client may \
         store only while it has the lease that it took when it missed, and the deletion has taken the lease away.",
    )).await?;
    let (mut redis, cache) = (ctx.untraced("TODO"), new_cache(ctx.untraced("TODO"), ctx));
    let mut naive = 0;
    for number in 0..WRITES {
        let key = cache.key(&[&raced(number)]).map_err(failed)?.as_str().to_owned();
        let found: Option<String> = redis::cmd("GET").arg(&key).query_async(&mut redis).await?;
        // It reads the row. Another client changes the row and deletes the entry before what was read is stored.
        let read = found.unwrap_or_else(|| OLD.to_owned());
        redis::cmd("UNLINK").arg(&key).exec_async(&mut redis).await?;
        redis::cmd("SET").arg(&key).arg(read).arg("EX").arg(600).exec_async(&mut redis).await?;
        let served: Option<String> = redis::cmd("GET").arg(&key).query_async(&mut redis).await?;
        naive += usize::from(served.as_deref() != Some(NEW));
    }
    ctx.start_clean(&keys(ctx)?).await?;

    let mut ours = 0;
    for number in 0..WRITES {
        let id: &[&str] = &[&raced(number)];
        let load = || async {
            let read = OLD.to_owned();
            // The row changes, and its entry is deleted, before what was read is stored.
            cache.invalidate(id).await.map(|()| Some(read))
        };
        cache.get_or_load(id, load).await.map_err(failed)?;
        let new = || async { Ok::<_, Infallible>(Some(NEW.to_owned())) };
        let served = cache.get_or_load(id, new).await.map_err(failed)?;
        ours += usize::from(served.as_deref() != Some(NEW));
    }
    let late = usize::try_from(cache.statistics().late).unwrap_or(usize::MAX);
    ctx.table(
        Table::new("A write comes between reading and storing", &["approach", "writes", "old price served"])
            .row(["GET, load, SET; DEL after a write".to_owned(), WRITES.to_string(), naive.to_string()])
            .row(["store only with the lease".to_owned(), WRITES.to_string(), ours.to_string()]),
    );
    ctx.check_eq(
        "the old price every time; or never, because every such load was refused",
        &(naive, ours, late),
        &(WRITES, 0, WRITES),
    )
}
