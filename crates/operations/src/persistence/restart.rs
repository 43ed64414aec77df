//! How long a restart takes, by size and by file.

use std::fs;
use std::time::Duration;

use lab_runner::table::{Table, bytes, duration, thousands};
use lab_runner::{BoxError, LessonContext};
use lab_server::Choice;

use super::store::Store;

/// Keys, in the order of the rows.
const SIZES: [usize; 2] = [20_000, 100_000];
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

pub(super) async fn compare(ctx: &LessonContext, choice: &Choice) -> Result<(), BoxError> {
    ctx.step(format!(
        "A server that starts refuses clients (LOADING) until everything is in memory. How long is that? Keys with values of {LENGTH} bytes, \
         as a log of commands, as the base that a rewrite leaves, and as an RDB file:",
    ))
    .await?;
    ctx.function("restarts");
    ctx.announce("EVAL writes the keys. BGREWRITEAOF and SAVE write the files. DBSIZE counts the keys after each restart.");
    let empty = Store::start(choice, &[]).await?.restart().await?;
    let mut rows = Vec::new();
    for keys in SIZES {
        rows.extend(restarts(choice, keys).await?);
    }
    let table = Table::new("Restart", &["files", "keys", "bytes", "restart took"]);
    let table = table.row(["none".to_owned(), "0".to_owned(), bytes(0), duration(empty)]);
    ctx.table(rows.iter().fold(table, |table, row| {
        table.row([row.files.to_owned(), thousands(row.keys as f64), bytes(row.size), duration(row.took)])
    }));
    ctx.check("each restart brought all keys back", rows.iter().all(|row| row.found == row.keys))?;
    ctx.check(
        "the log is larger than the base that a rewrite leaves",
        rows.chunks(3).all(|row| row[0].size > row[1].size),
    )?;
    let million = |row: &Restart| {
        duration(row.took.saturating_sub(empty) * 1_000_000 / u32::try_from(row.keys).unwrap_or(u32::MAX))
    };
    if let [.., log, base, rdb] = &rows[..] {
        ctx.say(format!(
            "Scaled from the last three rows, a million such keys load in about {} from the log, {} from the base, and {} from the RDB \
             file on this machine. That is an estimate, and larger values take longer.",
            million(log),
            million(base),
            million(rdb),
        ));
    }
    Ok(())
}

async fn restarts(choice: &Choice, keys: usize) -> Result<[Restart; 3], BoxError> {
    let mut store = Store::with_aof(choice, "everysec").await?;
    store.fill(keys, LENGTH).await?;
    store.until_zero(&["aof_buffer_length"]).await?;
    let size = store.info("aof_current_size").await?;
    let log = restart(&mut store, "AOF: commands", keys, size).await?;

    redis::cmd("BGREWRITEAOF").exec_async(&mut store.connection.clone()).await?;
    store.until_zero(&["aof_rewrite_scheduled", "aof_rewrite_in_progress"]).await?;
    let size = store.info("aof_current_size").await?;
    let base = restart(&mut store, "AOF: rewritten", keys, size).await?;

    redis::cmd("SAVE").exec_async(&mut store.connection.clone()).await?;
    store.edit_config("appendonly", "no").await?;
    let size = usize::try_from(fs::metadata(store.dir().await?.join("dump.rdb"))?.len())?;
    let rdb = restart(&mut store, "RDB", keys, size).await?;
    store.stop().await?;
    Ok([log, base, rdb])
}

async fn restart(
    store: &mut Store,
    files: &'static str,
    keys: usize,
    size: usize,
) -> Result<Restart, BoxError> {
    let took = store.restart().await?;
    let found = redis::cmd("DBSIZE").query_async(&mut store.connection.clone()).await?;
    Ok(Restart { files, keys, size, took, found })
}
