//! What a snapshot costs: a blocked server, or a fork and the pages that it copies.

use std::time::Duration;

use lab_runner::table::{Table, bytes, duration, thousands};
use lab_runner::{BoxError, LessonContext};
use lab_server::Choice;

use super::store::Store;

const USERS: usize = 10_000;
/// Bytes of each.
const LENGTH: usize = 1_000;
/// How long the child rests after each key, in microseconds, so that writes happen while it works.
const REST: &str = "5";

pub(super) async fn fork(ctx: &LessonContext, choice: &Choice) -> Result<(), BoxError> {
    let store = Store::start(choice, &[]).await?;
    let mut redis = store.redis(ctx);
    ctx.step(format!(
        "SAVE writes the file in the thread that serves clients, so they all wait. BGSAVE forks a child that writes, and the server goes \
         on. Only the fork itself blocks. {} users of {} bytes:",
        thousands(USERS as f64),
        thousands(LENGTH as f64),
    ))
    .await?;
    store.fill(USERS, LENGTH).await?;
    redis::cmd("SAVE").exec_async(&mut redis).await?;
    redis::cmd("BGSAVE").exec_async(&mut redis).await?;
    ctx.announce("EVAL writes the users. INFO is asked until rdb_bgsave_in_progress is 0.");
    store.until_zero(&["rdb_bgsave_in_progress"]).await?;
    let forked = Duration::from_micros(store.info("latest_fork_usec").await? as u64);
    let quiet = store.info("rdb_last_cow_size").await?;
    ctx.say(format!("The fork blocked the server for {}. It grows with the memory.", duration(forked)));

    ctx.step(
        "Parent and child share their memory. When the parent changes a page, the kernel copies it first. So a server that writes during \
         a snapshot needs more memory, up to twice as much. Here a BGSAVE while every user is written once. The child rests after each \
         key (rdb-key-save-delay), so that the writes fall into its time:",
    )
    .await?;
    redis::cmd("CONFIG").arg("SET").arg("rdb-key-save-delay").arg(REST).exec_async(&mut redis).await?;
    redis::cmd("BGSAVE").exec_async(&mut redis).await?;
    store.fill(USERS, LENGTH).await?;
    let in_time = store.info("rdb_bgsave_in_progress").await? == 1;
    store.until_zero(&["rdb_bgsave_in_progress"]).await?;
    let busy = store.info("rdb_last_cow_size").await?;
    ctx.announce("EVAL writes the users again. INFO tells rdb_last_cow_size.");
    let used = store.info("used_memory").await?;
    let table = Table::new("BGSAVE", &["meanwhile", "data", "copied pages", "share"]);
    let row = |label: &str, copied: usize| {
        [label.to_owned(), bytes(used), bytes(copied), format!("{}%", copied * 100 / used.max(1))]
    };
    ctx.table(table.row(row("nobody writes", quiet)).row(row("every user is written once", busy)));
    ctx.check("the writes were done before the child was", in_time)?;
    ctx.check("the data was copied: at least its size in pages", busy >= USERS * LENGTH)?;
    ctx.check("without writes, much less was copied", quiet * 2 < busy)?;
    ctx.say(
        "The server turns transparent huge pages off for itself (disable-thp). With them, a small write would copy 2 MB instead of 4 kB. An AOF rewrite forks in the same way. If the kernel \
         refuses the fork for lack of memory, the snapshot fails, and by default (stop-writes-on-bgsave-error) writes are then refused.",
    );
    store.stop().await
}
