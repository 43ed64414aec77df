//! How does a job survive the worker that takes it?
//!
//! `cargo work job-queue`

mod killed_workers;
mod queueing;

use std::time::Duration;

use lab_connection::Connection;
use lab_runner::pattern_scripts::{load, lua};
use lab_runner::source::Excerpt;
use lab_runner::table::Table;
use lab_runner::{BoxError, Comparison, Lesson, LessonContext, LuaScript, outcome, source};
use patterns::job_queue::{self, Effect, Job, JobError, JobQueue, NewJob, Settings, State};
use redis::AsyncTypedCommands;

use self::killed_workers::PlainLists;
pub use self::killed_workers::{Aftermath, Way, kill_workers};
pub use self::queueing::{Queueing, Work};

/// Jobs that survive their workers.
pub static LESSON: Lesson = Lesson {
    name: "job-queue",
    title: "Job queue",
    question: "How does a job survive the worker that takes it?",
    commands: &["RPUSH", "LPOP", "LMOVE", "LREM", "EVALSHA"],
    needs: &[],
    sources: &[source!("src/job_queue.rs"), source!("src/job_queue/killed_workers.rs")],
    rule: "Hand a job out for a limited time, with a token, and delete it only when its worker says that it is done.",
    takeaways: &[
        "A job that was popped is gone. If its worker dies, nobody knows that it ever existed.",
        "Count a job's own failures and its lost workers apart, so that poison ends, and an innocent job survives a crash.",
        "An effect in the queue's slot happens exactly once. For one elsewhere, send the job's ID along, so that it can be repeated.",
    ],
    quiz: &[5, 62],
    run: |ctx| Box::pin(outcome(run(ctx))),
};

/// Jobs and killed workers of the experiment.
const JOBS: usize = 20;
const KILLED: usize = 5;
/// Failures or lost workers after which a job is dead, in this lesson.
const LIMIT: u32 = 3;
/// Jobs of the comparison.
const COMPARED: usize = 200;
/// Round trips for one job, over all approaches, twice.
const ROUND_TRIPS: f64 = 28.0;

async fn run(ctx: &mut LessonContext) -> Result<(), BoxError> {
    let lists = PlainLists::new(ctx.prefix());
    let emails = JobQueue::new(ctx.target().connection(), ctx.prefix(), "emails")?;
    let mut keys = vec![lists.waiting.clone(), lists.processing.clone()];
    for queue in ["emails", "killed", "compared"] {
        let queue = JobQueue::new(ctx.target().connection(), ctx.prefix(), queue)?;
        keys.extend(queue.keys().iter().cloned());
        keys.push(queue.effect_key("sent")?);
    }
    ctx.start_clean(&keys).await?;

    pop(ctx, &lists).await?;
    keep_a_copy(ctx, &lists).await?;
    kill(ctx).await?;
    read_the_script(ctx).await?;
    reserve_and_complete(ctx).await?;
    write_an_effect(ctx).await?;
    bury(ctx).await?;
    compare(ctx).await?;

    let [jobs, _, _, _, dead, finished, counts, _] = emails.keys().clone();
    ctx.keys([jobs, dead, finished, counts, emails.effect_key("sent")?]);
    Ok(())
}

async fn pop(ctx: &LessonContext, lists: &PlainLists) -> Result<(), BoxError> {
    let mut redis = ctx.redis();
    let waiting = &lists.waiting;
    ctx.step("The simplest job queue is a List. A producer pushes at one end, and a worker pops at the other. Then the worker dies:")
        .await?;
    redis.rpush(waiting, "welcome-ann").await?;
    let job: Option<String> = redis::cmd("LPOP").arg(waiting).query_async(&mut redis).await?;
    // The worker is killed here.
    let left = redis.llen(waiting).await?;
    ctx.check("the job is neither done nor in Redis", job.is_some() && left == 0)?;
    Ok(())
}

async fn keep_a_copy(ctx: &LessonContext, lists: &PlainLists) -> Result<(), BoxError> {
    let mut redis = ctx.redis();
    let PlainLists { waiting, processing } = lists;
    ctx.step("LMOVE keeps a copy: it moves the job to a second List in one step, and LREM removes it when the work is done. This worker dies, too:")
        .await?;
    redis.rpush(waiting, "welcome-ann").await?;
    let _: String =
        redis::cmd("LMOVE").arg(&[waiting, processing, "LEFT", "RIGHT"]).query_async(&mut redis).await?;
    // The worker is killed here.
    let kept = redis.lrange(processing, 0, -1).await?;
    ctx.check("the job is still in Redis", kept == ["welcome-ann"])?;
    ctx.say(
        "But who may take it now? The List does not say whether the worker is dead or only slow, since when, and how often the job was tried.",
    );
    ctx.say("Here a person looks, and removes it:");
    redis.lrem(processing, 1, "welcome-ann").await?;
    Ok(())
}

async fn kill(ctx: &LessonContext) -> Result<(), BoxError> {
    let jobs = ctx.fit("jobs", JOBS, KILLED + 1, 5.0);
    let rest = jobs - KILLED;
    ctx.step(format!(
        "Now {KILLED} workers take one job each and are killed, and another worker does the rest of {jobs} jobs. The third row is the pattern. \
         There, a job whose worker says nothing for a short time is handed to another one. The loop of its workers:",
    ))
    .await?;
    ctx.function("by_reserve");
    ctx.announce(format!(
        "{} workers, and then the same again with LMOVE and with the pattern: RPUSH, LPOP, LMOVE, LREM, LLEN. The pattern's calls are \
         EVALSHA (the first one an EVAL). UNLINK cleans up.",
        KILLED + 1
    ));
    let answers = [KILLED, rest, jobs].map(|number| number.to_string());
    let guess = ctx
        .predict(
            format!("With LMOVE, how many of the {jobs} jobs are done?"),
            answers.each_ref().map(String::as_str),
        )
        .await?;
    // A worker must be able to answer in that time on a slow network, too.
    let visibility = Duration::from_millis(200) + 6 * ctx.round_trip();
    let mut table =
        Table::new("Workers that are killed", &["approach", "jobs", "killed", "done", "stuck", "lost"]);
    let mut results = Vec::new();
    for way in Way::ALL {
        let Aftermath { done, stuck, lost } =
            kill_workers(way, ctx.target(), jobs, KILLED, visibility).await?;
        table = table.labeled(way.label(), [jobs, KILLED, done, stuck, lost]);
        results.push([done, stuck, lost]);
    }
    ctx.table(table);
    let [done, ..] = results[1];
    guess.answer(done)?;
    ctx.check_eq("LPOP lost a job with each worker", &results[0], &[rest, 0, KILLED])?;
    ctx.check_eq("LMOVE left them where nobody looks", &results[1], &[rest, KILLED, 0])?;
    ctx.check_eq("the pattern did all of them", &results[2], &[jobs, 0, 0])?;
    Ok(())
}

async fn read_the_script(ctx: &LessonContext) -> Result<(), BoxError> {
    ctx.step(
        "The pattern is job_queue. A Hash has the payload and a record of each job. Sorted Sets say which jobs are ready, delayed, running, \
         or dead. One script settles what a worker has done and hands out the next jobs. This is what it gets and replies:",
    )
    .await?;
    let settle = lua(&job_queue::SETTLE);
    ctx.script(&settle.contract()).await?;
    ctx.say("And this is its center. The job gets a token, and goes to 'running' with the time when its lease ends:");
    let LuaScript { path, line, text, .. } = settle.lines("  local reserved =", "  still_ready =");
    ctx.code(Excerpt { path: path.to_owned(), line, text: text.trim_end().to_owned() });
    load(ctx, &[job_queue::scripts()]).await?;
    ctx.script(&lua(&job_queue::ENQUEUE).contract()).await?;
    ctx.script(&lua(&job_queue::COUNTS).contract()).await?;
    ctx.say(
        "The letters: n is new, q is queued already, f has finished. s is settled, a was settled before, l has lost its lease, and e has an effect \
         that can't be written.",
    );
    Ok(())
}

async fn reserve_and_complete(ctx: &LessonContext) -> Result<(), BoxError> {
    let queue = JobQueue::new(ctx.redis(), ctx.prefix(), "emails")?;
    let mut redis = ctx.redis();
    ctx.step("The client picks the ID. So it can send the job again when a reply is lost, and the queue keeps one.").await?;
    let job = NewJob::new("welcome-ann", "ann@example.com");
    let first = queue.enqueue(&job).await?;
    let again = queue.enqueue(&job).await?;
    ctx.check(
        "the second call found the job",
        (first, again) == (job_queue::Enqueued::New, job_queue::Enqueued::AlreadyQueued),
    )?;

    ctx.step("A worker reserves up to ten jobs for 30 seconds. While it has them, they are in 'running', and the record has the token:")
        .await?;
    let reserved = queue.reserve(10).await?;
    let record = redis.hget(&queue.keys()[0], "rwelcome-ann").await?;
    let Some(job) = reserved.jobs.first() else { return Err("no job was handed out".into()) };
    ctx.check("it is the first attempt", job.attempt() == 1)?;
    ctx.check(
        "the record begins with the token",
        record.is_some_and(|record| record.starts_with(&job.token)),
    )?;

    ctx.step(
        "Only this token completes the job. A worker that was too slow has another one, and is refused:",
    )
    .await?;
    let late = Job { token: "1".to_owned(), ..job.clone() };
    let refused = queue.complete(&late).await;
    queue.complete(job).await?;
    ctx.check("the late worker is refused", matches!(refused, Err(JobError::LeaseLost)))?;
    ctx.check("one job was completed", queue.counts().await?.completed == 1)?;
    Ok(())
}

async fn write_an_effect(ctx: &LessonContext) -> Result<(), BoxError> {
    let queue = JobQueue::new(ctx.redis(), ctx.prefix(), "emails")?;
    let mut redis = ctx.redis();
    let guess = ctx
        .step(
            "A job can have an effect in the queue's slot, such as a counter that rises by one. Completing the job writes it. The reply is \
             lost, so the worker completes the job again:",
        )
        .predict("What does the counter say?", ["0", "1", "2"])
        .await?;
    let sent = queue.effect_key("sent")?;
    queue.enqueue(&NewJob::new("welcome-bob", "bob@example.com")).await?;
    for job in queue.reserve(1).await?.jobs {
        queue.complete_with(&job, &[Effect::increment(&sent, 1)]).await?;
        queue.complete_with(&job, &[Effect::increment(&sent, 1)]).await?;
    }
    let count = redis.get(&sent).await?;
    guess.answer(count.as_deref().unwrap_or("0"))?;
    ctx.check("it was counted once", count.as_deref() == Some("1"))?;
    ctx.say("The script that completes the job also writes the effect, so it happens exactly once. An effect elsewhere, such as an email, can happen again after a crash. Give the provider the job's ID, so that it can recognize it.");
    Ok(())
}

async fn bury(ctx: &LessonContext) -> Result<(), BoxError> {
    ctx.step(format!(
        "Two jobs never succeed. 'poison' always fails. 'killer' takes its worker down. Both must end, but a crash says little about a job: \
         a deployment kills workers, too. So each has a limit of its own, here {LIMIT}. (The defaults are 5 failures and 10 lost workers.)",
    ))
    .await?;
    ctx.function("fail_until_dead");
    ctx.function("die_until_dead");
    let redis =
        ctx.untraced("Workers reserve the jobs, and report a failure of one, again and again, by EVALSHA.");
    let queue = JobQueue::new(redis, ctx.prefix(), "emails")?;
    fail_until_dead(&queue).await?;
    die_until_dead(&queue).await?;
    let dead = queue.page(State::Dead, 0, 10).await?;
    let mut table = Table::new("Dead letters", &["job", "failures", "lost workers", "reason"]);
    for job in &dead {
        table =
            table.row([job.id.clone(), job.failures.to_string(), job.losses.to_string(), job.reason.clone()]);
    }
    ctx.table(table);
    let found: Vec<_> = dead.iter().map(|job| (job.id.as_str(), job.failures, job.losses)).collect();
    ctx.check_eq(
        "both are dead, each for its own reason",
        &found,
        &vec![("poison", LIMIT, 0), ("killer", 0, LIMIT)],
    )?;
    let counts = queue.counts().await?;
    let accounted = counts.completed + counts.pending() + counts.dead;
    ctx.check_eq("every job is done, waiting, or dead", &counts.enqueued, &accounted)?;
    ctx.say("You can look at dead jobs, requeue them when the cause is repaired, or purge them in batches.");
    Ok(())
}

async fn fail_until_dead(queue: &JobQueue<Connection>) -> Result<(), BoxError> {
    let first_pause = Duration::from_millis(2);
    let queue =
        queue.clone().with_settings(Settings { max_failures: LIMIT, first_pause, ..Settings::default() });
    queue.enqueue(&NewJob::new("poison", "nobody@")).await?;
    while queue.counts().await?.pending() > 0 {
        let reserved = queue.reserve(1).await?;
        for job in &reserved.jobs {
            queue.fail(job, "no such address").await?;
        }
        tokio::time::sleep(reserved.next_in.unwrap_or_default()).await;
    }
    Ok(())
}

async fn die_until_dead(queue: &JobQueue<Connection>) -> Result<(), BoxError> {
    let visibility = Duration::from_millis(5);
    let queue =
        queue.clone().with_settings(Settings { max_losses: LIMIT, visibility, ..Settings::default() });
    queue.enqueue(&NewJob::new("killer", "")).await?;
    while queue.counts().await?.pending() > 0 {
        let _killed_with_it = queue.reserve(1).await?;
        tokio::time::sleep(visibility).await;
    }
    Ok(())
}

async fn compare(ctx: &LessonContext) -> Result<(), BoxError> {
    ctx.step(
        "What does it cost? Each approach enqueues the jobs, takes them, and settles them. LPUSH and BRPOP promise nothing. One by one, \
         the time goes into round trips. In batches of 50, the pattern needs two for 50 jobs: one to enqueue, one to settle and to take the next ones.",
    )
    .await?;
    let jobs = ctx.fit("jobs", COMPARED, 1, ROUND_TRIPS);
    let work = Work::new(ctx.prefix(), jobs);
    ctx.compare(Comparison { title: "Queues", approaches: &Queueing::ALL, input: &work }).await?;
    ctx.start_clean(&work.keys()?).await?;
    Ok(())
}
