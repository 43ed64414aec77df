//! How long does a key live, and when does its memory come back?
//!
//! `cargo simple expiry`

use std::time::{Duration, Instant};

use lab_connection::Connection;
use lab_runner::table::Table;
use lab_runner::{Keys, Lesson, LessonContext, Need, Outcome, Retry, source};
use redis::{AsyncTypedCommands, ExistenceCheck, Expiry, RedisResult, SetExpiry, SetOptions, Value};

/// TTLs, what an expired key looks like, and when its memory comes back.
pub static LESSON: Lesson = Lesson {
    name: "expiry",
    title: "Expiry",
    question: "How long does a key live, and what happens at its end?",
    commands: &["SET", "TTL", "PTTL", "PERSIST", "EXPIRE", "GETEX", "EXISTS"],
    needs: &[Need { command: "GETEX", available_in: "--server valkey-9.1" }],
    sources: &[source!("src/expiry.rs")],
    rule: "Give every key that holds a copy or something temporary its TTL in the command that writes it.",
    takeaways: &[
        "A plain SET removes the TTL. KEEPTTL keeps it, and so do commands that only change a part.",
        "An expired key is gone at once for every reader. Its memory comes back a little later.",
        "TTL answers -1 for a key that never expires, and -2 for a key that doesn't exist.",
    ],
    quiz: &[13, 14, 18, 22, 61],
    run: |ctx| Box::pin(run(ctx)),
};

/// EXPIRE learned NX, XX, GT, and LT with Redis 7.0, the release that also brought EXPIRETIME.
const CONDITIONS: Need =
    Need { command: "EXPIRE with NX, XX, GT, and LT", available_in: "--server valkey-9.1" };
const CAME_WITH_CONDITIONS: &str = "EXPIRETIME";

/// Keys that nobody reads again.
const IDLE_KEYS: usize = 200;
/// The longest that a deadline or the server's own cleanup may take on a busy machine, beyond what the network takes.
const LIMIT: Duration = Duration::from_secs(2);

async fn run(ctx: &mut LessonContext) -> Outcome {
    let keys = Keys::new(ctx.prefix());
    let used = ["login_code:parker", "cache:page:home", "banner:flash"].map(|name| keys.key(name));
    ctx.start_clean(&used).await?;
    let [code, cached, banner] = used;

    set_a_deadline(ctx, &code).await?;
    change_the_deadline(ctx, &code).await?;
    lose_the_deadline(ctx, &cached).await?;
    look_at_an_expired_key(ctx, &banner).await?;
    wait_for_the_memory(ctx, &keys).await?;

    ctx.keys([code, cached]);
    Ok(())
}

async fn set_a_deadline(ctx: &LessonContext, code: &str) -> Outcome {
    let mut redis = ctx.redis();
    let for_five_minutes = SetOptions::default().with_expiration(SetExpiry::EX(300));

    ctx.step(
        "A key can have a deadline, after which it is gone. SET takes the time to live with the value: EX in seconds, PX in \
         milliseconds. TTL returns the seconds that are left, PTTL the milliseconds.",
    )
    .await?;
    redis.set_options(code, "4711", for_five_minutes).await?;
    let seconds = redis.ttl(code).await?.raw();
    let milliseconds = redis.pttl(code).await?.raw();
    ctx.check("the code has at most 300 seconds left", (1..=300).contains(&seconds))?;
    ctx.check("PTTL says the same in milliseconds", (1..=300_000).contains(&milliseconds))?;

    ctx.step("PERSIST takes the deadline away. A TTL of -1 means that the key exists and never expires.")
        .await?;
    redis.expire(code, 300).await?;
    let persisted = redis.persist(code).await?;
    let ttl = redis.ttl(code).await?.raw();
    ctx.check("the key now stays forever", persisted && ttl == -1)
}

async fn change_the_deadline(ctx: &LessonContext, code: &str) -> Outcome {
    let mut redis = ctx.redis();

    ctx.step("EXPIRE gives a deadline to a key of any type. 1 means that it was set.").await?;
    redis.set(code, "4711").await?;
    let set = redis.expire(code, 60).await?;
    ctx.check("the deadline was set", set)?;

    if ctx.can(CAME_WITH_CONDITIONS).await {
        let guess = ctx
            .step(
                "Since Redis 7.0, EXPIRE takes a condition: NX only if there is no deadline, XX only if there is one, GT only if the \
                 new one is later, LT only if it is earlier. 0 means that nothing changed. This key first has an hour.",
            )
            .predict("How many of the four EXPIREs change the deadline?", ["1", "2", "3", "4"])
            .await?;
        redis.set_options(code, "4711", SetOptions::default().with_expiration(SetExpiry::EX(3600))).await?;
        let mut changed = Vec::new();
        for (seconds, condition) in [(300, "NX"), (7200, "XX"), (300, "GT"), (300, "LT")] {
            let expire = redis::cmd("EXPIRE").arg(code).arg(seconds).arg(condition).to_owned();
            changed.push(expire.query_async(&mut redis).await?);
        }
        guess.answer(changed.iter().filter(|changed| **changed).count())?;
        let expected = vec![false, true, false, true];
        ctx.check_eq("NX and GT changed nothing, XX and LT did", &changed, &expected)?;
    } else {
        ctx.skip(CONDITIONS);
    }

    ctx.step(
        "GETEX reads a value and moves its deadline in the same step. So a session that ends half an hour after its last use is \
         renewed by the read that uses it.",
    )
    .await?;
    redis.set_options(code, "4711", SetOptions::default().with_expiration(SetExpiry::EX(300))).await?;
    let read = redis.get_ex(code, Expiry::EX(1800)).await?;
    let renewed = redis.ttl(code).await?.raw();
    ctx.check("the read renewed the deadline", read.as_deref() == Some("4711") && renewed > 1_700)
}

async fn lose_the_deadline(ctx: &LessonContext, cached: &str) -> Outcome {
    let mut redis = ctx.redis();
    let for_ten_minutes = || SetOptions::default().with_expiration(SetExpiry::EX(600));
    let keeping_it =
        SetOptions::default().conditional_set(ExistenceCheck::XX).with_expiration(SetExpiry::KEEPTTL);

    let guess = ctx
        .step("Now a common mistake. A page is cached for ten minutes. Then it changes, and a plain SET updates it.")
        .predict("What is the deadline after the second SET?", ["ten minutes", "none", "the page is gone"])
        .await?;
    redis.set_options(cached, "<h1>Sale</h1>", for_ten_minutes()).await?;
    redis.set(cached, "<h1>Big sale</h1>").await?;
    let ttl = redis.ttl(cached).await?.raw();
    guess.answer(match ttl {
        -2 => "the page is gone",
        -1 => "none",
        _ => "ten minutes",
    })?;
    ctx.say(
        "SET replaces the whole key, and its deadline, too. If you update a cache with a plain SET, it fills up with keys that never \
         expire.",
    );
    ctx.check("the plain SET removed the deadline: TTL is -1", ttl == -1)?;

    ctx.step("KEEPTTL keeps it. So do all commands that change a part of a value: APPEND, INCR, HSET, LPUSH, and so on.")
        .await?;
    redis.set_options(cached, "<h1>Sale</h1>", for_ten_minutes()).await?;
    redis.set_options(cached, "<h1>Big sale</h1>", keeping_it).await?;
    redis.append(cached, "<p>Today only</p>").await?;
    let ttl = redis.ttl(cached).await?.raw();
    ctx.check("KEEPTTL and APPEND kept the deadline", ttl > 0)
}

async fn look_at_an_expired_key(ctx: &LessonContext, banner: &str) -> Outcome {
    let mut redis = ctx.redis();
    let for_a_moment = SetOptions::default().with_expiration(SetExpiry::PX(50));

    let guess = ctx
        .step("What does an expired key look like? This one lives for 50 milliseconds. A moment later, you read it.")
        .predict("What does TTL reply?", ["-2", "-1", "0", "nil"])
        .await?;
    redis.set_options(banner, "-20% now", for_a_moment).await?;
    until_gone(ctx, banner).await?;
    let value = redis.get(banner).await?;
    let ttl = redis.ttl(banner).await?.raw();
    let exists = redis.exists(banner).await?;
    guess.answer(ttl)?;
    ctx.check(
        "an expired key looks like one that never existed: nil, TTL -2, EXISTS 0",
        value.is_none() && ttl == -2 && !exists,
    )
}

/// Waits for the deadline of a key.
async fn until_gone(ctx: &LessonContext, key: &str) -> Outcome {
    let mut redis = ctx.untraced("Waiting for the deadline: EXISTS, again and again");
    let mut retry = Retry::within(LIMIT + ctx.round_trip() * 4);
    while redis.exists(key).await? {
        retry.again(&format!("{key} is gone soon after its deadline")).await?;
    }
    Ok(())
}

async fn wait_for_the_memory(ctx: &LessonContext, keys: &Keys) -> Outcome {
    ctx.step(
        "An expired key is invisible at once, but its memory comes back later, in one of two ways. Lazily: when a client asks for the \
         key, the server removes it. Actively: about ten times a second, the server goes through some more of the keys that have a \
         TTL, removes those that have expired, and goes on as long as it finds many.",
    )
    .await?;
    let idle: Vec<String> = (1..=IDLE_KEYS).map(|number| keys.key(format_args!("idle:{number}"))).collect();
    let count = idle.len() as u64;
    ctx.start_clean(&idle).await?;
    ctx.announce(format!(
        "{count} keys that nobody reads: PSETEX, 100 ms each. Then only INFO stats is read, for its counter expired_keys."
    ));
    ctx.function("write_unread");
    let mut untraced = ctx.target().connection();
    let before = expired_so_far(&mut untraced).await?;
    write_unread(&mut untraced, &idle).await?;
    let (written, limit) = (Instant::now(), LIMIT + ctx.round_trip() * 4);
    let mut unread = 0;
    while unread < count && written.elapsed() < limit {
        tokio::time::sleep(Duration::from_millis(10)).await;
        unread = (expired_so_far(&mut untraced).await? - before).min(count);
    }
    ctx.say("Now a client asks for all of them.");
    let found: usize = redis::cmd("EXISTS").arg(&idle).query_async(&mut ctx.redis()).await?;
    let all = (expired_so_far(&mut untraced).await? - before).min(count);
    ctx.table(
        Table::new("How the expired keys were removed", &["way", "keys"])
            .row(["actively, before a client read them", &unread.to_string()])
            .row(["lazily, when a client read them", &(all - unread).to_string()]),
    );
    ctx.check("EXISTS finds none", found == 0)?;
    ctx.check("the server has removed all of them", all == count)
}

async fn write_unread(redis: &mut Connection, keys: &[String]) -> RedisResult<()> {
    let mut pipeline = redis::pipe();
    for key in keys {
        pipeline.pset_ex(key, "unread", 100).ignore();
    }
    pipeline.exec_async(redis).await
}

/// How many keys the server has removed because they expired. On a cluster, those of all primaries.
async fn expired_so_far(redis: &mut Connection) -> RedisResult<u64> {
    fn count(stats: Value) -> RedisResult<u64> {
        // One server answers with a text, a cluster with a map from node to text.
        if let Value::Map(nodes) = stats {
            return nodes.into_iter().map(|(_, text)| count(text)).sum();
        }
        let text: String = redis::from_redis_value(stats)?;
        let digits = text.lines().find_map(|line| line.trim_end().strip_prefix("expired_keys:"));
        Ok(digits.and_then(|digits| digits.parse().ok()).unwrap_or_default())
    }
    count(redis::cmd("INFO").arg("stats").query_async(redis).await?)
}
