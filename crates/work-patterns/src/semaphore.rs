//! How do you let at most N in at a time, and what if one of them dies inside?
//!
//! `cargo work semaphore`

mod jobs;

use std::time::{Duration, Instant};

use lab_runner::concurrent::try_join_all;
use lab_runner::pattern_scripts::{load, lua};
use lab_runner::table::{Table, duration};
use lab_runner::{BoxError, Lesson, LessonContext, outcome, source};
use patterns::semaphore::{self, ACQUIRE, Permits, RELEASE, RENEW, SemaphoreError, Semaphores, Token};

pub use self::jobs::{Jobs, Way, run_jobs};

/// At most N holders at a time, and no place that leaks.
pub static LESSON: Lesson = Lesson {
    name: "semaphore",
    title: "Semaphore",
    question: "How do you let at most N in at a time, and what if one of them dies inside?",
    commands: &["INCR", "DECR", "EVALSHA"],
    needs: &[],
    sources: &[source!("src/semaphore.rs"), source!("src/semaphore/jobs.rs")],
    rule: "Give each holder an entry with a deadline of its own, and count the entries that are alive.",
    takeaways: &[
        "A counter cannot tell who is inside, so it cannot give back the place of the dead.",
        "A TTL on the counter is wrong both ways. The deadline belongs to the holder.",
        "Waiters need a line, or those who want much are passed by those who want little.",
    ],
    quiz: &[75],
    run: |ctx| Box::pin(outcome(run(ctx))),
};

const DAY: Duration = Duration::from_hours(24);
/// How many may be inside.
const CAPACITY: u32 = 3;
/// Jobs that want to enter, one after the other. Every fourth dies inside.
const JOBS: usize = 20;

async fn run(ctx: &mut LessonContext) -> Result<(), BoxError> {
    let semaphores = Semaphores::new(ctx.target().connection(), ctx.prefix(), CAPACITY);
    let renderer = semaphores.keys("renderer")?;
    let counter = jobs::counter(ctx.prefix());
    let mut keys = vec![counter.clone()];
    keys.extend(renderer.clone());
    keys.extend(semaphores.keys("jobs")?);
    ctx.start_clean(&keys).await?;
    load(ctx, &[semaphore::scripts()]).await?;

    leak_places(ctx, &counter).await?;
    hold_permits(ctx).await?;
    survive_deaths(ctx).await?;
    wait_in_line(ctx).await?;

    ctx.keys([renderer[0].clone()]);
    Ok(())
}

async fn leak_places(ctx: &LessonContext, counter: &str) -> Result<(), BoxError> {
    let mut redis = ctx.redis();
    let guess = ctx
        .step(
            "A renderer can do three jobs at a time. The obvious code counts who is inside: INCR to enter, DECR to leave. A job that gets a \
             number above three goes back. One job enters, and dies inside. The next one enters, and leaves:",
        )
        .predict("Nobody is inside. What does the counter say?", ["0", "1", "2"])
        .await?;
    let inside: i64 = redis::cmd("INCR").arg(counter).query_async(&mut redis).await?;
    // The job dies here, and never sends DECR.
    let second: i64 = redis::cmd("INCR").arg(counter).query_async(&mut redis).await?;
    let left: i64 = redis::cmd("DECR").arg(counter).query_async(&mut redis).await?;
    guess.answer(left)?;
    ctx.check(
        "the place of the dead job stays taken: nobody is inside, and the counter says 1",
        (inside, second, left) == (1, 2, 1),
    )?;
    ctx.start_clean(&[counter.to_owned()]).await?;

    ctx.step(format!("Now {JOBS} jobs, one after the other. Every fourth dies inside:")).await?;
    ctx.function("by_counter");
    let guess = ctx.predict("How many of the 20 jobs are done?", ["15", "9", "0"]).await?;
    ctx.announce("The jobs send INCR and DECR. GET reads the counter at the end, and UNLINK removes it.");
    let jobs = run_jobs(Way::Counter, ctx.target(), JOBS).await?;
    guess.answer(jobs.done)?;
    ctx.check_eq("three places leaked, and then the renderer is closed for good", &jobs.leaked, &CAPACITY)?;
    ctx.check(
        format!("{} of {JOBS} jobs were done, and all others refused, although nobody was inside", jobs.done),
        jobs.done < JOBS / 2 && jobs.done + jobs.died + jobs.refused == JOBS,
    )?;
    ctx.say(
        "A TTL on the counter does not help. It ends for all at once: those who are still inside are forgotten, and three more enter. \
         And if each job renews the TTL with EXPIRE, the dead stay counted, too.",
    );
    Ok(())
}

async fn hold_permits(ctx: &LessonContext) -> Result<(), BoxError> {
    ctx.step(
        "So each permit is an entry of a Sorted Set. Its score is the moment at which its lease ends, by the server's clock. The script \
         counts those that are alive, and looks who waits:",
    )
    .await?;
    ctx.script(&lua(&ACQUIRE).whole()).await?;
    ctx.script(&lua(&RENEW).contract()).await?;
    ctx.script(&lua(&RELEASE).contract()).await?;

    let semaphores = Semaphores::new(ctx.redis(), ctx.prefix(), CAPACITY).with_lease(DAY);
    let (first, second) = (Token::random()?, Token::random()?);
    let guess = ctx
        .step("One job takes two permits of three. Another one wants two. Then the first one gives its permits back:")
        .predict("How many permits does the other one get at first?", ["0", "1", "2"])
        .await?;
    let mut permits = semaphores.try_acquire("renderer", &first, 2).await?;
    let other = semaphores.try_acquire("renderer", &second, 2).await;
    semaphores.renew(&mut permits).await?;
    let released = semaphores.release("renderer", &first, 2).await?;
    let repeated = semaphores.release("renderer", &first, 2).await?;
    semaphores.try_acquire("renderer", &second, 2).await?;
    guess.answer(other.as_ref().map_or(0, Permits::count))?;
    ctx.check(
        "all or none: one permit was free",
        matches!(other, Err(SemaphoreError::Full { free: 1, .. })),
    )?;
    ctx.check("a release can be repeated", (released, repeated) == (true, false))?;
    Ok(())
}

async fn survive_deaths(ctx: &LessonContext) -> Result<(), BoxError> {
    ctx.step(format!(
        "The same {JOBS} jobs with permits. A job that is refused waits, until the lease of a dead one ends."
    ))
    .await?;
    ctx.function("by_permits");
    ctx.announce("By counter: INCR, DECR, GET. With permits: EVALSHA. Then UNLINK cleans up.");
    let mut table =
        Table::new("Jobs that die inside", &["approach", "jobs", "died", "done", "refused", "places leaked"]);
    let results = try_join_all(Way::ALL.map(|way| run_jobs(way, ctx.target(), JOBS))).await?;
    for (way, jobs) in Way::ALL.iter().zip(&results) {
        let leaked = jobs.leaked as usize;
        table = table.labeled(way.label(), [JOBS, jobs.died, jobs.done, jobs.refused, leaked]);
    }
    ctx.table(table);
    let expected = Jobs { done: JOBS - JOBS / jobs::DIES, died: JOBS / jobs::DIES, refused: 0, leaked: 0 };
    ctx.check_eq("with permits, all others are done, and no place is lost", &results[1], &expected)?;
    ctx.say(
        "The lease must be longer than a job takes, or the job renews it. A job that is stopped for longer does not know it, as with \
         a lock: if one too many does harm and not only wastes time, use a lock with a fence for each permit.",
    );
    Ok(())
}

async fn wait_in_line(ctx: &LessonContext) -> Result<(), BoxError> {
    let (mut free, semaphores) =
        (Vec::new(), Semaphores::new(ctx.target().connection(), ctx.prefix(), CAPACITY));
    ctx.step(
        "A large job wants all three permits. Small ones want one each, and come again and again. They would take each \
         permit as soon as it is free, and the large job would wait forever. So the script keeps a line. A waiter confirms its place \
         with each try. If it dies, its place expires.",
    )
    .await?;
    ctx.announce(
        "One client holds a permit, one waits for three, and one tries to get one in between: EVALSHA.",
    );
    let (holder, large, small) = (Token::random()?, Token::random()?, Token::random()?);
    semaphores.try_acquire("jobs", &holder, 1).await?;
    let waits = async {
        let permits = semaphores.acquire("jobs", &large, 3, Duration::from_secs(10)).await?;
        Ok::<_, SemaphoreError>((permits, Instant::now()))
    };
    let ((large_job, entered), released) = futures_util::future::try_join(waits, async {
        let mut refused = semaphores.try_acquire("jobs", &small, 1).await;
        while let Ok(permits) = refused {
            // The large job is not in line yet.
            semaphores.release("jobs", permits.token(), 1).await?;
            refused = semaphores.try_acquire("jobs", &small, 1).await;
        }
        if let Err(SemaphoreError::Full { free: permits, ahead }) = refused {
            free.push((permits, ahead));
        }
        semaphores.release("jobs", &holder, 1).await?;
        Ok::<_, SemaphoreError>(Instant::now())
    })
    .await?;
    ctx.check(
        "the small job was refused with two permits free, because one waited ahead of it",
        free == [(2, 1)],
    )?;
    ctx.check("the large job went when the last permit came back", large_job.count() == 3)?;
    semaphores.release("jobs", &large, 3).await?;
    ctx.say(format!(
        "It went {} after that: a waiter asks again after 5 ms, then after twice as long, up to 100 ms.",
        duration(entered.saturating_duration_since(released)),
    ));
    Ok(())
}
