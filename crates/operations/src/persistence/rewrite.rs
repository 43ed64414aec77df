//! The append-only file: how it gets short again, and how to switch it on.

use std::fs;

use lab_runner::table::{bytes, thousands};
use lab_runner::{BoxError, LessonContext};
use lab_server::Choice;

use super::store::Store;
use crate::backup::aof;

const VISITS: usize = 10_000;
const COUNT: &str = "for _ = 1, ARGV[1] do redis.call('INCR', KEYS[1]) end return redis.call('GET', KEYS[1])";
const ORDERS: usize = 300;

pub(super) async fn shrink(ctx: &LessonContext, choice: &Choice) -> Result<(), BoxError> {
    let mut store = Store::with_aof(choice, "everysec").await?;
    let mut redis = store.redis(ctx);
    ctx.step(format!(
        "The log grows with each write, even if the data does not. This script raises one counter {} times. BGREWRITEAOF forks a \
         child that writes today's data as a new base. What comes meanwhile goes to a new increment, and a manifest names the files:",
        thousands(VISITS as f64),
    ))
    .await?;
    let mut count = redis::cmd("EVAL");
    count.arg(COUNT).arg(1).arg("visits").arg(VISITS).exec_async(&mut redis).await?;
    let before = store.info("aof_current_size").await?;
    redis::cmd("BGREWRITEAOF").exec_async(&mut redis).await?;
    store.until_zero(&["aof_rewrite_scheduled", "aof_rewrite_in_progress"]).await?;
    let after = store.info("aof_current_size").await?;
    let manifest = manifest(&store).await?;
    ctx.say(format!(
        "INFO's aof_current_size before: {}. After: {}. The manifest:",
        bytes(before),
        bytes(after)
    ));
    ctx.listing(manifest);
    ctx.check("the log is shorter: the counter is one value in the base", after * 10 < before)?;
    store.restart().await?;
    let visits: usize = redis::cmd("GET").arg("visits").query_async(&mut store.connection.clone()).await?;
    ctx.announce("After a kill -9 and a restart, GET reads the counter.");
    ctx.check_eq("the counter is complete", &visits, &VISITS)?;
    ctx.say(
        "By itself, a rewrite starts when the file has doubled since the last one and has 64 MB (auto-aof-rewrite-percentage, \
         auto-aof-rewrite-min-size). It needs room on the disk for both, and memory as any fork does.",
    );
    store.stop().await
}

async fn manifest(store: &Store) -> Result<String, BoxError> {
    Ok(fs::read_to_string(store.dir().await?.join(aof::DIRECTORY).join(aof::MANIFEST))?)
}

/// From RDB to both.
pub(super) async fn switch_on(ctx: &LessonContext, choice: &Choice) -> Result<(), BoxError> {
    let mut store = Store::start(choice, &[]).await?;
    ctx.step(
        "With RDB and AOF together, you have the AOF for safety and RDB files for backups. A server has an RDB file with all its orders. Somebody writes \
         'appendonly yes' into its configuration file and restarts it:",
    )
    .await?;
    ctx.function("by_the_file");
    let guess = ctx.predict("How many orders are there after the restart?", ["none", "some", "all"]).await?;
    ctx.announce("SET writes the orders, SAVE saves them, and GET reads them back.");
    let missing = by_the_file(&mut store).await?;
    guess.answer(match missing {
        0 => "all",
        ORDERS => "none",
        _ => "some",
    })?;
    ctx.check(
        format!("{missing} of {ORDERS} orders are missing: with appendonly yes, the RDB file is not read, even before there is an AOF"),
        missing == ORDERS,
    )?;

    ctx.step(
        "The RDB file is still there, so the old setting brings the orders back, until the next snapshot replaces the file. The right way is at \
         run time: CONFIG SET writes an AOF \
         with all that is in memory, and CONFIG REWRITE keeps the setting:",
    )
    .await?;
    store.edit_config("appendonly", "no").await?;
    store.restart().await?;
    let mut redis = store.redis(ctx);
    redis::cmd("CONFIG").arg("SET").arg("appendonly").arg("yes").exec_async(&mut redis).await?;
    store.until_zero(&["aof_rewrite_scheduled", "aof_rewrite_in_progress"]).await?;
    redis::cmd("CONFIG").arg("REWRITE").exec_async(&mut redis).await?;
    store.write(ORDERS..2 * ORDERS).await?;
    store.until_zero(&["aof_buffer_length"]).await?;
    store.restart().await?;
    let missing = store.missing(0..2 * ORDERS).await?;
    ctx.announce("SET writes as many orders again. INFO tells when the first AOF is complete. After a kill -9, GET reads all of them.");
    ctx.check_eq("no order is missing: not from the RDB file, and none written since", &missing, &0)?;
    store.stop().await
}

/// Returns how many orders are missing.
async fn by_the_file(store: &mut Store) -> Result<usize, BoxError> {
    store.write(0..ORDERS).await?;
    redis::cmd("SAVE").exec_async(&mut store.connection.clone()).await?;
    store.edit_config("appendonly", "yes").await?;
    store.restart().await?;
    store.missing(0..ORDERS).await
}
