//! How often may a client do something, and what does each limiter let through?
//!
//! `cargo ecommerce rate-limits`

mod limiting;
mod mistakes;
mod traffic;

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use futures_util::future::try_join;
use lab_connection::own_keys;
use lab_runner::concurrent::try_join_all;
use lab_runner::pattern_scripts::{load, lua};
use lab_runner::table::{Table, bytes};
use lab_runner::{BoxError, Comparison, Lesson, LessonContext, Need, outcome, source};
use patterns::fixed_window::{self, FixedWindow};
use patterns::key::{Key, KeyError};
use patterns::limit::{IfUnreachable, Limit};
use patterns::login_guard::{self, ATTEMPT, Attempt, Guarded, LoginGuard, PUBLISHED};
use patterns::token_bucket::{self, TokenBucket};
use patterns::{sliding_counter, sliding_log};
use redis::AsyncTypedCommands;

pub use self::limiting::{Limiting, Requests};
pub use self::mistakes::{Way, admitted_at_once, counters_without_end, guesses_at_once};
use self::traffic::Measure;

/// Four limiters on the same traffic, and failed logins.
pub static LESSON: Lesson = Lesson {
    name: "rate-limits",
    title: "Rate limits",
    question: "How often may a client do something, and what does each limiter let through?",
    commands: &["INCR", "PTTL", "GET", "EVALSHA"],
    needs: &[],
    sources: &[
        source!("src/rate_limits.rs"),
        source!("src/rate_limits/mistakes.rs"),
        source!("src/rate_limits/traffic.rs"),
    ],
    rule: "Decide, count, and set the TTL in one script, by the clock of the server.",
    takeaways: &[
        "A fixed window is enough where twice the limit at an edge does no harm.",
        "A token bucket is as small and lets you choose the burst. Take it for most other limits.",
        "Take the log where you promise 'never more than N in any minute', and N is small.",
    ],
    quiz: &[76, 78, 79, 80, 148],
    run: |ctx| Box::pin(outcome(run(ctx))),
};

const MINUTE: Duration = Duration::from_mins(1);
/// Requests at the same moment, and how many the limit allows.
const CLIENTS: usize = 20;
const QUOTA: u32 = 5;
/// Callers whose first request is counted. Every fourth client dies after its first round trip.
const CALLERS: usize = 20;
/// Callers and requests of the comparison.
const COMPARED_CALLERS: usize = 50;
const COMPARED_REQUESTS: usize = 500;
/// How long the keys stay that you can look at, in seconds: a day.
const KEPT: i64 = 86_400;
/// The address that guesses passwords.
const ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::new(203, 0, 113, 7));
const INCREX: Need = Need { command: "INCREX", available_in: "Redis 8.8 or Valkey 9.2" };

async fn run(ctx: &mut LessonContext) -> Result<(), BoxError> {
    let (target, prefix) = (ctx.target().clone(), ctx.prefix());
    let window = key_of(prefix, "api_key", "minute")?;
    let guard = LoginGuard::new(target.connection(), prefix).keys(Guarded::Address(ADDRESS))?;
    let mut keys = vec![window.clone(), guard.attempts.clone(), guard.block.clone(), guard.published.clone()];
    keys.extend(mistakes::keys(&target)?);
    keys.push(key_of(prefix, "api_key", "bucket")?);
    keys.extend(Requests::new(prefix, COMPARED_CALLERS, COMPARED_REQUESTS).keys()?);
    ctx.start_clean(&keys).await?;
    let limiters = [fixed_window::scripts(), sliding_log::scripts(), sliding_counter::scripts()];
    load(ctx, &[&limiters[..], &[token_bucket::scripts(), login_guard::scripts()]].concat()).await?;

    count_afterward(ctx).await?;
    lose_the_ttl(ctx, &window).await?;
    limit_in_one_step(ctx, &window).await?;
    count_mistakes(ctx).await?;
    replay(ctx).await?;
    compare(ctx).await?;
    guess_passwords(ctx).await?;
    block_an_address(ctx).await?;

    ctx.keys([window, guard.attempts, guard.block, guard.published]);
    Ok(())
}

async fn count_afterward(ctx: &LessonContext) -> Result<(), BoxError> {
    ctx.step(format!(
        "An API allows {QUOTA} requests a minute. The obvious code reads the caller's counter, compares it, and counts:"
    ))
    .await?;
    ctx.function("by_get_and_incr");

    let guess = ctx
        .step(format!(
            "{CLIENTS} requests come at the same moment. In the worst case, all of them read before the first one counts."
        ))
        .predict("How many are admitted?", [&QUOTA.to_string(), &(QUOTA + 1).to_string(), &CLIENTS.to_string()])
        .await?;
    ctx.announce(format!("{CLIENTS} clients send GET and INCR. Then UNLINK removes the counter."));
    let admitted = admitted_at_once(Way::ByHand, ctx.target(), CLIENTS, QUOTA).await?;
    guess.answer(admitted)?;
    ctx.check_eq("all 20 requests were admitted", &admitted, &CLIENTS)?;
    Ok(())
}

async fn lose_the_ttl(ctx: &LessonContext, window: &str) -> Result<(), BoxError> {
    let mut redis = ctx.redis();
    ctx.step(
        "INCR alone counts and reads in one step. But the counter must end with its minute, so the client that gets 1 also sends \
         EXPIRE. Here that client dies before:",
    )
    .await?;
    let count: u32 = redis::cmd("INCR").arg(window).query_async(&mut redis).await?;
    // The client dies here. EXPIRE is never sent.
    let ttl = redis.pttl(window).await?;
    ctx.check(
        "the counter never expires: one day this caller reaches the limit, and is refused forever",
        count == 1 && ttl.raw() == -1,
    )?;
    ctx.start_clean(&[window.to_owned()]).await?;
    Ok(())
}

async fn limit_in_one_step(ctx: &LessonContext, window: &str) -> Result<(), BoxError> {
    ctx.step(
        "So a limiter is one script. A window begins with the first request, and ends when its key expires. One call can check \
         several limits, such as 10 a second and 1,000 a day, and counts in all of them or in none. With 'peek', \
         it only looks.",
    )
    .await?;
    ctx.script(&lua(&fixed_window::DECIDE).whole()).await?;

    let mut redis = ctx.redis();
    let limits = [Limit::new("minute", 3, MINUTE)];
    let limiter = FixedWindow::new(ctx.redis(), ctx.prefix(), &limits, IfUnreachable::Refuse)?;
    let guess = ctx
        .step(
            "The limiter is FixedWindow, with Limit::new(\"minute\", 3, MINUTE). A caller makes four requests. At the end, the \
             counter gets a TTL of a day, and you find it in Redis Insight.",
        )
        .predict("What does the counter say after the four requests?", ["1", "3", "4"])
        .await?;
    let mut decisions = Vec::new();
    for _ in 0..4 {
        decisions.push(limiter.admit("api_key").await?);
    }
    let count = redis.get_int(window).await?;
    let left = redis.pttl(window).await?.raw();
    redis.expire(window, KEPT).await?;
    guess.answer(count.unwrap_or_default())?;
    ctx.check(
        "three were counted, and the minute goes on",
        count == Some(3) && (1..=60_000).contains(&left),
    )?;
    let remaining: Vec<u32> = decisions.iter().map(|decision| decision.remaining).collect();
    let refused: Vec<bool> = decisions.iter().map(|decision| !decision.admitted).collect();
    ctx.check_eq("two more are left, one, none, and none", &remaining, &vec![2, 1, 0, 0])?;
    ctx.check_eq(
        "the fourth request is refused, and wrote nothing",
        &refused,
        &vec![false, false, false, true],
    )?;
    ctx.check(
        "it learns when to try again: Retry-After is the time that is left, in whole seconds",
        decisions.last().is_some_and(|last| last.retry_after.is_some()),
    )?;
    ctx.check(
        "the refusal wrote nothing, and the minute goes on",
        count == Some(3) && (1..=60_000).contains(&left),
    )?;
    use_increx(ctx).await
}

/// The same in one command, on servers that have it.
async fn use_increx(ctx: &LessonContext) -> Result<(), BoxError> {
    let mut redis = ctx.redis();
    let key = key_of(ctx.prefix(), "other_key", "minute")?;
    let what = "Newer servers do this for a single limit in one command. INCREX counts up to a bound, and gives a TTL to a key \
                that has none.";
    if !ctx.can("INCREX").await {
        ctx.step(what).await?;
        ctx.skip(INCREX);
        return Ok(());
    }
    ctx.step(what).await?;
    let mut increx = redis::cmd("INCREX");
    increx.arg(&key).arg("BYINT").arg(1).arg("UBOUND").arg(3).arg("PX").arg(60_000).arg("ENX");
    let [count, added]: [u32; 2] = increx.query_async(&mut redis).await?;
    ctx.check("INCREX admits the first request, as the script does", (count, added) == (1, 1))?;
    ctx.start_clean(&[key]).await?;
    Ok(())
}

async fn count_mistakes(ctx: &LessonContext) -> Result<(), BoxError> {
    let died = CALLERS.div_ceil(mistakes::DIES);
    ctx.step(format!(
        "Now both mistakes beside the script. First {CLIENTS} requests at the same moment. Then the first requests of {CALLERS} \
         callers, where every fourth client dies after its first round trip.",
    ))
    .await?;
    ctx.announce("By hand: GET, INCR, EXPIRE. With the script: EVALSHA. Then PTTL reads the counters, and UNLINK removes them.");
    let mut requests =
        Table::new("Requests at the same moment", &["approach", "limit", "admitted", "too many"]);
    let mut clients =
        Table::new("Clients that die", &["approach", "callers", "died", "counters without end"]);
    let mut results = Vec::new();
    let rows = [
        (Way::ByHand, ["GET, compare, INCR", "INCR, then EXPIRE"]),
        (Way::Script, ["one script", "one script"]),
    ];
    for (way, [counting, ending]) in rows {
        let (admitted, endless) = tokio::try_join!(
            admitted_at_once(way, ctx.target(), CLIENTS, QUOTA),
            counters_without_end(way, ctx.target(), CALLERS)
        )?;
        let numbers = [QUOTA as usize, admitted, admitted.saturating_sub(QUOTA as usize)];
        requests = requests.labeled(counting, numbers);
        clients = clients.labeled(ending, [CALLERS, died, endless]);
        results.push((admitted, endless));
    }
    ctx.table(requests);
    ctx.table(clients);
    ctx.check_eq(
        "by hand, all were admitted, and each death left a counter without end",
        &results[0],
        &(CLIENTS, died),
    )?;
    ctx.check_eq("the script admitted five, and left none", &results[1], &(QUOTA as usize, 0))?;
    Ok(())
}

async fn replay(ctx: &LessonContext) -> Result<(), BoxError> {
    ctx.step(
        "A fixed window forgets everything at its end. A caller can use the whole limit just before the end, and again just after it. \
         Three other limiters remember more. A sliding log keeps the time of each request for a minute. A sliding counter keeps the \
         counts of two windows and weights the older one. A token bucket holds tokens, which come back one at a time, and each \
         request takes one. This is its script. It keeps only one time: when the bucket is full again.",
    )
    .await?;
    ctx.script(&lua(&token_bucket::DECIDE).whole()).await?;

    let limits = [Limit::new("bucket", 3, MINUTE)];
    let limiter = TokenBucket::new(ctx.redis(), ctx.prefix(), &limits, IfUnreachable::Refuse)?;
    ctx.step("This bucket holds three tokens, so one comes back every 20 seconds. A caller takes two:")
        .await?;
    let first = limiter.admit("api_key").await?;
    let second = limiter.admit("api_key").await?;
    ctx.check("two tokens were left, and then one", (first.remaining, second.remaining) == (2, 1))?;
    ctx.start_clean(&[key_of(ctx.prefix(), "api_key", "bucket")?]).await?;

    let times = traffic::at_window_edges();
    ctx.step(format!(
        "The same {} requests of seven minutes go through each limiter, with {} a minute allowed. You don't wait seven minutes: a few \
         lines before each script give it the time of the recorded request.",
        times.len(),
        traffic::QUOTA,
    ))
    .await?;
    ctx.announce("Each request is an EVALSHA (the first one an EVAL). UNLINK cleans up, and MEMORY USAGE reads what a caller takes.");
    let header = ["limiter", "admitted", "worst minute", "worst 6 s", "kept", "trips each"];
    let mut table = Table::new("The same traffic", &header);
    let measured = traffic::replay(ctx.target(), &times).await?;
    for measure in &measured {
        let numbers = [measure.admitted, measure.worst_minute, measure.worst_six_seconds];
        let cells = numbers.map(|number| number.to_string()).into_iter();
        let cells = cells.chain([bytes(measure.bytes), measure.round_trips.to_string()]);
        table = table.labeled(measure.limiter, cells);
    }
    ctx.table(table);
    ctx.say(
        "The worst minute is what a backend has to stand over time. The worst six seconds are what hits it at once. Only the log \
         keeps the limit in every minute, and it pays with an entry for each request.",
    );
    check_traffic(ctx, &measured)
}

fn check_traffic(ctx: &LessonContext, measured: &[Measure; 5]) -> Result<(), BoxError> {
    let [fixed, log, counter, large, small] = measured;
    let most = traffic::QUOTA as usize;
    let in_six_seconds = most + most / 10;
    ctx.check("each decision is one round trip", measured.iter().all(|measure| measure.round_trips == 1))?;
    ctx.check(
        "fixed window: up to twice the limit, within six seconds",
        (most + 1..=2 * most).contains(&fixed.worst_six_seconds) && fixed.worst_minute <= 2 * most,
    )?;
    ctx.check_eq("sliding log: never more than the limit in any minute", &log.worst_minute, &most)?;
    // Of the older window, a tenth falls out in a tenth of the time.
    ctx.check(
        format!(
            "sliding counter: at most {in_six_seconds} in six seconds, fewer than {} in a minute",
            2 * most
        ),
        counter.worst_six_seconds <= in_six_seconds && counter.worst_minute < 2 * most,
    )?;
    ctx.check(
        "token bucket: at most its tokens, and those that come back meanwhile",
        large.worst_six_seconds <= most + 2
            && large.worst_minute < 2 * most
            && small.worst_six_seconds <= 10 + 2
            && small.worst_minute < 10 + most,
    )?;
    Ok(())
}

async fn compare(ctx: &LessonContext) -> Result<(), BoxError> {
    let approaches = Limiting::all(ctx.can("INCREX").await);
    ctx.step(format!(
        "What does it cost? The requests of {COMPARED_CALLERS} callers, 50 at a time over one connection, are all admitted, so each \
         of them writes. The first row only counts. The second one counts in a script of one line: that is the cost of any script. \
         The limiters run two to five commands in theirs. A single request spends most of its time on the way, and there all are \
         alike: one round trip.",
    ))
    .await?;
    let requests = ctx.fit("requests", COMPARED_REQUESTS, limiting::AT_A_TIME, 0.9);
    let requests = Requests::new(ctx.prefix(), COMPARED_CALLERS, requests);
    ctx.compare(Comparison { title: "Limiters", approaches: &approaches, input: &requests }).await?;
    ctx.start_clean(&requests.keys()?).await?;
    Ok(())
}

async fn guess_passwords(ctx: &LessonContext) -> Result<(), BoxError> {
    let free = mistakes::FREE.get() as usize;
    ctx.step(format!(
        "Logins need a limit, too: only so many may fail. The obvious code checks whether the address is blocked, checks the \
         password, and counts the failure. {CLIENTS} guesses come at the same moment, and {free} may fail:",
    ))
    .await?;
    ctx.function("guess_by_hand");
    ctx.announce("By hand: EXISTS, INCR, SETEX. With the script: EVALSHA and SET. Then UNLINK cleans up.");
    let mut table =
        Table::new("Guesses at the same moment", &["attempts", "may fail", "passwords checked", "too many"]);
    let mut results = Vec::new();
    for (way, label) in [(Way::ByHand, "counted when they fail"), (Way::Script, "counted when they begin")] {
        let checked = guesses_at_once(way, ctx.target(), CLIENTS).await?;
        table = table.labeled(label, [free, checked, checked.saturating_sub(free)]);
        results.push(checked);
    }
    ctx.table(table);
    ctx.check_eq("counted afterward, every guess gets through", &results[0], &CLIENTS)?;
    ctx.check_eq("counted before, five do", &results[1], &free)?;
    Ok(())
}

async fn block_an_address(ctx: &LessonContext) -> Result<(), BoxError> {
    ctx.step("This script counts an attempt before the password is checked. A success takes it back.")
        .await?;
    ctx.script(&lua(&ATTEMPT).whole()).await?;
    ctx.say("Its keys are on one node of a cluster. Firewalls read another key, blocked_ip, so when a pause begins, the client writes that key, and then tells the guard:");
    ctx.script(&lua(&PUBLISHED).contract()).await?;

    let (mut redis, mut untraced) = (ctx.redis(), ctx.target().connection());
    let quiet = LoginGuard::new(untraced.clone(), ctx.prefix());
    let guard = LoginGuard::new(ctx.redis(), ctx.prefix());
    let keys = guard.keys(Guarded::Address(ADDRESS))?;
    own_keys::unlink(&mut untraced, &[&keys.attempts, &keys.block, &keys.published]).await?;
    try_join_all((1..mistakes::FREE.get()).map(|_| quiet.attempt(ADDRESS, None)).collect::<Vec<_>>()).await?;
    ctx.step("One address has failed four times. Here are its fifth attempt, and the sixth, which comes right after it:").await?;
    let (fifth, sixth) = try_join(guard.attempt(ADDRESS, None), guard.attempt(ADDRESS, None)).await?;
    ctx.announce("Before this, UNLINK cleaned up, and EVALSHA counted four attempts.");
    let second = Duration::from_secs(1);
    ctx.check_eq(
        "the fifth is allowed, and begins a pause of a second",
        &fifth,
        &Attempt::Allowed { left: 0, pause: second },
    )?;
    ctx.check(
        "the sixth is blocked before its password is checked",
        matches!(sixth, Attempt::Blocked { .. }),
    )?;

    let failures = ctx.fit("more failures", 8, 4, 5.0);
    ctx.step(
        "Each further failure doubles the pause, up to a quarter of an hour. You don't wait: the lesson deletes the block, as the \
         server does when the pause is over. The last pause then gets a day, so that you find it in Redis Insight.",
    )
    .await?;
    let mut pauses = Vec::new();
    for _ in 0..failures {
        untraced.unlink(&keys.block).await?;
        if let Attempt::Allowed { pause, .. } = quiet.attempt(ADDRESS, None).await? {
            pauses.push(pause.as_secs());
        }
    }
    let counted = redis.get_int(&keys.attempts).await?;
    let left = redis.pttl(&keys.published).await?.raw();
    redis.expire(&keys.block, KEPT).await?;
    redis.expire(&keys.published, KEPT).await?;
    ctx.announce("The loop sends UNLINK, EVALSHA, and SET.");
    let attempts: Vec<String> = (6..6 + failures).map(|attempt| attempt.to_string()).collect();
    let header: Vec<&str> = std::iter::once("failure").chain(attempts.iter().map(String::as_str)).collect();
    let cells = std::iter::once("pause in s".to_owned()).chain(pauses.iter().map(u64::to_string));
    ctx.table(Table::new("Pauses", &header).row(cells));
    let doubled: Vec<u64> = (1..=failures).map(|failure| 1 << failure).collect();
    ctx.check_eq("twice as long each time", &pauses, &doubled)?;
    ctx.check_eq("all failures were counted", &counted, &Some((5 + failures).cast_signed()))?;
    let pause = doubled.last().map_or(0, |seconds| isize::try_from(seconds * 1000).unwrap_or_default());
    ctx.check("most of the last pause is left", (pause - pause / 8..=pause).contains(&left))?;
    ctx.say(
        "An address alone is not enough. A thousand addresses can try one account, and an attacker with an account of their own can \
         log in between two guesses to take failures back. So pass the account, too, and the guard counts both. Its rules for \
         accounts are milder, because anyone can fail in another person's name.",
    );
    Ok(())
}

/// The key of a limit that is the first one of its limiter.
fn key_of(prefix: &str, caller: &str, limit: &str) -> Result<String, KeyError> {
    Ok(Key::new(prefix, "rate_limit", &[caller, limit])?.as_str().to_owned())
}
