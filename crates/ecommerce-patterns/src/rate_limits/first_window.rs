//! A fixed window, command by command.

use lab_connection::Target;
use lab_runner::{LessonContext, Need, Outcome};
use patterns::fixed_window::{self, FixedWindowAlgorithm};
use patterns::limit::Limit;
use redis::AsyncTypedCommands;

use super::{MINUTE, admit, has_increx, key_of, limiter};

/// The requests that the caller has in a minute.
const QUOTA: u32 = 3;

const INCREX: Need = Need { command: "INCREX", available_in: "Redis 8.8 or Valkey 9.2" };

/// The caller of the seeds' key `rate_limit:api_key:minute`.
pub(super) const CALLER: &str = "api_key";

const OTHER_CALLER: &str = "other_key";

/// The keys that this part writes.
pub(super) fn keys_of(target: &Target) -> Vec<String> {
    [CALLER, OTHER_CALLER].map(|caller| key_of(target.prefix(), caller, "minute")).to_vec()
}

pub(super) async fn use_up(ctx: &LessonContext, target: &Target) -> Outcome {
    ctx.step(
        "So a limiter is one script. It reads the counters of all limits, refuses or counts, and the SET that makes a counter \
         gives it its TTL. It answers with the count and what is left of the window. The window begins with the first request \
         and ends with the key. Only the server's clock counts. This is the script:",
    ).await?;
    ctx.listing(fixed_window::scripts()[0].1.source());
    // The server learns the script, so that the page shows one command for each request.
    let limit = Limit::new("minute", QUOTA, MINUTE);
    let quiet = limiter::<_, FixedWindowAlgorithm>(ctx.untraced("TODO"), target.prefix(), limit.clone())?;
    let _ = admit(&quiet, CALLER).await?;
    ctx.start_clean(&keys_of(target)).await?;

    ctx.step(format!("Here somebody may ask {QUOTA} times a minute:")).await?;
    let traced = limiter::<_, FixedWindowAlgorithm>(ctx.redis(), target.prefix(), limit)?;
    let mut decisions = Vec::new();
    for _ in 0..=QUOTA {
        decisions.push(admit(&traced, CALLER).await?);
    }
    let remaining: Vec<u32> = decisions.iter().map(|decision| decision.remaining).collect();
    ctx.check_eq("two more, one more, none, refused", &remaining, &vec![2, 1, 0, 0])?;
    ctx.step(
        "The refusal says how many milliseconds are left of the window. The header Retry-After takes whole seconds: divide, \
         and round up. The refusal has written nothing. A caller who keeps knocking makes the wait no longer, and costs no \
         replication.",
    ).await?;
    let told = decisions.last().is_some_and(|last| !last.admitted && last.retry_after.is_some());
    ctx.check("the fourth is refused, and told how long to wait", told)?;
    let key = key_of(target.prefix(), CALLER, "minute");
    let mut redis = ctx.redis();
    let counted = redis.get(&key).await?;
    let left: i64 = redis::cmd("PTTL").arg(&key).query_async(&mut redis).await?;
    ctx.check("three were counted, and most of the minute is left", counted.as_deref() == Some("3"))?;
    ctx.check("the key ends with its window", (50_000..=60_000).contains(&left))?;
    increx(ctx, target).await
}

/// The same in one command, where there is one.
async fn increx(ctx: &LessonContext, target: &Target) -> Outcome {
    ctx.step(
        "Newer servers can do it in one command, for a single limit: INCREX key BYINT 1 UBOUND 3 PX 60000 ENX counts up to a \
         bound, and gives a TTL to a key that has none. COMMAND INFO tells whether this server has it.",
    ).await?;
    if !has_increx(&mut ctx.redis()).await? {
        ctx.skip(INCREX);
        return Ok(());
    }
    let key = key_of(target.prefix(), OTHER_CALLER, "minute");
    let mut increx = redis::cmd("INCREX");
    increx.arg(&key).arg("BYINT").arg(1).arg("UBOUND").arg(QUOTA).arg("PX").arg(60_000).arg("ENX");
    let [count, added]: [u32; 2] = increx.query_async(&mut ctx.redis()).await?;
    ctx.check("INCREX admits the first as the script does", (count, added) == (1, 1))?;
    ctx.start_clean(&[key]).await
}
