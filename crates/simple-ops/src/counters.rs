//! How does one count, and what does GET and SET lose?
//!
//! `cargo simple counters`

mod increment;

use lab_runner::table::{Table, thousands};
use lab_runner::{Lesson, LessonContext, Outcome};
use redis::AsyncTypedCommands;

pub use self::increment::{Increment, Tally};
use crate::keys::Keys;

/// INCR and its family, and the updates that GET and SET lose.
pub static LESSON: Lesson = Lesson {
    name: "counters",
    title: "Counters",
    question: "How do many clients count together without losing one?",
    commands: &["INCR", "DECR", "INCRBY", "DECRBY", "INCRBYFLOAT"],
    needs: &[],
    sources: &[lab_runner::source!("src/counters.rs")],
    rule: "",
    takeaways: &[],
    quiz: &[],
    run: |ctx| Box::pin(run(ctx)),
};

/// Clients that count at the same time.
pub const CLIENTS: usize = 32;
/// How often each of them counts.
pub const TIMES_EACH: usize = 50;

async fn run(ctx: &mut LessonContext) -> Outcome {
    let keys = Keys::new(ctx.prefix());
    ctx.start_clean(&[keys.page_views(), keys.units(), keys.till(), keys.float_till(), keys.score_till()])
        .await?;
    ctx.start_clean(&Increment::ALL.map(|approach| keys.crowded_counter(approach.name()))).await?;

    count_up_and_down(ctx, &keys).await?;
    meet_the_limits(ctx, &keys).await?;
    count_money(ctx, &keys).await?;
    break_it(ctx, &keys).await?;
    fix_it(ctx, &keys).await?;

    let crowded = Increment::ALL.map(|approach| keys.crowded_counter(approach.name()));
    ctx.keys([keys.page_views(), keys.units(), keys.till()].into_iter().chain(crowded));
    Ok(())
}

async fn count_up_and_down(ctx: &LessonContext, keys: &Keys) -> Outcome {
    let mut redis = ctx.redis();
    let (views, units) = (keys.page_views(), keys.units());

    ctx.step("A counter is a string of digits. INCR adds one and returns the new value; a missing key counts from 0.").await?;
    let first: i64 = redis::cmd("INCR").arg(&views).query_async(&mut redis).await?;
    let second: i64 = redis::cmd("INCR").arg(&views).query_async(&mut redis).await?;
    ctx.check("two views were counted", (first, second) == (1, 2))?;

    ctx.step("INCRBY and DECRBY take a step. DECR does not stop at zero: whether stock may become negative is for you to check.").await?;
    redis.set(&units, 3).await?;
    redis.incr(&units, 10).await?;
    let left: i64 = redis::cmd("DECRBY").arg(&units).arg(13).query_async(&mut redis).await?;
    let below: i64 = redis::cmd("DECR").arg(&units).query_async(&mut redis).await?;
    ctx.check("3 + 10 - 13 - 1 is -1, also for Redis", (left, below) == (0, -1))
}

async fn meet_the_limits(ctx: &LessonContext, keys: &Keys) -> Outcome {
    let mut redis = ctx.redis();
    let units = keys.units();

    ctx.step("What is not a whole number cannot be counted. Redis refuses, and the value stays as it was.")
        .await?;
    redis.set(&units, "three").await?;
    let refused = redis::cmd("INCR").arg(&units).exec_async(&mut redis).await.is_err();
    let kept = redis.get(&units).await?;
    ctx.check("INCR refused, and the text is still there", refused && kept.as_deref() == Some("three"))?;

    ctx.step("The range is that of i64. At its end INCR refuses too; it does not wrap around.").await?;
    redis.set(&units, i64::MAX).await?;
    let overflow = redis::cmd("INCR").arg(&units).exec_async(&mut redis).await.is_err();
    let kept = redis.get(&units).await?;
    ctx.check("9223372036854775807 was not exceeded", overflow && kept == Some(i64::MAX.to_string()))?;
    redis.set(&units, 3).await?;
    Ok(())
}

async fn count_money(ctx: &LessonContext, keys: &Keys) -> Outcome {
    let mut redis = ctx.redis();
    let (till, float_till, score_till) = (keys.till(), keys.float_till(), keys.score_till());

    ctx.step("INCRBYFLOAT adds fractions. It is meant for measurements, and it looks fit for money:").await?;
    redis::cmd("INCRBYFLOAT").arg(&float_till).arg("0.1").exec_async(&mut redis).await?;
    let sum: String = redis::cmd("INCRBYFLOAT").arg(&float_till).arg("0.2").query_async(&mut redis).await?;
    ctx.check("0.1 + 0.2 seems to be 0.3", sum.starts_with("0.3"))?;

    ctx.step(
        "It is not. Binary fractions cannot hold 0.1. On most machines Redis computes this sum with more digits than it \
         prints, and rounding hides the error. Where numbers are doubles, as the scores of a Sorted Set are, or an f64 in \
         Rust, it shows:",
    ).await?;
    redis::cmd("ZINCRBY").arg(&score_till).arg("0.1").arg("cash").exec_async(&mut redis).await?;
    let sum: f64 =
        redis::cmd("ZINCRBY").arg(&score_till).arg("0.2").arg("cash").query_async(&mut redis).await?;
    let exact = |sum: f64| (sum - 0.3).abs() == 0.0;
    ctx.check(
        "as doubles, 0.1 + 0.2 is not 0.3: neither in Redis nor in Rust",
        !exact(sum) && !exact(0.1 + 0.2),
    )?;

    ctx.step("So money is counted in cents, as whole numbers. INCRBY is exact.").await?;
    redis.incr(&till, 10).await?;
    let cents: i64 = redis::cmd("INCRBY").arg(&till).arg(20).query_async(&mut redis).await?;
    ctx.check("10 cents and 20 cents are 30 cents", cents == 30)
}

async fn break_it(ctx: &LessonContext, keys: &Keys) -> Outcome {
    ctx.step(
        "Break it: count with GET, add one here, and SET. Two clients can read the same number; then both write the same \
         sum, and one count is lost. Here are two clients, A and B:",
    ).await?;
    let (mut a, mut b) = (ctx.dedicated_redis().await?, ctx.dedicated_redis().await?);
    let views = keys.page_views();
    let seen_by_a: i64 = redis::cmd("GET").arg(&views).query_async(&mut a).await?;
    let seen_by_b: i64 = redis::cmd("GET").arg(&views).query_async(&mut b).await?;
    a.set(&views, seen_by_a + 1).await?;
    b.set(&views, seen_by_b + 1).await?;
    let views: i64 = redis::cmd("GET").arg(&views).query_async(&mut a).await?;
    ctx.check("two counted, the counter rose by one", views == seen_by_a + 1)
}

async fn fix_it(ctx: &LessonContext, keys: &Keys) -> Outcome {
    ctx.step(format!(
        "Now with a crowd: {CLIENTS} clients, each on a connection of its own, count {TIMES_EACH} times each. For the worst \
         case every client reads before any of them writes; then as it happens; then two ways to fix it. WATCH makes \
         EXEC refuse when somebody else has written the key since, so the client tries again; INCR reads, adds and \
         writes in one step on the server.",
    )).await?;
    let mut table = Table::new("Lost updates", &["approach", "expected", "counted", "lost", "tried again"]);
    let mut tallies = Vec::new();
    for approach in Increment::ALL {
        let key = keys.crowded_counter(approach.name());
        let tally = approach.crowd(ctx.target(), &key, CLIENTS, TIMES_EACH).await?;
        let Tally { expected, counted, retries } = tally;
        let numbers = [expected, counted, tally.lost(), retries].map(|number| thousands(number as f64));
        table = table.row(std::iter::once(approach.label().to_owned()).chain(numbers));
        tallies.push(tally);
    }
    ctx.table(table);
    let [worst, _, watched, incr] = tallies[..] else {
        return Ok(());
    };
    let rounds = TIMES_EACH as u64;
    ctx.check(
        format!("at worst each round counts once: {} counts lost", thousands(worst.lost() as f64)),
        worst.counted == rounds,
    )?;
    ctx.check("WATCH lost none, at the price of trying again", watched.lost() == 0)?;
    ctx.check("INCR lost none, and never had to", incr.lost() == 0 && incr.retries == 0)?;

    ctx.step(
        "Rule: a value that others change too is changed by the server, in one command, or not at all if somebody was \
         faster. Read, compute, write is neither.",
    ).await?;
    Ok(())
}
