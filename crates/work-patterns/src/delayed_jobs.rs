//! How does a job run later, once, and how does it try again?
//!
//! `cargo work delayed-jobs`

mod due_at_once;
mod naive;
mod schedule;

use std::time::Duration;

use lab_runner::pattern_scripts::{load, lua};
use lab_runner::table::{Table, duration, thousands};
use lab_runner::{BoxError, Lesson, LessonContext, outcome, source};
use patterns::job_queue::{self, Due, JobQueue, NewJob, Outcome, Settings, State};
use patterns::scheduler;
use redis::AsyncTypedCommands;

pub use self::due_at_once::{PickedUp, pick_up};
pub use self::naive::{run_twice, sleep_and_restart};

/// Jobs for later, retries, and schedules.
pub static LESSON: Lesson = Lesson {
    name: "delayed-jobs",
    title: "Delayed jobs",
    question: "How does a job run later, once, and how does it try again?",
    commands: &["ZADD", "ZRANGEBYSCORE", "ZREM", "EVALSHA", "HGETALL"],
    needs: &[],
    sources: &[
        source!("src/delayed_jobs.rs"),
        source!("src/delayed_jobs/naive.rs"),
        source!("src/delayed_jobs/due_at_once.rs"),
        source!("src/delayed_jobs/schedule.rs"),
    ],
    rule: "Keep what is due later in Redis, by the server's clock, and take it in the same step that finds it.",
    takeaways: &[
        "A process that sleeps until a job is due forgets it when it restarts.",
        "Reading what is due and removing it are two steps. Between them, every other worker reads the same.",
        "Let pauses grow, up to a limit, and add jitter, so that jobs that failed together do not come back together.",
    ],
    quiz: &[95],
    run: |ctx| Box::pin(outcome(run(ctx))),
};

/// Jobs that a process keeps to itself.
const SLEEPING: usize = 10;
/// Jobs and workers of the race.
const RACED: usize = 20;
const WORKERS: usize = 4;
/// Jobs that are due at the same moment.
const AT_ONCE: usize = 2_000;

async fn run(ctx: &mut LessonContext) -> Result<(), BoxError> {
    let due = naive::key(ctx.prefix());
    let reminders = JobQueue::new(ctx.target().connection(), ctx.prefix(), "reminders")?;
    let mut keys = vec![due.clone()];
    for queue in ["reminders", "at_once"] {
        let queue = JobQueue::new(ctx.target().connection(), ctx.prefix(), queue)?;
        keys.extend(queue.keys().iter().cloned());
    }
    let schedule = schedule::key(ctx)?;
    keys.push(schedule.clone());
    ctx.start_clean(&keys).await?;
    load(ctx, &[job_queue::scripts(), scheduler::scripts()]).await?;

    sleep(ctx).await?;
    race(ctx, &due).await?;
    wait_in_the_queue(ctx).await?;
    try_again(ctx).await?;
    fall_due_at_once(ctx).await?;
    schedule::tick_once(ctx).await?;

    let [jobs, _, delayed, _, _, _, counts, _] = reminders.keys().clone();
    ctx.keys([jobs, delayed, counts, schedule]);
    Ok(())
}

async fn sleep(ctx: &LessonContext) -> Result<(), BoxError> {
    ctx.step("A reminder should go out in a minute. The obvious code starts a task that sleeps until then:")
        .await?;
    ctx.function("by_sleeping");
    let done = sleep_and_restart(SLEEPING).await;
    ctx.check_eq(
        &format!("{SLEEPING} reminders slept in a process that was restarted, and none of them was sent"),
        &done,
        &0,
    )?;
    Ok(())
}

async fn race(ctx: &LessonContext, due: &str) -> Result<(), BoxError> {
    let mut redis = ctx.redis();
    ctx.step("So Redis keeps them. In a Sorted Set, the score is the time when a job is due, and ZRANGEBYSCORE finds what is due now.")
        .await?;
    redis.zadd(due, "reminder-1", 1_000).await?;
    let found: Vec<String> = redis.zrangebyscore(due, "-inf", 2_000).await?;
    redis.zrem(due, "reminder-1").await?;
    ctx.check("the worker found it, and removed it", found == ["reminder-1"])?;

    ctx.step(format!(
        "That is two steps. {RACED} jobs are due. {WORKERS} workers look at the same moment, and in the worst case all of them have looked before the first one removes:",
    ))
    .await?;
    ctx.function("by_range_and_rem");
    let guess =
        ctx.predict("How many times do the workers run a job, all in all?", ["20", "40", "80"]).await?;
    ctx.announce(format!(
        "ZADD adds {RACED} jobs. {WORKERS} workers send ZRANGEBYSCORE and ZREM. Then the same jobs in the pattern, by EVALSHA. UNLINK cleans up."
    ));
    let naive = run_twice(ctx.target(), RACED, WORKERS).await?;
    let pattern = pick_up(ctx.target(), RACED, WORKERS, Duration::ZERO).await?;
    let mut table = Table::new("Jobs that are due", &["approach", "jobs", "workers", "runs", "too many"]);
    for (label, runs) in [("ZRANGEBYSCORE, ZREM", naive), ("job_queue", pattern.runs)] {
        table = table.labeled(label, [RACED, WORKERS, runs, runs.saturating_sub(RACED)]);
    }
    ctx.table(table);
    guess.answer(naive)?;
    ctx.check_eq("every worker ran every job", &naive, &(RACED * WORKERS))?;
    ctx.check_eq("the pattern ran each job once", &pattern.runs, &RACED)?;
    Ok(())
}

async fn wait_in_the_queue(ctx: &LessonContext) -> Result<(), BoxError> {
    let queue = JobQueue::new(ctx.redis(), ctx.prefix(), "reminders")?;
    ctx.step(
        "The pattern is job_queue, from the last lesson. A job can have a delay or a time, by the server's clock, and a priority. Smaller numbers \
         come first. A time in the past is now.",
    )
    .await?;
    ctx.script(&lua(&job_queue::ENQUEUE).contract()).await?;
    ctx.script(&lua(&job_queue::SETTLE).contract()).await?;
    ctx.script(&lua(&job_queue::PAGE).contract()).await?;
    let guess = ctx
        .step("Four jobs come. One is due tomorrow, one was due last year, and one has a higher priority than the rest:")
        .predict("Which job does a worker get first?", ["report", "last year", "password"])
        .await?;
    let jobs = [
        NewJob::new("tomorrow", "").with_due(Due::After(Duration::from_hours(24))),
        NewJob::new("report", ""),
        NewJob::new("last year", "").with_due(Due::At(1_735_689_600_000)),
        NewJob::new("password", "").with_priority(1),
    ];
    queue.enqueue_many(&jobs).await?;
    let reserved = queue.reserve(10).await?;
    let order: Vec<&str> = reserved.jobs.iter().map(|job| job.id.as_str()).collect();
    guess.answer(order.first().copied().unwrap_or_default())?;
    ctx.check_eq(
        "the urgent one came first, then the others as they arrived",
        &order,
        &vec!["password", "report", "last year"],
    )?;
    ctx.check(
        "the reply says when to ask again: in a day, or in 30 s, if the worker dies with these three",
        queue.reserve(10).await?.next_in.is_some_and(|wait| wait <= Duration::from_secs(30)),
    )?;
    ctx.say("One call completes all three:");
    let done: Vec<_> = reserved.jobs.iter().map(|job| (job, Outcome::Complete(Vec::new()))).collect();
    queue.settle_and_reserve(&done, 0).await?;
    Ok(())
}

async fn try_again(ctx: &LessonContext) -> Result<(), BoxError> {
    let queue = JobQueue::new(ctx.redis(), ctx.prefix(), "reminders")?;
    let settings = Settings::default();
    ctx.step(
        "A job that fails is delayed, too. Each pause is twice as long as the one before, up to an hour:",
    )
    .await?;
    let table = Table::new("Pauses", &["failures", "1", "2", "3", "4", "5", "12", "13", "1,000"]);
    let pauses = [1, 2, 3, 4, 5, 12, 13, 1_000].map(|failures| settings.pause(failures).as_secs());
    ctx.table(table.labeled("pause in s", pauses));
    ctx.check(
        "the longest pause is an hour, after any number of failures",
        settings.pause(u32::MAX) == Duration::from_hours(1),
    )?;

    ctx.step(
        "Jitter makes it between half of that and all of it. Otherwise, all jobs that failed because a service was down would come back in the \
         same second.",
    )
    .await?;
    queue.enqueue(&NewJob::new("reminder-2", "bob@example.com")).await?;
    for job in queue.reserve(1).await?.jobs {
        queue.fail(&job, "the mail server does not answer").await?;
    }
    let delayed = queue.page(State::Delayed, 0, 1).await?;
    let failed = delayed.first().is_some_and(|job| job.id == "reminder-2" && job.failures == 1);
    ctx.check("it waits, and the record has the reason", failed)?;
    Ok(())
}

async fn fall_due_at_once(ctx: &LessonContext) -> Result<(), BoxError> {
    let jobs = ctx.fit("jobs", AT_ONCE, 100, 0.2);
    ctx.step(format!(
        "On the hour, many jobs are due at the same moment. Here {} jobs are due half a second from now, for {WORKERS} workers that run 50 jobs at once. \
         Each call moves at most 100 due jobs, so no call keeps the server from others. The workers run the loop of job_worker:",
        thousands(jobs as f64)
    ))
    .await?;
    ctx.function("start_worker");
    ctx.announce("The jobs are enqueued by EVALSHA. The workers wait with BLPOP, look with EXISTS, and reserve with EVALSHA. LPUSH rings for another one. TIME and UNLINK.");
    let PickedUp { runs, last_after } =
        pick_up(ctx.target(), jobs, WORKERS, Duration::from_millis(500)).await?;
    ctx.table(Table::new("Due at the same moment", &["jobs", "workers", "runs", "last one after"]).row([
        thousands(jobs as f64),
        WORKERS.to_string(),
        thousands(runs as f64),
        duration(last_after),
    ]));
    ctx.check_eq("each job ran once", &runs, &jobs)?;
    Ok(())
}
