//! Failed logins, and pauses that grow.

use std::net::IpAddr;
use std::time::Duration;

use futures_util::future::try_join;
use lab_runner::table::Facts;
use lab_runner::{Outcome, Page};
use redis::AsyncTypedCommands;
use storefront::Keys;
use storefront::limits::{Attempt, LoginGuard};

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
pub(super) fn keys_of(keys: &Keys) -> Vec<String> {
    GuardLogin::ALL
        .map(GuardLogin::address)
        .into_iter()
        .chain([ADDRESS])
        .flat_map(|address| [keys.failed_login(address), keys.blocked_ip(address)])
        .collect()
}

pub(super) async fn guess_passwords(page: &Page, keys: &Keys) -> Outcome {
    page.say(format!(
        "A login is a request that may fail only so often. Break it: look whether the address is blocked, check the password, \
         and count the failure. {GUESSES} guesses arrive together where {FREE} may fail: all of them look before the first has \
         failed. Fix it: an attempt is counted when it begins, in the step that looks at the block, and a success takes it \
         back.",
    ));
    let mut facts =
        Facts::new("Guessed together", &["attempts", "may fail", "passwords looked at", "too many"]);
    let mut results = Vec::new();
    for guard in GuardLogin::ALL {
        let looked_at = guard.crowd(page.target(), keys, GUESSES).await?;
        let numbers = [FREE as usize, looked_at, looked_at.saturating_sub(FREE as usize)];
        let numbers = numbers.map(|number| number.to_string());
        facts = facts.row(std::iter::once(guard.label().to_owned()).chain(numbers));
        results.push(looked_at);
    }
    page.facts(facts);
    page.check_eq(
        "counted afterwards, every guess gets through; counted before, five",
        &results,
        &vec![GUESSES, FREE as usize],
    )?;
    let others: Vec<String> =
        keys_of(keys).into_iter().filter(|key| !key.contains(&ADDRESS.to_string())).collect();
    page.start_clean(&others).await?;
    one_after_the_other(page, keys).await
}

async fn one_after_the_other(page: &Page, keys: &Keys) -> Outcome {
    let (quiet, traced) =
        (LoginGuard::new(page.quietly(), keys.clone()), LoginGuard::new(page.redis(), keys.clone()));
    page.say(
        "One address, wrong every time. After the fifth failure it has to pause; here are the fifth attempt and the one that \
         comes too early:",
    );
    for _ in 1..FREE {
        let _ = quiet.attempt(ADDRESS, None).await.map_err(failed)?;
    }
    // One right behind the other: the first pause is only a second.
    let (fifth, sixth) =
        try_join(traced.attempt(ADDRESS, None), traced.attempt(ADDRESS, None)).await.map_err(failed)?;
    let second = Duration::from_secs(1);
    page.check_eq("the fifth is the last", &fifth, &Attempt::Allowed { left: 0, pause: second })?;
    page.check(
        "the next is stopped before its password is looked at",
        matches!(sixth, Attempt::Blocked { .. }),
    )?;

    page.say(
        "Each further failure doubles the pause, up to a quarter of an hour. The lesson does not wait: it removes the block, as \
         the server does when the pause is over.",
    );
    let mut redis = page.quietly();
    let mut pauses = vec![second];
    for _ in FREE..LAST {
        redis.unlink(keys.blocked_ip(ADDRESS)).await?;
        if let Attempt::Allowed { pause, .. } = quiet.attempt(ADDRESS, None).await.map_err(failed)? {
            pauses.push(pause);
        }
    }
    let seconds: Vec<u64> = pauses.iter().map(Duration::as_secs).collect();
    let attempts: Vec<String> = (FREE..=LAST).map(|attempt| attempt.to_string()).collect();
    let mut header = vec!["failure"];
    header.extend(attempts.iter().map(String::as_str));
    let row = std::iter::once("pause in s".to_owned()).chain(seconds.iter().map(u64::to_string));
    page.facts(Facts::new("Pauses", &header).row(row));
    page.check_eq("twice as long each time", &seconds, &vec![1, 2, 4, 8, 16, 32, 64, 128, 256])?;
    let mut redis = page.redis();
    let counted = redis.get(keys.failed_login(ADDRESS)).await?;
    let left: i64 = redis::cmd("PTTL").arg(keys.blocked_ip(ADDRESS)).query_async(&mut redis).await?;
    page.check("thirteen failures, and a pause of four minutes", counted.as_deref() == Some("13"))?;
    page.check("most of the pause is left", (240_000..=256_000).contains(&left))?;
    page.say(
        "An address alone is not enough: a thousand addresses can try one account, and somebody with an account of his own \
         resets his address by logging in between two guesses. Name the account too, and the guard counts both, the account \
         by milder rules, since anybody can fail in somebody else's name.",
    );
    Ok(())
}
