//! A schedule that several processes watch: each slot is enqueued once.

use lab_runner::pattern_scripts::lua;
use lab_runner::{BoxError, LessonContext};
use patterns::scheduler::{self, Cron, Missed, Next, Scheduler};
use redis::AsyncTypedCommands;

const SCHEDULE: &str = "report";
/// In seconds.
const DAY: i64 = 24 * 60 * 60;
/// How long nobody watched: three slots.
const OUTAGE: i64 = 3 * DAY;

/// The key of the schedule.
pub(super) fn key(ctx: &LessonContext) -> Result<String, BoxError> {
    let key = Scheduler::new(ctx.target().connection(), ctx.prefix()).key(SCHEDULE)?;
    Ok(key.as_str().to_owned())
}

/// Shows that a slot is handed out until it is reported as enqueued, always with one ID.
pub(super) async fn tick_once(ctx: &LessonContext) -> Result<(), BoxError> {
    let (mut redis, key) = (ctx.redis(), key(ctx)?);
    ctx.step(
        "A schedule runs every day at midnight, and several processes watch it. What is due is worked out in Rust, from the last slot in \
         Redis. This script decides which process enqueues a slot, for the time of a lease:",
    )
    .await?;
    ctx.script(&lua(&scheduler::DECIDE).whole()).await?;
    ctx.script(&lua(&scheduler::STATE).contract()).await?;
    ctx.script(&lua(&scheduler::FINISH).contract()).await?;
    ctx.script(&lua(&scheduler::RELEASE).contract()).await?;

    let (scheduler, daily) = (Scheduler::new(ctx.redis(), ctx.prefix()), Cron::parse("@daily")?);
    let mut untraced = ctx.untraced("TIME and HSET: nobody has watched for three days.");
    let (now, _): (i64, i64) = redis::cmd("TIME").query_async(&mut untraced).await?;
    untraced.hset(&key, "done", now / DAY * DAY - OUTAGE).await?;
    ctx.step("Three slots were due. Only the latest one runs. Two processes ask, and the first one gets it:")
        .await?;
    let first = scheduler.next(SCHEDULE, &daily, Missed::Latest).await?;
    let second = scheduler.next(SCHEDULE, &daily, Missed::Latest).await?;
    let Next::Due(tick) = first else {
        return Err(format!("expected a slot that is due, got {first:?}").into());
    };
    ctx.check_eq("two slots before it are skipped, and counted", &tick.skipped, &2)?;
    ctx.check(
        "the second process learns that the first one holds the lease",
        matches!(second, Next::Busy(_)),
    )?;

    ctx.step(
        "The queue refuses the job, so the first process gives the slot back. The second one gets it, with the same ID. A queue that \
         recognizes the IDs of jobs takes it once, even if the first process did enqueue it and died before it could say so:",
    )
    .await?;
    scheduler.release(&tick).await?;
    let again = scheduler.next(SCHEDULE, &daily, Missed::Latest).await?;
    let Next::Due(again) = again else {
        return Err(format!("expected the slot again, got {again:?}").into());
    };
    scheduler.finish(&again).await?;
    let wait = scheduler.next(SCHEDULE, &daily, Missed::Latest).await?;
    let stored = redis.hgetall(&key).await?;
    ctx.check_eq("it is the same slot, with the same ID", &again.id, &tick.id)?;
    ctx.check("only now is the slot done", stored.get("done") == Some(&tick.slot.to_string()))?;
    ctx.check("nothing more is due", matches!(wait, Next::Wait(_)))?;
    Ok(())
}
