//! How do you count with Redis, and what do GET and SET lose?
//!
//! `cargo simple counters`

mod increment;

use lab_runner::clients::connect;
use lab_runner::table::{Table, thousands};
use lab_runner::{Keys, Lesson, LessonContext, Outcome, source};
use redis::{AsyncTypedCommands, SetOptions};

pub use self::increment::{Increment, Tally};

/// INCR and its family, and the updates that GET and SET lose.
pub static LESSON: Lesson = Lesson {
    name: "counters",
    title: "Counters",
    question: "How do many clients count together without losing one?",
    commands: &["INCR", "DECR", "INCRBY", "DECRBY", "INCRBYFLOAT"],
    needs: &[],
    sources: &[source!("src/counters.rs"), source!("src/counters/increment.rs")],
    rule: "If several clients change a value, don't read, compute, and write it back: use one command such as INCR, or WATCH \
           and try again.",
    takeaways: &[
        "INCR is one step on the server. GET, add, SET is three, and other clients come in between.",
        "WATCH makes EXEC fail if the key changed. Then you try again, so it costs more the busier the key is.",
        "Count money in cents. Fractions such as 0.1 have no exact double.",
    ],
    quiz: &[3, 75],
    run: |ctx| Box::pin(run(ctx)),
};

/// Clients that count at the same time.
pub const CLIENTS: usize = 32;
/// How often each of them counts.
pub const TIMES_EACH: usize = 50;
/// Round trips in a row of one increment, over all approaches: two for GET and SET, twice, three for WATCH and its retries, one for
/// INCR.
const ROUND_TRIPS: f64 = 16.0;

async fn run(ctx: &mut LessonContext) -> Outcome {
    let keys = Keys::new(ctx.prefix());
    let names = ["page:home:views", "units:123", "till:1:cents", "till:1:float", "till:1:scores"];
    let used = names.map(|name| keys.key(name));
    ctx.start_clean(&used).await?;
    let [views, units, till, float_till, score_till] = used;

    count_up_and_down(ctx, &views, &units).await?;
    meet_the_limits(ctx, &units).await?;
    count_money(ctx, [&till, &float_till, &score_till]).await?;
    lose_an_update(ctx, &views).await?;
    lose_none(ctx, &keys).await?;

    ctx.keys([views, units, till].into_iter().chain(Increment::ALL.map(|approach| approach.key(&keys))));
    Ok(())
}

async fn count_up_and_down(ctx: &LessonContext, views: &str, units: &str) -> Outcome {
    let mut redis = ctx.redis();

    ctx.step("A counter is a string of digits. INCR adds one and returns the new value. A key that doesn't exist counts as 0.")
        .await?;
    let first: i64 = redis::cmd("INCR").arg(views).query_async(&mut redis).await?;
    let second: i64 = redis::cmd("INCR").arg(views).query_async(&mut redis).await?;
    ctx.check("two views were counted", (first, second) == (1, 2))?;

    let guess = ctx
        .step("INCRBY and DECRBY change it by more (they are what the methods incr and decr of redis-rs send). After 3 + 10 - 13, one more unit is sold.")
        .predict("What does the last command reply?", ["0", "-1", "an error"])
        .await?;
    redis.set(units, 3).await?;
    redis.incr(units, 10).await?;
    let left = redis.decr(units, 13).await?;
    let below: i64 = redis::cmd("DECR").arg(units).query_async(&mut redis).await?;
    guess.answer(below)?;
    ctx.say("A counter does not stop at zero. Check yourself whether stock may be negative.");
    ctx.check("3 + 10 - 13 - 1 is -1 for Redis, too", (left, below) == (0, -1))
}

async fn meet_the_limits(ctx: &LessonContext, units: &str) -> Outcome {
    let mut redis = ctx.redis();

    ctx.step("Redis can't count what is not a whole number. It refuses, and the value stays as it was.")
        .await?;
    redis.set(units, "three").await?;
    let refused = redis.incr(units, 1).await.is_err();
    let kept = redis.get(units).await?;
    ctx.check("INCRBY failed, and the text is still there", refused && kept.as_deref() == Some("three"))?;

    ctx.step("The range is that of an i64. At its end INCRBY fails, too. It does not wrap around.").await?;
    redis.set(units, i64::MAX).await?;
    let refused = redis.incr(units, 1).await.is_err();
    let kept = redis.set_options(units, 3, SetOptions::default().get(true)).await?;
    ctx.check("the counter stayed at its maximum", refused && kept == Some(i64::MAX.to_string()))
}

async fn count_money(ctx: &LessonContext, [till, float_till, score_till]: [&str; 3]) -> Outcome {
    let mut redis = ctx.redis();

    ctx.step("INCRBYFLOAT adds fractions. It is for measurements, but it looks right for money:").await?;
    redis::cmd("INCRBYFLOAT").arg(float_till).arg("0.1").exec_async(&mut redis).await?;
    let sum: String = redis::cmd("INCRBYFLOAT").arg(float_till).arg("0.2").query_async(&mut redis).await?;
    ctx.check("0.1 + 0.2 seems to be 0.3", sum.starts_with("0.3"))?;

    ctx.step(
        "It is not. No double is exactly 0.1. INCRBYFLOAT hides this, because Redis computes with more digits than it prints. \
         The scores of a Sorted Set are doubles, like an f64 in Rust, and there it shows:",
    )
    .await?;
    redis.zincr(score_till, "cash", 0.1).await?;
    let sum = redis.zincr(score_till, "cash", 0.2).await?;
    ctx.check("as doubles, 0.1 + 0.2 is more than 0.3, in Redis and in Rust", sum > 0.3 && 0.1 + 0.2 > 0.3)?;

    ctx.step("So count money in cents, as whole numbers. INCRBY is exact.").await?;
    redis.incr(till, 10).await?;
    let cents = redis.incr(till, 20).await?;
    ctx.check("10 cents and 20 cents are 30 cents", cents == 30)
}

async fn lose_an_update(ctx: &LessonContext, views: &str) -> Outcome {
    let [mut a, mut b] = ctx.dedicated().await?;

    let guess = ctx
        .step("Now count two views in a way that breaks: each client sends GET, adds one, and sends SET. A and B take turns.")
        .predict("By how much does the counter rise?", ["0", "1", "2"])
        .await?;
    let seen_by_a = a.get_int(views).await?.unwrap_or(0);
    let seen_by_b = b.get_int(views).await?.unwrap_or(0);
    a.set(views, seen_by_a + 1).await?;
    b.set(views, seen_by_b + 1).await?;
    let counted = a.get_int(views).await?;
    guess.answer(counted.unwrap_or(0) - seen_by_a)?;
    ctx.say("Both read the same number, so both wrote the same sum, and one view is lost.");
    ctx.check("two views, and the counter rose by one", counted == Some(seen_by_a + 1))
}

async fn lose_none(ctx: &LessonContext, keys: &Keys) -> Outcome {
    ctx.step(format!(
        "{CLIENTS} clients do the same at once, each on its own connection. There are two ways to lose nothing. The first is a \
         transaction: the server runs what comes between MULTI and EXEC as one step (redis-rs: atomic()). With WATCH before it, EXEC \
         does nothing if another client has written the key since, and the client tries again:",
    ))
    .await?;
    ctx.function("by_watch");
    ctx.say("INCR reads, adds, and writes in one step on the server:");
    ctx.function("by_incr");

    // With WATCH, one client at a time succeeds, so on a slow network there are few clients, too.
    let clients = ctx.fit("clients", CLIENTS, 4, 5.0);
    let times = ctx.fit("increments by each client", TIMES_EACH, 2, ROUND_TRIPS);
    ctx.announce(format!(
        "{clients} clients, each {times} times: GET and SET, all in the same rhythm (the worst case); GET and SET, in any order; \
         WATCH, GET, MULTI, SET, EXEC; INCR. Before each, UNLINK."
    ));
    let mut table = Table::new("Lost updates", &["approach", "expected", "counted", "lost", "tried again"]);
    let mut tallies = Vec::new();
    let clients = connect(ctx.target(), clients).await?;
    for approach in Increment::ALL {
        let tally = approach.count(ctx.target(), &clients, &approach.key(keys), times).await?;
        let numbers = [tally.expected, tally.counted, tally.lost(), tally.retries];
        table = table.labeled(approach.label(), numbers.map(|number| thousands(number as f64)));
        tallies.push(tally);
    }
    ctx.table(table);
    let [worst, _, watch, incr] = tallies[..] else { return Ok(()) };
    ctx.check(
        format!("in the worst case each round counts once: {} counts lost", thousands(worst.lost() as f64)),
        worst.counted == times as u64,
    )?;
    ctx.check("WATCH lost none, but had to try again", watch.lost() == 0)?;
    ctx.check("INCR lost none, and never had to", incr.lost() == 0 && incr.retries == 0)
}
