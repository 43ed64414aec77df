//! How long does a key live, and when does its memory come back?
//!
//! `cargo simple expiry`

mod idle;

use std::time::{Duration, Instant};

use lab_runner::table::Table;
use lab_runner::{Lesson, LessonContext, LessonError, Need, Outcome, Retry};
use redis::{AsyncTypedCommands, ExistenceCheck, Expiry, SetExpiry, SetOptions};

use self::idle::IdleKeys;
use crate::keys::Keys;

/// TTLs, what an expired key looks like, and when its memory comes back.
pub static LESSON: Lesson = Lesson {
    name: "expiry",
    title: "Expiry",
    question: "How long does a key live, and what happens at its end?",
    commands: &["SET", "TTL", "PTTL", "PERSIST", "EXPIRE", "GETEX", "EXISTS"],
    needs: &[Need { command: "GETEX", available_in: "--server valkey-9.1" }],
    sources: &[lab_runner::source!("src/expiry.rs")],
    rule: "",
    takeaways: &[],
    quiz: &[],
    run: |ctx| Box::pin(run(ctx)),
};

/// EXPIRE learnt NX, XX, GT and LT with Redis 7.0, the release that also brought EXPIRETIME.
const CONDITIONS: Need =
    Need { command: "EXPIRE with NX, XX, GT and LT", available_in: "--server valkey-9.1" };
const CAME_WITH_CONDITIONS: &str = "EXPIRETIME";

/// How many keys nobody reads again.
const IDLE_KEYS: usize = 200;
/// What a deadline or the server's own clean-up may take at most, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(2);

async fn run(ctx: &mut LessonContext) -> Outcome {
    let keys = Keys::new(ctx.prefix());
    let idle = IdleKeys::new(&keys, IDLE_KEYS);
    ctx.start_clean(&[keys.login_code(), keys.cached_page(), keys.banner()]).await?;
    ctx.start_clean(idle.names()).await?;

    give_a_deadline(ctx, &keys).await?;
    change_the_deadline(ctx, &keys).await?;
    lose_the_deadline(ctx, &keys).await?;
    look_at_an_expired_key(ctx, &keys).await?;
    wait_for_the_memory(ctx, &idle).await?;

    ctx.keys([keys.login_code(), keys.cached_page()]);
    Ok(())
}

async fn give_a_deadline(ctx: &LessonContext, keys: &Keys) -> Outcome {
    let mut redis = ctx.redis();
    let code = keys.login_code();

    ctx.step(
        "A key can have a deadline; after it, the key is gone. SET takes the time to live with the value: EX in \
         seconds, PX in milliseconds. TTL says how many seconds are left, PTTL how many milliseconds.",
    ).await?;
    redis.set_options(&code, "4711", SetOptions::default().with_expiration(SetExpiry::EX(300))).await?;
    let seconds = redis.ttl(&code).await?.raw();
    let millis = redis.pttl(&code).await?.raw();
    ctx.check("the code has at most 300 seconds left", (1..=300).contains(&seconds))?;
    ctx.check("PTTL says the same in milliseconds", (1..=300_000).contains(&millis))?;

    ctx.step("PERSIST takes the deadline away. A TTL of -1 then means: the key exists and never expires.")
        .await?;
    let persisted = redis.persist(&code).await?;
    let without = redis.ttl(&code).await?.raw();
    ctx.check("the key now stays for ever", persisted && without == -1)
}

async fn change_the_deadline(ctx: &LessonContext, keys: &Keys) -> Outcome {
    let mut redis = ctx.redis();
    let code = keys.login_code();

    ctx.step("EXPIRE gives a deadline to a key of any type. 1 means that it was set.").await?;
    let set = redis.expire(&code, 60).await?;
    ctx.check("the deadline was set", set)?;

    if ctx.can(CAME_WITH_CONDITIONS).await {
        ctx.step(
            "Since Redis 7.0 it takes a condition: NX only if there is no deadline yet, XX only if there is one, GT only \
             if the new one is later, LT only if it is earlier. 0 means that nothing changed.",
        ).await?;
        let mut answers = Vec::new();
        for (seconds, condition) in [(90, "NX"), (90, "XX"), (30, "GT"), (30, "LT")] {
            let expire = redis::cmd("EXPIRE").arg(&code).arg(seconds).arg(condition).take();
            answers.push(expire.query_async::<bool>(&mut redis).await?);
        }
        ctx.check_eq("NX and GT refused, XX and LT agreed", &answers, &vec![false, true, false, true])?;
    } else {
        ctx.skip(CONDITIONS);
    }

    ctx.step(
        "GETEX (since Redis 6.2) reads a value and moves its deadline in the same step. A session that ends half an hour \
         after its last use is renewed by the very read that uses it.",
    ).await?;
    let read = redis.get_ex(&code, Expiry::EX(1800)).await?;
    let renewed = redis.ttl(&code).await?.raw();
    ctx.check("the read renewed the deadline", read.as_deref() == Some("4711") && renewed > 1_700)
}

async fn lose_the_deadline(ctx: &LessonContext, keys: &Keys) -> Outcome {
    let mut redis = ctx.redis();
    let cached = keys.cached_page();
    let first = SetOptions::default().with_expiration(SetExpiry::EX(600));
    let keeping =
        SetOptions::default().conditional_set(ExistenceCheck::XX).with_expiration(SetExpiry::KEEPTTL);

    ctx.step(
        "Now a common mistake. SET replaces the whole key, its deadline included. A cache that is updated with a plain \
         SET fills up with keys that never expire.",
    ).await?;
    redis.set_options(&cached, "<h1>Sale</h1>", first.clone()).await?;
    redis.set(&cached, "<h1>Big sale</h1>").await?;
    let lost = redis.ttl(&cached).await?.raw();
    ctx.check("a plain SET removed the deadline: TTL is -1", lost == -1)?;

    ctx.step(
        "KEEPTTL keeps it. So do all commands that change a value without replacing it: APPEND, INCR, HSET, LPUSH and so on.",
    ).await?;
    redis.set_options(&cached, "<h1>Sale</h1>", first).await?;
    redis.set_options(&cached, "<h1>Big sale</h1>", keeping).await?;
    redis.append(&cached, "<p>Today only</p>").await?;
    let kept = redis.ttl(&cached).await?.raw();
    ctx.check("KEEPTTL and APPEND kept the deadline", kept > 0)
}

async fn look_at_an_expired_key(ctx: &LessonContext, keys: &Keys) -> Outcome {
    let mut redis = ctx.redis();
    let banner = keys.banner();

    ctx.step("What does an expired key look like? This one has 50 milliseconds.").await?;
    redis.set_options(&banner, "-20 % now", SetOptions::default().with_expiration(SetExpiry::PX(50))).await?;
    until_gone(ctx, &banner).await?;
    ctx.step("A moment later:").await?;
    let value = redis.get(&banner).await?;
    let ttl = redis.ttl(&banner).await?.raw();
    let exists = redis.exists(&banner).await?;
    ctx.check(
        "an expired key looks like one that never was: nil, TTL -2, EXISTS 0",
        value.is_none() && ttl == -2 && !exists,
    )
}

/// Waits for the deadline of a key, off the page.
async fn until_gone(ctx: &LessonContext, key: &str) -> Outcome {
    let (mut redis, mut retry) = (ctx.untraced("TODO"), Retry::within(PATIENCE));
    let claim = format!("{key} is gone soon after its deadline");
    while redis.exists(key).await? {
        retry.again(&claim).await?;
    }
    Ok(())
}

async fn wait_for_the_memory(ctx: &LessonContext, idle: &IdleKeys) -> Outcome {
    let mut quietly = ctx.untraced("TODO");

    ctx.step(format!(
        "An expired key is invisible at once, but its memory comes back later, in one of two ways. Lazily: whoever \
         touches the key makes the server remove it. Actively: about ten times a second the server looks at a random \
         sample of the keys that have a deadline, removes the expired ones, and looks again as long as it finds many. \
         Here are {IDLE_KEYS} keys with 100 milliseconds each. Nobody reads them; we only watch the server's counter \
         expired_keys (INFO stats).",
    )).await?;
    let before = idle::expired_so_far(&mut quietly).await?;
    idle.write(&mut quietly, Duration::from_millis(100)).await?;
    let removed = || async {
        Ok::<_, LessonError>(idle::expired_so_far(&mut ctx.untraced("TODO")).await?.saturating_sub(before))
    };
    let written = Instant::now();
    let mut unread = removed().await?;
    while unread < idle.count() && written.elapsed() < PATIENCE {
        tokio::time::sleep(Duration::from_millis(10)).await;
        unread = removed().await?;
    }
    let unread = unread.min(idle.count());

    ctx.step("Now somebody asks for all of them.").await?;
    let found: usize = redis::cmd("EXISTS").arg(idle.names()).query_async(&mut ctx.redis()).await?;
    let all = removed().await?.min(idle.count());
    ctx.table(
        Table::new("How the expired keys were removed", &["way", "keys"])
            .row(["actively, before anybody read them", &unread.to_string()])
            .row(["lazily, when they were read", &(all - unread).to_string()]),
    );
    ctx.check("none is found", found == 0)?;
    ctx.check("all of them have been removed", all == idle.count())?;

    ctx.step(
        "So memory is bounded, but not to the millisecond: in a large keyspace, expired keys that nobody touches can stay \
         a while. DBSIZE counts them until they are removed.",
    ).await?;
    Ok(())
}
