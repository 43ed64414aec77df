//! What is on the disk after a crash, and what does it cost?
//!
//! `cargo ops persistence`, and with more keys `cargo ops restarts --keys 1000000`

mod crash;
mod policies;
mod repair;
mod restart;
mod rewrite;
mod snapshot;
mod store;

use lab_connection::{Failure, TargetArgs};
use lab_runner::course::{self, OutputArgs};
use lab_runner::{BoxError, Lesson, LessonContext, outcome, source};

use crate::private;

/// What is on the disk after a crash.
pub static LESSON: Lesson = Lesson {
    name: "persistence",
    title: "Persistence",
    question: "What is on the disk after a crash, and what does it cost?",
    commands: &["SAVE", "BGSAVE", "BGREWRITEAOF", "CONFIG SET", "CONFIG REWRITE"],
    needs: &[],
    sources: &[
        source!("src/persistence.rs"),
        source!("src/persistence/crash.rs"),
        source!("src/persistence/policies.rs"),
        source!("src/persistence/snapshot.rs"),
        source!("src/persistence/rewrite.rs"),
        source!("src/persistence/repair.rs"),
        source!("src/persistence/restart.rs"),
        source!("src/persistence/store.rs"),
    ],
    rule: "Decide how many seconds of acknowledged writes a power cut may cost you, choose the files that guarantee it, and test a restart.",
    takeaways: &[
        "A kill -9 loses what the process has. A power cut also loses what the kernel has, and only fsync protects that.",
        "Leave memory for the fork: while a snapshot or a rewrite runs, each page that changes is copied.",
        "Before you repair an AOF, copy it. The repair cuts off everything after the damage.",
    ],
    quiz: &[19, 20, 21, 22, 23, 138, 156],
    run: |ctx| Box::pin(outcome(run(ctx, restart::SIZES))),
};

/// Runs the lesson and measures restarts of a server with so many keys, from 1.
pub async fn command(args: &TargetArgs, keys: usize, output: &OutputArgs) -> Result<(), Failure> {
    let target = course::open(args).await?;
    let sizes = [keys.div_ceil(10), keys];
    course::run_with(&target, &LESSON, output, move |ctx| Box::pin(outcome(run(ctx, sizes)))).await
}

async fn run(ctx: &mut LessonContext, sizes: [usize; 2]) -> Result<(), BoxError> {
    let choice = private::choice(ctx.target())?;
    crash::lose_everything(ctx, &choice).await?;
    policies::compare(ctx, &choice).await?;
    snapshot::fork(ctx, &choice).await?;
    rewrite::shrink(ctx, &choice).await?;
    rewrite::switch_on(ctx, &choice).await?;
    repair::torn(ctx, &choice).await?;
    restart::compare(ctx, &choice, &sizes).await
}
