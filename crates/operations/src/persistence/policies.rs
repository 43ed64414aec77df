//! The append-only file and its three fsync policies, against a kill and against a power cut.

use std::fs::{self, OpenOptions};
use std::time::Instant;

use lab_runner::table::{Table, thousands};
use lab_runner::{BoxError, LessonContext};
use lab_server::Choice;

use super::store::Store;

const POLICIES: [&str; 3] = ["no", "everysec", "always"];
/// Orders that are certainly synced, and those that are written afterward.
const SYNCED: usize = 20;
const AFTER: usize = 100;
const ALL: std::ops::Range<usize> = 0..SYNCED + AFTER;

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
    let guess = ctx
        .predict(
            "Which policies lose orders in a kill -9?",
            ["'no'", "'no' and 'everysec'", "all three", "none"],
        )
        .await?;
    ctx.announce(
        "For each policy: CONFIG SET, SET writes the orders, INFO says whether the server has handed over its bytes, and GET reads the \
         orders back.",
    );
    let mut measured = Vec::new();
    for policy in POLICIES {
        measured.push(measure(choice, policy).await?);
    }
    let losing = measured.iter().filter(|measured| measured.lost_by_kill > 0);
    let losing: Vec<String> = losing.map(|measured| format!("'{}'", measured.policy)).collect();
    guess.answer(match losing.len() {
        0 => "none".to_owned(),
        3 => "all three".to_owned(),
        _ => losing.join(" and "),
    })?;
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
         case: it cuts the file at the length that was certainly synced. That is known: the first 20 orders were written under \
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
    ctx.say(
        "So the policy is the answer to one question: how long may an acknowledged write stay at risk? With 'always', not at all: it is safe before \
         the reply. With 'everysec', up to a second, and two if the disk is slow. With 'no', the kernel decides, and that can be 30 seconds.",
    );
    Ok(())
}

async fn measure(choice: &Choice, policy: &'static str) -> Result<Measured, BoxError> {
    let mut store = Store::with_aof(choice, "always").await?;
    store.write(0..SYNCED).await?;
    let file = store.increment().await?;
    let synced = fs::metadata(&file)?.len();
    store.set("appendfsync", policy).await?;
    let begun = Instant::now();
    store.write(SYNCED..SYNCED + AFTER).await?;
    let per_second = AFTER as f64 / begun.elapsed().as_secs_f64();
    let synced = if policy == "always" { fs::metadata(&file)?.len() } else { synced };

    store.until_zero(&["aof_buffer_length"]).await?;
    store.restart().await?; // It begins with a kill -9.
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

fn table(measured: &[Measured]) -> Table {
    let header = ["appendfsync", "SETs/s", "acknowledged", "lost: kill -9", "lost: power cut"];
    measured.iter().fold(Table::new("One client, one write at a time", &header), |table, row| {
        let numbers = [ALL.len(), row.lost_by_kill, row.lost_by_power_cut].map(|number| number.to_string());
        table.labeled(row.policy, [thousands(row.per_second)].into_iter().chain(numbers))
    })
}
