//! No files, and a snapshot.

use lab_runner::table::Table;
use lab_runner::{BoxError, LessonContext};
use lab_server::Choice;

use super::store::Store;

/// Writes before the snapshot, and as many after it.
const HALF: usize = 300;

pub(super) async fn lose_everything(ctx: &LessonContext, choice: &Choice) -> Result<(), BoxError> {
    ctx.step(
        "This lesson kills servers and damages their files. So it starts private ones and leaves yours alone. By default, Redis \
         writes snapshots. The first server has that turned off (save \"\"), so everything is in memory only. It acknowledges some \
         writes, gets a kill -9, and starts again:",
    )
    .await?;
    ctx.function("crash_without_files");
    ctx.announce("SET writes the orders one by one. After the restart, GET reads every one back.");
    let (written, lost_all) = crash_without_files(choice).await?;
    ctx.check("every acknowledged write is gone", lost_all == written)?;

    let mut store = Store::start(choice, &[]).await?;
    let mut redis = store.redis(ctx);
    ctx.step(
        "An RDB file is a snapshot of everything. SAVE writes one now, and nobody is served meanwhile. What comes after it is only in \
         memory:",
    )
    .await?;
    store.write(0..HALF).await?;
    redis::cmd("SAVE").exec_async(&mut redis).await?;
    store.write(HALF..2 * HALF).await?;
    store.restart().await?;
    let missing = store.missing(0..2 * HALF).await?;
    ctx.announce("SET writes the orders, and GET reads them back. restart() begins with a kill -9.");
    let table = Table::new("After a kill -9", &["persistence", "acknowledged", "lost"]);
    let table = table.labeled("none", [written, lost_all]);
    ctx.table(table.labeled("one SAVE halfway", [2 * HALF, missing]));
    ctx.check("what was written after the snapshot is gone", missing == HALF)?;
    ctx.say(
        "A rule such as 'save 60 1000' takes a snapshot when there were 1,000 changes and 60 seconds have passed since the last one. A \
         crash of a busy server takes about a minute of writes. That of a quiet one can take 999, however old they are.",
    );
    store.stop().await
}

/// Returns how many writes were acknowledged, and how many of them are gone.
async fn crash_without_files(choice: &Choice) -> Result<(usize, usize), BoxError> {
    let mut store = Store::start(choice, &[]).await?;
    let written = store.write(0..2 * HALF).await?;
    store.kill().await?;
    store.restart().await?;
    let lost = store.missing(0..2 * HALF).await?;
    store.stop().await?;
    Ok((written, lost))
}
