//! Failed logins, and pauses that grow.

use std::net::IpAddr;
use std::time::Duration;

use futures_util::future::try_join;
use lab_connection::Target;
use lab_runner::table::Table;
use lab_runner::{LessonContext, LessonError, Outcome};
use patterns::login_guard::{self, Attempt, GuardKeys, Guarded, LoginGuard};
use redis::AsyncTypedCommands;

use super::failed;
use super::guess::{self, GuardLogin};

/// The failures after which an address is blocked.
const FREE: u32 = guess::FREE.get();
/// Guesses that arrive together.
const GUESSES: usize = 20;
/// The attempt after which the lesson stops: the last pause is 256 s.
const LAST: u32 = FREE + 8;

/// The address of the seeds' keys.
pub(super) const ADDRESS: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(203, 0, 113, 7));

/// The keys that this part writes.
pub(super) fn keys_of(target: &Target) -> Result<Vec<String>, LessonError> {
    let mut keys = Vec::new();
    for address in GuardLogin::ALL.map(GuardLogin::address).into_iter().chain([ADDRESS]) {
        let GuardKeys { attempts, block, published } = keys_of_one(target, address)?;
        keys.extend([attempts, block, published]);
    }
    Ok(keys)
}

/// The keys of the address that is left for Redis Insight.
pub(super) fn keys_of_address(target: &Target) -> Result<GuardKeys, LessonError> {
    keys_of_one(target, ADDRESS)
}

fn keys_of_one(target: &Target, address: IpAddr) -> Result<GuardKeys, LessonError> {
    let guard = LoginGuard::new(target.connection(), target.prefix());
    guard.keys(Guarded::Address(address)).map_err(failed)
}

pub(super) async fn guess_passwords(ctx: &LessonContext, target: &Target) -> Outcome {
    ctx.step(format!(
        "A login is a request that may fail only so often. Break it: look whether the address is blocked, check the password, \
         and count the failure. {GUESSES} guesses arrive together where {FREE} may fail: all of them look before the first has \
         failed. Fix it: an attempt is counted when it begins, in the step that looks at the block, and a success takes it \
         back.",
    )).await?;
    let mut table =
        Table::new("Guessed together", &["attempts", "may fail", "passwords looked at", "too many"]);
    let mut results = Vec::new();
    for guard in GuardLogin::ALL {
        let looked_at = guard.crowd(target, GUESSES).await?;
        let numbers = [FREE as usize, looked_at, looked_at.saturating_sub(FREE as usize)];
        let numbers = numbers.map(|number| number.to_string());
        table = table.row(std::iter::once(guard.label().to_owned()).chain(numbers));
        results.push(looked_at);
    }
    ctx.table(table);
    ctx.check_eq(
        "counted afterwards, every guess gets through; counted before, five",
        &results,
        &vec![GUESSES, FREE as usize],
    )?;
    ctx.start_clean(&keys_of(target)?).await?;
    one_after_the_other(ctx, target).await
}

async fn one_after_the_other(ctx: &LessonContext, target: &Target) -> Outcome {
    let prefix = target.prefix();
    let (quiet, traced) =
        (LoginGuard::new(ctx.untraced("TODO"), prefix), LoginGuard::new(ctx.redis(), prefix));
    let keys = keys_of_address(target)?;
    // The server learns the scripts, so that the page shows one command for each step.
    for _ in 0..FREE {
        let _ = quiet.attempt(ADDRESS, None).await.map_err(failed)?;
    }
    quiet.unblock(Guarded::Address(ADDRESS)).await.map_err(failed)?;
    ctx.step("This script takes an attempt:").await?;
    ctx.listing(login_guard::scripts()[0].1.source());
    ctx.step(
        "One address, wrong every time. After the fifth failure it has to pause. Here are the fifth attempt and the one that \
         comes too early. The guard decides by keys in one slot, in one step. When a pause begins, two more steps publish it \
         as blocked_ip, which a firewall can read:",
    ).await?;
    for _ in 1..FREE {
        let _ = quiet.attempt(ADDRESS, None).await.map_err(failed)?;
    }
    // One right behind the other: the first pause is only a second.
    let (fifth, sixth) =
        try_join(traced.attempt(ADDRESS, None), traced.attempt(ADDRESS, None)).await.map_err(failed)?;
    let second = Duration::from_secs(1);
    ctx.check_eq("the fifth is the last", &fifth, &Attempt::Allowed { left: 0, pause: second })?;
    ctx.check(
        "the next is stopped before its password is looked at",
        matches!(sixth, Attempt::Blocked { .. }),
    )?;

    ctx.step(
        "Each further failure doubles the pause, up to a quarter of an hour. The lesson does not wait. It removes the block, as \
         the server does when the pause is over.",
    ).await?;
    let mut redis = ctx.untraced("TODO");
    let mut pauses = vec![second];
    for _ in FREE..LAST {
        redis.unlink(&keys.block).await?;
        if let Attempt::Allowed { pause, .. } = quiet.attempt(ADDRESS, None).await.map_err(failed)? {
            pauses.push(pause);
        }
    }
    let seconds: Vec<u64> = pauses.iter().map(Duration::as_secs).collect();
    let attempts: Vec<String> = (FREE..=LAST).map(|attempt| attempt.to_string()).collect();
    let mut header = vec!["failure"];
    header.extend(attempts.iter().map(String::as_str));
    let row = std::iter::once("pause in s".to_owned()).chain(seconds.iter().map(u64::to_string));
    ctx.table(Table::new("Pauses", &header).row(row));
    ctx.check_eq("twice as long each time", &seconds, &vec![1, 2, 4, 8, 16, 32, 64, 128, 256])?;
    let mut redis = ctx.redis();
    let counted = redis.get(&keys.attempts).await?;
    let left: i64 = redis::cmd("PTTL").arg(&keys.published).query_async(&mut redis).await?;
    ctx.check("thirteen failures, and a pause of four minutes", counted.as_deref() == Some("13"))?;
    ctx.check("most of the pause is left", (240_000..=256_000).contains(&left))?;
    ctx.step(
        "An address alone is not enough. A thousand addresses can try one account, and somebody with an account of their own \
         resets their address by logging in between two guesses. Name the account too, and the guard counts both. The rules \
         for accounts are milder, since anybody can fail in somebody else's name.",
    ).await?;
    Ok(())
}
