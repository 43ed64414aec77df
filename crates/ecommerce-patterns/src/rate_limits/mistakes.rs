//! Ways to count requests and failed logins: by hand, and by one script.

use std::net::{IpAddr, Ipv4Addr};
use std::num::NonZeroU32;
use std::time::Duration;

use lab_connection::{Connection, Target, own_keys};
use lab_runner::BoxError;
use lab_runner::concurrent::count_at_once;
use patterns::fixed_window::FixedWindow;
use patterns::key::KeyError;
use patterns::limit::{IfUnreachable, Limit, LimitError};
use patterns::login_guard::{Attempt, Guarded, LoginGuard, LoginRules};
use redis::{AsyncTypedCommands, RedisResult};
use tokio::sync::Barrier;

use super::{MINUTE, key_of};

/// The failures after which an address is blocked.
pub(super) const FREE: NonZeroU32 = NonZeroU32::new(5).unwrap();
/// Every so many clients, one dies after its first round trip.
pub(super) const DIES: usize = 4;
/// The address that guesses.
const ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::new(203, 0, 113, 8));

/// How something is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// In several commands.
    ByHand,
    /// In one script.
    Script,
}

/// Every key that this file writes.
pub(super) fn keys(target: &Target) -> Result<Vec<String>, BoxError> {
    let mut keys: Vec<String> =
        (0..=super::CALLERS).map(|caller| counter(target, caller)).collect::<Result<_, _>>()?;
    let guard = LoginGuard::new(target.connection(), target.prefix()).keys(Guarded::Address(ADDRESS))?;
    keys.extend([guard.attempts, guard.block, guard.published]);
    Ok(keys)
}

/// The counter of a caller. Caller 0 makes many requests, each other one its first.
fn counter(target: &Target, caller: usize) -> Result<String, KeyError> {
    key_of(target.prefix(), &format!("caller-{caller}"), "minute")
}

fn limiter(target: &Target, quota: u32) -> Result<FixedWindow<Connection>, LimitError> {
    let limit = Limit::new("minute", quota, MINUTE);
    FixedWindow::new(target.connection(), target.prefix(), &[limit], IfUnreachable::Refuse)
}

/// Lets one caller make so many requests at the same moment. Returns how many are admitted.
pub async fn admitted_at_once(
    way: Way,
    target: &Target,
    clients: usize,
    quota: u32,
) -> Result<usize, BoxError> {
    let (mut redis, counter) = (target.connection(), counter(target, 0)?);
    let (barrier, limiter, limit) = (Barrier::new(clients), limiter(target, quota)?, i64::from(quota));
    let admitted = count_at_once(clients, async |_| -> Result<bool, BoxError> {
        match way {
            Way::ByHand => Ok(by_get_and_incr(redis.clone(), &counter, limit, &barrier).await?),
            Way::Script => Ok(limiter.admit("caller-0").await?.admitted),
        }
    })
    .await?;
    redis.unlink(&counter).await?;
    Ok(admitted)
}

async fn by_get_and_incr(
    mut redis: Connection,
    counter: &str,
    limit: i64,
    barrier: &Barrier,
) -> RedisResult<bool> {
    let count: Option<i64> = redis::cmd("GET").arg(counter).query_async(&mut redis).await?;
    // All clients have read when the barrier opens.
    barrier.wait().await;
    let admitted = count.unwrap_or(0) < limit;
    if admitted {
        redis::cmd("INCR").arg(counter).exec_async(&mut redis).await?;
    }
    Ok(admitted)
}

/// Counts the first request of each caller. Returns how many counters have no end.
pub async fn counters_without_end(way: Way, target: &Target, callers: usize) -> Result<usize, BoxError> {
    let (mut redis, limiter) = (target.connection(), limiter(target, 100)?);
    let keys: Vec<String> = (1..=callers).map(|caller| counter(target, caller)).collect::<Result<_, _>>()?;
    let endless = count_at_once(callers, async |caller| -> Result<bool, BoxError> {
        let key = &keys[caller];
        match way {
            Way::ByHand => by_incr_and_expire(redis.clone(), key, caller.is_multiple_of(DIES)).await?,
            // The client's first round trip is its only one.
            Way::Script => drop(limiter.admit(&format!("caller-{}", caller + 1)).await?),
        }
        Ok(redis.clone().pttl(key).await?.raw() == -1)
    })
    .await?;
    own_keys::unlink(&mut redis, &keys).await?;
    Ok(endless)
}

async fn by_incr_and_expire(mut redis: Connection, counter: &str, dies: bool) -> RedisResult<()> {
    let count: u32 = redis::cmd("INCR").arg(counter).query_async(&mut redis).await?;
    if count == 1 && !dies {
        redis.expire(counter, 60).await?;
    }
    Ok(())
}

/// Lets one address make so many guesses at the same moment. Returns how many passwords are checked.
pub async fn guesses_at_once(way: Way, target: &Target, guesses: usize) -> Result<usize, BoxError> {
    let mut redis = target.connection();
    // A pause that no guess outlasts.
    let pause = Duration::from_mins(15);
    let rules = LoginRules::new(FREE, pause, pause, Duration::from_hours(24))?;
    let guard = LoginGuard::new(redis.clone(), target.prefix()).with_rules(rules, LoginRules::OF_ACCOUNTS);
    let (keys, barrier) = (guard.keys(Guarded::Address(ADDRESS))?, Barrier::new(guesses));
    let checked = count_at_once(guesses, async |_| -> Result<bool, BoxError> {
        match way {
            Way::ByHand => Ok(guess_by_hand(redis.clone(), &keys.attempts, &keys.published, &barrier).await?),
            Way::Script => Ok(matches!(guard.attempt(ADDRESS, None).await?, Attempt::Allowed { .. })),
        }
    })
    .await?;
    own_keys::unlink(&mut redis, &[&keys.attempts, &keys.block, &keys.published]).await?;
    Ok(checked)
}

/// Returns whether the password, which is wrong, is checked.
async fn guess_by_hand(
    mut redis: Connection,
    failures: &str,
    block: &str,
    barrier: &Barrier,
) -> RedisResult<bool> {
    let blocked = redis.exists(block).await?;
    // All clients have looked when the barrier opens.
    barrier.wait().await;
    if blocked {
        return Ok(false);
    }
    // The password is checked here.
    let count: u32 = redis::cmd("INCR").arg(failures).query_async(&mut redis).await?;
    if count >= FREE.get() {
        redis.set_ex(block, "1", 60).await?;
    }
    Ok(true)
}
