//! How do you let only one client do something, and what if it stops for too long?
//!
//! `cargo work locks`

mod mistakes;
mod overtaken;
mod redlock;
mod take_and_release;

use std::time::Duration;

use lab_runner::pattern_scripts::{load, lua};
use lab_runner::table::{Table, duration};
use lab_runner::{BoxError, Comparison, Lesson, LessonContext, Need, Retry, outcome, source};
use patterns::fence::{self, Fence};
use patterns::key::{Key, KeyError};
use patterns::lock::{self, LockError, Locks, Token};
use redis::AsyncTypedCommands;

pub use self::mistakes::locks_without_end;
pub use self::overtaken::{Way, stale_writes};
pub use self::redlock::{FiveServers, Redlock};
pub use self::take_and_release::{Names, TakeAndRelease};

/// One holder at a time, and the number that fences off the others.
pub static LESSON: Lesson = Lesson {
    name: "locks",
    title: "Locks",
    question: "How do you let only one client do something, and what if it stops for too long?",
    commands: &["SETNX", "SET", "PTTL", "DEL", "EVAL", "EVALSHA"],
    needs: &[],
    sources: &[
        source!("src/locks.rs"),
        source!("src/locks/mistakes.rs"),
        source!("src/locks/overtaken.rs"),
        source!("src/locks/redlock.rs"),
    ],
    rule: "Take a lock with a token and a TTL in one step, and let the resource refuse older numbers.",
    takeaways: &[
        "A lock that only avoids duplicate work needs a token and a TTL. One that protects data needs a fence at the data.",
        "Pick the token before you ask. After a lost reply, the same token asks again.",
        "Redlock survives the loss of a server. It does not stop a late write.",
    ],
    quiz: &[70, 71, 72, 73, 75],
    run: |ctx| Box::pin(outcome(run(ctx))),
};

const DAY: Duration = Duration::from_hours(24);
/// The same, for PX. A lock that the next step still needs must not end while the reader looks at this one.
const DAY_MS: u64 = 24 * 60 * 60 * 1_000;
/// Locks of the first mistake. Every fourth client dies.
const CLIENTS: usize = 20;
/// Holders that are stopped for longer than their TTL.
const HOLDERS: usize = 10;
/// Locks that are taken and released in one run of the comparison.
const COMPARED: usize = 100;
/// What releases a lock whose value is the token alone.
pub(crate) const DELETE_IF_EQUAL: &str =
    "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0";
const DELIFEQ: Need = Need { command: "DELIFEQ or DELEX", available_in: "Valkey 9.0 or Redis 8.4" };
const SET_IFEQ: Need = Need { command: "SET with IFEQ", available_in: "Valkey 8.1 or Redis 8.4" };

async fn run(ctx: &mut LessonContext) -> Result<(), BoxError> {
    let prefix = ctx.prefix().to_owned();
    let report = Locks::new(ctx.target().connection(), &prefix, "").keys("report")?;
    let record = Fence::new(ctx.target().connection(), &prefix).key("report")?.as_str().to_owned();
    let invoice = key_of(&prefix, "invoice")?;
    let mut keys = vec![report[0].clone(), report[1].clone(), record.clone(), invoice.clone()];
    keys.extend(mistakes::keys(&prefix, CLIENTS)?);
    keys.extend(overtaken::keys(ctx.target(), HOLDERS)?);
    let names = Names::new(&prefix, ctx.fit("locks", COMPARED, 1, 20.0));
    keys.extend(names.keys()?);
    ctx.start_clean(&keys).await?;
    load(ctx, &[lock::scripts(), fence::scripts()]).await?;

    die_before_expire(ctx, &invoice).await?;
    unlock_without_token(ctx, &invoice).await?;
    release_with_token(ctx, &invoice).await?;
    use_the_pattern(ctx).await?;
    write_late(ctx).await?;
    refuse_late_writes(ctx, &record).await?;
    ask_five_servers(ctx).await?;
    compare(ctx, &names).await?;

    ctx.keys([report[0].clone(), report[1].clone(), record]);
    Ok(())
}

async fn die_before_expire(ctx: &LessonContext, invoice: &str) -> Result<(), BoxError> {
    let mut redis = ctx.redis();
    ctx.step(
        "Several processes could write the same invoice, and one is enough. So the first one takes a lock: SETNX sets a key only if \
         it does not exist. The lock must end if its holder dies, so EXPIRE comes next. Here the client dies in between:",
    )
    .await?;
    let taken: bool = redis::cmd("SETNX").arg(invoice).arg("worker-1").query_async(&mut redis).await?;
    // The client dies here. EXPIRE is never sent.
    let ttl = redis.pttl(invoice).await?;
    ctx.check("the lock never expires, and nobody will ever write this invoice", taken && ttl.raw() == -1)?;
    ctx.announce("Then 20 clients take a lock each with SETNX and EXPIRE, and every fourth dies before EXPIRE. PTTL counts, UNLINK cleans up.");
    let endless = locks_without_end(ctx.target(), CLIENTS).await?;
    ctx.check_eq("five of 20 locks never expire", &endless, &(CLIENTS / mistakes::DIES))?;
    ctx.start_clean(&[invoice.to_owned()]).await?;
    Ok(())
}

async fn unlock_without_token(ctx: &LessonContext, invoice: &str) -> Result<(), BoxError> {
    let (mut redis, mut untraced) = (ctx.redis(), ctx.target().connection());
    let guess = ctx
        .step(
            "SET with NX and PX takes the lock and sets its TTL in one step. But worker 1 takes longer than its TTL. Worker 2 gets the lock. \
             Then worker 1 is done and deletes it, and worker 3 comes:",
        )
        .predict("How many workers work now, each sure to be the only one?", ["0", "1", "2"])
        .await?;
    set_nx(&mut redis, invoice, "worker-1", 5).await?;
    wait_until_free(&mut untraced, invoice).await?;
    let second = set_nx(&mut redis, invoice, "worker-2", DAY_MS).await?;
    redis.del(invoice).await?; // worker-1 is done
    let third = set_nx(&mut redis, invoice, "worker-3", DAY_MS).await?;
    guess.answer(usize::from(second) + usize::from(third))?;
    ctx.announce("In between, EXISTS asks until the first lock has expired.");
    ctx.check(
        "worker 1 deleted the lock of worker 2, and now 2 and 3 work at the same time",
        second && third,
    )?;
    Ok(())
}

async fn release_with_token(ctx: &LessonContext, invoice: &str) -> Result<(), BoxError> {
    let mut redis = ctx.redis();
    ctx.step(
        "So the value says whose lock it is: a random token for each attempt (here the workers' names). Delete the lock only if your token is still in it. GET, \
         compare, and DEL leave a moment in between. A script does not:",
    )
    .await?;
    let mut release = redis::cmd("EVAL");
    release.arg(DELETE_IF_EQUAL).arg(1).arg(invoice);
    let theirs: usize = release.clone().arg("worker-2").query_async(&mut redis).await?;
    let own: usize = release.arg("worker-3").query_async(&mut redis).await?;
    ctx.check("worker 2 deleted nothing, and worker 3 its own lock", (theirs, own) == (0, 1))?;

    ctx.step("Newer servers need no scripts. SET with IFEQ renews (Valkey 8.1, Redis 8.4). DELIFEQ releases (Valkey 9.0), or DELEX (Redis 8.4).").await?;
    set_nx(&mut redis, invoice, "worker-4", 60_000).await?;
    let renewed = renew_by_set(&mut redis, invoice, "worker-4").await;
    let deleted = release_by_command(ctx, &mut redis, invoice, "worker-4").await?;
    match renewed {
        Ok(renewed) => ctx.check("SET IFEQ renewed the lock, because the token matched", renewed)?,
        // An older server does not know the option.
        Err(error) if error.is_unrecoverable_error() => return Err(error.into()),
        Err(_) => ctx.skip(SET_IFEQ),
    }
    match deleted {
        Some(deleted) => ctx.check("one command released it", deleted)?,
        None => ctx.skip(DELIFEQ),
    }
    ctx.start_clean(&[invoice.to_owned()]).await?;
    Ok(())
}

async fn use_the_pattern(ctx: &LessonContext) -> Result<(), BoxError> {
    ctx.step(
        "From here on, the lesson uses Locks from crates/patterns, which you can copy. Its key holds token, number, and owner. Each holder gets a number that is higher than all before it. You will \
         need it soon.",
    )
    .await?;
    ctx.script(&lua(&lock::ACQUIRE).whole()).await?;

    let ours = Locks::new(ctx.redis(), ctx.prefix(), "worker-1").with_ttl(DAY);
    let theirs = Locks::new(ctx.redis(), ctx.prefix(), "worker-2").with_ttl(DAY);
    ctx.step(
        "The client picks the token before it asks. If the reply is lost, it asks again with the same token, and gets the same lock. \
         Another worker is refused, and so is the same worker with another token: it would wait for itself.",
    )
    .await?;
    let token = Token::random()?;
    let first = ours.try_acquire("report", &token).await?;
    let again = ours.try_acquire("report", &token).await?;
    let other = theirs.try_acquire("report", &Token::random()?).await;
    let twice = ours.try_acquire("report", &Token::random()?).await;
    ctx.check("the second call got the same lock", first.number() == again.number())?;
    ctx.check(
        "worker 2 learns who holds it",
        matches!(other, Err(LockError::Held { owner, .. }) if owner == "worker-1"),
    )?;
    ctx.check("worker 1 cannot take it twice", matches!(twice, Err(LockError::Reentrant { .. })))?;

    ctx.step("These scripts renew and release. Both compare the token first.").await?;
    ctx.script(&lua(&lock::RENEW).contract()).await?;
    ctx.script(&lua(&lock::RELEASE).whole()).await?;
    ctx.step("A release can be repeated. The next holder's number is higher. Its lock stays for a day, and you find it in Redis Insight.")
        .await?;
    let released = ours.release("report", &token).await?;
    let repeated = ours.release("report", &token).await?;
    let next = theirs.try_acquire("report", &Token::random()?).await?;
    ctx.check(
        "the first call released it, and the second found nothing to do",
        (released, repeated) == (true, false),
    )?;
    ctx.check("the number of worker 2 is higher", next.number() > first.number())?;
    ctx.say(
        "Locks::guard renews in the background, three times per TTL. If it can't, it cancels your work shortly before the TTL ends.",
    );
    Ok(())
}

async fn write_late(ctx: &LessonContext) -> Result<(), BoxError> {
    let ttl = short_ttl(ctx);
    ctx.step(format!(
        "Is that safe? {HOLDERS} workers take a lock each, and are stopped for longer than its TTL of {} ms: by a garbage collection, \
         a page fault, a suspended machine. Meanwhile another worker gets each lock, and writes a newer value. Then the first ones go \
         on. They don't know that they were stopped:",
        ttl.as_millis(),
    ))
    .await?;
    ctx.function("write_after_a_pause");
    let guess = ctx.predict("How many records end with the older value?", ["none", "some", "all"]).await?;
    ctx.announce("EVALSHA takes the locks, HSET writes, HGET reads what is left, UNLINK cleans up.");
    let stale = stale_writes(Way::LockAlone, ctx.target(), HOLDERS, ttl).await?;
    guess.answer(share(stale))?;
    ctx.check_eq("each of them wrote an old value over a newer one", &stale, &HOLDERS)?;
    ctx.say(
        "No TTL prevents that, and no look at the lock before writing: the pause can come after the look. The late write does not \
         ask the lock. So the record has to refuse it.",
    );
    Ok(())
}

async fn refuse_late_writes(ctx: &LessonContext, record: &str) -> Result<(), BoxError> {
    ctx.step(
        "A fence is a record that remembers the highest number that has written, and refuses older ones:",
    )
    .await?;
    ctx.script(&lua(&fence::WRITE).whole()).await?;

    let records = Fence::new(ctx.redis(), ctx.prefix());
    ctx.step("Number 33 writes, then 34. Then 33 wakes up and tries again:").await?;
    records.write("report", 33, &[("total", "100")]).await?;
    records.write("report", 34, &[("total", "250")]).await?;
    let late = records.write("report", 33, &[("total", "101")]).await;
    ctx.check("the late write is refused", matches!(late, Err(fence::FenceError::Stale { seen: 34, .. })))?;
    ctx.redis().expire(record, DAY.as_secs().cast_signed()).await?;

    let ttl = short_ttl(ctx);
    ctx.step(format!("The same {HOLDERS} workers again, and both ways side by side:")).await?;
    ctx.announce("EVALSHA takes the locks and writes, HGET reads what is left, HSET writes without a fence, UNLINK cleans up.");
    let mut table = Table::new("Holders that were stopped", &["approach", "stopped", "stale writes"]);
    let mut results = Vec::new();
    for way in Way::ALL {
        let stale = stale_writes(way, ctx.target(), HOLDERS, ttl).await?;
        table = table.labeled(way.label(), [HOLDERS, stale]);
        results.push(stale);
    }
    ctx.table(table);
    ctx.check_eq("with the fence, there are no stale writes", &results, &vec![HOLDERS, 0])?;
    Ok(())
}

async fn ask_five_servers(ctx: &LessonContext) -> Result<(), BoxError> {
    ctx.step(
        "Redlock takes the same lock on five independent servers, and holds it when three of them agree in time. What does it add? This \
         lesson starts five servers of its own for that, and stops them at the end of the step.",
    )
    .await?;
    let mut servers = match FiveServers::start().await {
        Ok(servers) => servers,
        Err(error) => {
            ctx.say(format!(
                "Five private servers cannot be started here, so this part is left out: {error}"
            ));
            return Ok(());
        }
    };
    ctx.function("by_majority");
    ctx.announce(
        "On the five private servers: SET NX PX, and EVALSHA or EVAL to release. For each row, one of them restarts, and comes back \
         empty. The records are on your server: HSET, HGET, EVALSHA, UNLINK.",
    );
    let guess =
        ctx.predict("How many late writes does Redlock let through?", ["none", "some", "all"]).await?;
    let ttl = short_ttl(ctx);
    let mut table = Table::new(
        "One server and five",
        &["approach", "locks", "held twice after a server lost its data", "stale writes of stopped holders"],
    );
    let mut rows = Vec::new();
    for way in Redlock::ALL {
        let twice = servers.held_twice_after_a_loss(way, HOLDERS).await?;
        let stale = servers.stale_writes(way, ctx.target(), HOLDERS, ttl).await?;
        table = table.labeled(way.label(), [HOLDERS, twice, stale]);
        rows.push((twice, stale));
    }
    ctx.table(table);
    guess.answer(share(rows[1].1))?;
    ctx.check_eq(
        "one server that loses its data gives every lock away twice; three of five still know them",
        &[rows[0].0, rows[1].0],
        &[HOLDERS, 0],
    )?;
    ctx.check_eq(
        "Redlock does not stop late writes; the number does",
        &[rows[1].1, rows[2].1],
        &[HOLDERS, 0],
    )?;
    ctx.say(
        "The last row also gave the locks away twice, and yet nothing was overwritten: the second holder's number comes from the \
         server's clock, so it is higher, even after the loss (if the clocks of a primary and its replica agree). Redlock has no such number, because its servers don't share one. So take Redlock where \
         two holders only waste time and a server may die; take a number and a fence where two holders do damage.",
    );
    let costs = servers.costs(COMPARED / 2).await?;
    let mut table = Table::new("One lock after the other", &["approach", "requests each", "time each"]);
    for cost in &costs {
        table = table.labeled(cost.label, [cost.requests.to_string(), duration(cost.each)]);
    }
    ctx.table(table);
    ctx.say("Each time is the median of five rounds on the private servers, and each lock was checked: taken once, and gone afterward.");
    drop(servers);
    Ok(())
}

async fn compare(ctx: &LessonContext, names: &Names) -> Result<(), BoxError> {
    let approaches = TakeAndRelease::all(ctx.can("DELIFEQ").await, ctx.can("DELEX").await);
    ctx.step(
        "What does a lock cost on your server? Each row takes and releases the same locks, one at a time. The first row is the wrong \
         one: it deletes whatever is there.",
    )
    .await?;
    ctx.compare(Comparison { title: "Take and release", approaches: &approaches, input: names }).await?;
    ctx.start_clean(&names.keys()?).await?;
    ctx.say(
        "Most of the time goes to two round trips. If the work is in Redis, too, you often need no lock at all: one script reads, \
         decides, and writes.",
    );
    Ok(())
}

/// How many of the holders, in a word.
fn share(holders: usize) -> &'static str {
    match holders {
        0 => "none",
        HOLDERS => "all",
        _ => "some",
    }
}

/// Long enough for a few round trips, and short enough to wait for.
fn short_ttl(ctx: &LessonContext) -> Duration {
    Duration::from_millis(40) + 4 * ctx.round_trip()
}

/// Takes a lock in one step, and says whether it was free.
pub(crate) async fn set_nx(
    redis: &mut impl redis::aio::ConnectionLike,
    lock: &str,
    token: &str,
    ttl_ms: u64,
) -> redis::RedisResult<bool> {
    let mut set = redis::cmd("SET");
    set.arg(lock).arg(token).arg("NX").arg("PX").arg(ttl_ms);
    Ok(set.query_async::<Option<String>>(redis).await?.is_some())
}

async fn renew_by_set(
    redis: &mut impl redis::aio::ConnectionLike,
    lock: &str,
    token: &str,
) -> redis::RedisResult<bool> {
    let mut set = redis::cmd("SET");
    set.arg(lock).arg(token).arg("IFEQ").arg(token).arg("PX").arg(60_000);
    Ok(set.query_async::<Option<String>>(redis).await?.is_some())
}

/// `None` if the server has no command for it.
async fn release_by_command(
    ctx: &LessonContext,
    redis: &mut impl redis::aio::ConnectionLike,
    lock: &str,
    token: &str,
) -> redis::RedisResult<Option<bool>> {
    let release = if ctx.can("DELIFEQ").await {
        redis::cmd("DELIFEQ").arg(lock).arg(token).to_owned()
    } else if ctx.can("DELEX").await {
        redis::cmd("DELEX").arg(lock).arg("IFEQ").arg(token).to_owned()
    } else {
        return Ok(None);
    };
    Ok(Some(release.query_async::<usize>(redis).await? == 1))
}

async fn wait_until_free(redis: &mut lab_connection::Connection, lock: &str) -> Result<(), BoxError> {
    let mut retry = Retry::within(Duration::from_secs(10));
    while redis.exists(lock).await? {
        retry.again("the lock expires").await?;
    }
    Ok(())
}

/// The key of a lock.
fn key_of(prefix: &str, name: &str) -> Result<String, KeyError> {
    Ok(Key::new(prefix, "lock", &[name])?.as_str().to_owned())
}
