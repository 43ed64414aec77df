//! The append-only file and its three fsync policies, against a kill and against a power cut.

use std::fs::{self, OpenOptions};
use std::time::{Duration, Instant};

use futures_util::future::try_join_all;
use lab_runner::table::{Table, duration, thousands};
use lab_runner::{BoxError, LessonContext, Need};
use lab_server::Choice;
use redis::Value;

use super::store::Store;

const POLICIES: [&str; 3] = ["no", "everysec", "always"];
/// Orders that are certainly synced, and those that are written afterward.
const SYNCED: usize = 100;
const AFTER: usize = 200;
const ALL: std::ops::Range<usize> = 0..SYNCED + AFTER;
/// How long WAITAOF waits.
const PATIENCE: Duration = Duration::from_millis(1_200);
const WAITAOF: Need = Need { command: "WAITAOF", available_in: "Redis 7.2 and every Valkey" };

/// What a policy costs, and what it saves.
struct Measured {
    policy: &'static str,
    per_second: f64,
    lost_by_kill: usize,
    lost_by_power_cut: usize,
}

pub(super) async fn compare(ctx: &LessonContext, choice: &Choice) -> Result<(), BoxError> {
    ctx.step(
        "An append-only file (AOF) logs every write. The server hands the bytes to the kernel before it replies, but the kernel may keep \
         them in its page cache for up to 30 seconds. appendfsync says when they must be on the disk: 'no' leaves it to the kernel, \
         'everysec' syncs once a second, and 'always' syncs before each reply. First a kill -9, right after the last reply:",
    )
    .await?;
    ctx.function("measure");
    ctx.announce(
        "For each policy: CONFIG SET, SET writes the orders, INFO says whether the server has handed over its bytes, and GET reads the \
         orders back.",
    );
    let mut measured = Vec::new();
    for policy in POLICIES {
        measured.push(measure(choice, policy).await?);
    }
    ctx.check(
        "a kill -9 loses nothing, whatever the policy: the kernel has the bytes, and it still runs",
        measured.iter().all(|measured| measured.lost_by_kill == 0),
    )?;
    ctx.say(
        "That surprises people. There is one exception. With 'everysec', a server whose sync is still running keeps new bytes to itself \
         for up to two seconds, and a kill takes those. Here INFO said aof_buffer_length:0 before the kill.",
    );

    ctx.step(
        "A power cut also takes the page cache. Nothing here can cut the power, so the lesson does what it would leave in the worst \
         case: it cuts the file at the length that was certainly synced. That is known: the first 100 orders were written under \
         'always'. (The kernel may have written more by itself.)",
    )
    .await?;
    ctx.function("cut");
    ctx.table(table(&measured));
    let lost = |policy| measured.iter().find(|row| row.policy == policy).map(|row| row.lost_by_power_cut);
    ctx.check("'always' lost nothing", lost("always") == Some(0))?;
    ctx.check(
        "the others lost all that came after the last sync",
        lost("everysec") == Some(AFTER) && lost("no") == Some(AFTER),
    )?;
    sync_times(ctx, choice).await
}

async fn measure(choice: &Choice, policy: &'static str) -> Result<Measured, BoxError> {
    let mut store = Store::with_aof(choice, "always").await?;
    store.write(0..SYNCED).await?;
    let file = store.increment().await?;
    let mut synced = fs::metadata(&file)?.len();

    store.set("appendfsync", policy).await?;
    let begun = Instant::now();
    store.write(SYNCED..SYNCED + AFTER).await?;
    let per_second = AFTER as f64 / begun.elapsed().as_secs_f64();
    if policy == "always" {
        synced = fs::metadata(&file)?.len();
    }

    store.until_zero(&["aof_buffer_length"]).await?;
    store.kill().await?;
    store.restart().await?;
    let lost_by_kill = store.missing(ALL).await?;

    store.kill().await?;
    cut(&file, synced)?;
    store.restart().await?;
    let lost_by_power_cut = store.missing(ALL).await?;
    store.stop().await?;
    Ok(Measured { policy, per_second, lost_by_kill, lost_by_power_cut })
}

/// Leaves so many bytes of a file.
fn cut(file: &std::path::Path, length: u64) -> std::io::Result<()> {
    OpenOptions::new().write(true).open(file)?.set_len(length)
}

/// How old a write is when it is on the disk, by WAITAOF.
async fn sync_times(ctx: &LessonContext, choice: &Choice) -> Result<(), BoxError> {
    let mut stores = Vec::new();
    for policy in POLICIES {
        stores.push((policy, Store::with_aof(choice, policy).await?));
    }
    let mut ask = redis::cmd("COMMAND");
    ask.arg("INFO").arg("WAITAOF");
    let known: Vec<Value> = ask.query_async(&mut stores[0].1.connection.clone()).await?;
    let known = known.first().is_some_and(|info| *info != Value::Nil);
    ctx.step(
        "How much is at stake depends on how old a write can be before it is synced. WAITAOF waits until the writes of its connection \
         are, or until its timeout. Here it waits up to 1.2 seconds:",
    )
    .await?;
    if !known {
        ctx.skip(WAITAOF);
    } else {
        ctx.function("synced_after");
        ctx.announce("To three private servers, one of each policy: SET 20 times, and WAITAOF.");
        let times = try_join_all(stores.iter().map(|(_, store)| synced_after(store))).await?;
        let mut table = Table::new("Until a write is synced", &["appendfsync", "synced after"]);
        for ((policy, _), time) in stores.iter().zip(&times) {
            let time = time.map_or("not within 1.2 s".to_owned(), duration);
            table = table.row([(*policy).to_owned(), time]);
        }
        ctx.table(table);
        ctx.check("with 'no', it was not synced in this time", times[0].is_none())?;
        ctx.check("with 'always', it was", times[2].is_some())?;
    }
    for (_, store) in stores {
        store.stop().await?;
    }
    Ok(())
}

/// None: not within [`PATIENCE`]. The writes go on a moment, because the first one after a quiet second is synced at once.
async fn synced_after(store: &Store) -> Result<Option<Duration>, BoxError> {
    store.write(0..20).await?;
    let begun = Instant::now();
    let mut wait = redis::cmd("WAITAOF");
    wait.arg(1).arg(0).arg(u64::try_from(PATIENCE.as_millis())?);
    let [here, _replicas]: [usize; 2] = wait.query_async(&mut store.connection.clone()).await?;
    Ok((here == 1).then(|| begun.elapsed()))
}

fn table(measured: &[Measured]) -> Table {
    let header = ["appendfsync", "SETs/s", "acknowledged", "lost: kill -9", "lost: power cut"];
    measured.iter().fold(Table::new("One client, one write at a time", &header), |table, row| {
        let numbers = [ALL.len(), row.lost_by_kill, row.lost_by_power_cut].map(|number| number.to_string());
        table.row([row.policy.to_owned(), thousands(row.per_second)].into_iter().chain(numbers))
    })
}
