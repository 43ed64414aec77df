//! How long a restart takes, by size and by file.

use std::time::Duration;

use lab_runner::table::{Table, bytes, duration, thousands};
use lab_runner::{BoxError, LessonContext};
use lab_server::Choice;

use super::store::Store;

/// Keys, in the order of the rows.
pub(super) const SIZES: [usize; 2] = [10_000, 50_000];
const MILLION: u32 = 1_000_000;
/// Bytes of each value.
const LENGTH: usize = 100;

/// A restart of a server with so many keys.
struct Restart {
    files: &'static str,
    keys: usize,
    size: usize,
    took: Duration,
    /// The keys that were there afterward.
    found: usize,
}

pub(super) async fn compare(ctx: &LessonContext, choice: &Choice, sizes: &[usize]) -> Result<(), BoxError> {
    ctx.step(format!(
        "A server that starts refuses clients (LOADING) until everything is in memory. How long is that? Keys with values of {LENGTH} bytes, \
         as a log of commands, and as the base that a rewrite leaves, which is an RDB file under another name. Each time is the shorter of \
         two:",
    ))
    .await?;
    ctx.function("restarts");
    ctx.announce(
        "EVAL writes the keys. BGREWRITEAOF writes the base. DBSIZE counts the keys after each restart.",
    );
    let mut store = Store::start(choice, &[]).await?;
    let empty = store.restart().await?.min(store.restart().await?);
    store.stop().await?;
    let mut rows = Vec::new();
    for keys in sizes {
        rows.extend(restarts(choice, *keys).await?);
    }
    let table = Table::new("Restart", &["files", "keys", "bytes", "restart took"]);
    let table = table.row(["none".to_owned(), "0".to_owned(), bytes(0), duration(empty)]);
    ctx.table(rows.iter().fold(table, |table, row| {
        table.row([row.files.to_owned(), thousands(row.keys as f64), bytes(row.size), duration(row.took)])
    }));
    ctx.check("each restart brought all keys back", rows.iter().all(|row| row.found == row.keys))?;
    ctx.check(
        "the log is larger than the base that a rewrite leaves",
        rows.chunks(2).all(|row| row[0].size > row[1].size),
    )?;
    if let [.., log, base] = &rows[..]
        && log.keys < MILLION as usize
    {
        let scaled = |row: &Restart| {
            let seconds = row.took.saturating_sub(empty).as_secs_f64() * f64::from(MILLION) / row.keys as f64;
            duration(Duration::from_secs_f64(seconds))
        };
        ctx.say(format!(
            "Without the {} that an empty server takes, and scaled to a million such keys, the last two rows are about {} for the log and {} \
             for the base, on this machine. Each value is one letter repeated, so the base compresses better than real data would. \
             `cargo ops restarts --keys 1000000` measures it.",
            duration(empty),
            scaled(log),
            scaled(base),
        ));
    }
    Ok(())
}

async fn restarts(choice: &Choice, keys: usize) -> Result<[Restart; 2], BoxError> {
    let mut store = Store::with_aof(choice, "everysec").await?;
    store.fill(keys, LENGTH).await?;
    store.until_zero(&["aof_buffer_length"]).await?;
    let size = store.info("aof_current_size").await?;
    let log = restart(&mut store, "AOF: commands", keys, size).await?;

    redis::cmd("BGREWRITEAOF").exec_async(&mut store.connection.clone()).await?;
    store.until_zero(&["aof_rewrite_scheduled", "aof_rewrite_in_progress"]).await?;
    let size = store.info("aof_current_size").await?;
    let base = restart(&mut store, "AOF: rewritten", keys, size).await?;
    store.stop().await?;
    Ok([log, base])
}

async fn restart(
    store: &mut Store,
    files: &'static str,
    keys: usize,
    size: usize,
) -> Result<Restart, BoxError> {
    let took = store.restart().await?.min(store.restart().await?);
    let found = redis::cmd("DBSIZE").query_async(&mut store.connection.clone()).await?;
    Ok(Restart { files, keys, size, took, found })
}
