//! Holders that are stopped for longer than their TTL, and write anyway.

use std::time::Duration;

use lab_connection::{Connection, Target, own_keys};
use lab_runner::concurrent::count_at_once;
use lab_runner::{BoxError, labeled};
use patterns::fence::{Fence, FenceError};
use patterns::lock::{Locks, Token};
use redis::AsyncTypedCommands;

labeled! {
    /// Whether the record refuses late writes.
    pub enum Way {
        /// It takes every write.
        LockAlone => "lock alone",
        /// It refuses older numbers.
        LockAndFence => "lock and fence",
    }
}

fn name(holder: usize) -> String {
    format!("stopped-{holder}")
}

/// Every key that this file writes.
pub(super) fn keys(target: &Target, holders: usize) -> Result<Vec<String>, BoxError> {
    let locks = Locks::new(target.connection(), target.prefix(), "");
    let records = Fence::new(target.connection(), target.prefix());
    let mut keys = Vec::new();
    for holder in 0..holders {
        keys.extend(locks.keys(&name(holder))?);
        keys.push(records.key(&name(holder))?.as_str().to_owned());
    }
    Ok(keys)
}

/// Stops so many holders for longer than their TTL, while another takes over. Returns how many records end with the older value.
pub async fn stale_writes(
    way: Way,
    target: &Target,
    holders: usize,
    ttl: Duration,
) -> Result<usize, BoxError> {
    let stale = count_at_once(holders, |holder| write_after_a_pause(way, target, holder, ttl)).await?;
    own_keys::unlink(&mut target.connection(), &keys(target, holders)?).await?;
    Ok(stale)
}

/// Says whether the older value is left.
async fn write_after_a_pause(
    way: Way,
    target: &Target,
    holder: usize,
    ttl: Duration,
) -> Result<bool, BoxError> {
    let name = name(holder);
    let first = Locks::new(target.connection(), target.prefix(), "first").with_ttl(ttl);
    let second = Locks::new(target.connection(), target.prefix(), "second").with_ttl(ttl);

    let held = first.acquire(&name, &Token::random()?, Duration::from_secs(5)).await?;
    // The first holder is stopped here, for longer than its TTL. The second one gets the lock, and works.
    let next = second.acquire(&name, &Token::random()?, Duration::from_secs(5)).await?;
    write(way, target, &name, next.number(), "newer").await?;
    second.release(&name, next.token()).await?;
    // The first one goes on where it was.
    write(way, target, &name, held.number(), "older").await?;
    read(target, &name).await.map(|value| value == "older")
}

/// Writes a value, with the number of the lock if there is a fence.
pub(super) async fn write(
    way: Way,
    target: &Target,
    name: &str,
    number: u64,
    value: &str,
) -> Result<(), BoxError> {
    let records = Fence::new(target.connection(), target.prefix());
    match way {
        Way::LockAlone => {
            let mut redis: Connection = target.connection();
            redis.hset(records.key(name)?.as_str(), "value", value).await?;
        }
        Way::LockAndFence => match records.write(name, number, &[("value", value)]).await {
            // Refused: somebody newer has written.
            Ok(()) | Err(FenceError::Stale { .. }) => {}
            Err(error) => return Err(error.into()),
        },
    }
    Ok(())
}

/// The value that is left.
pub(super) async fn read(target: &Target, name: &str) -> Result<String, BoxError> {
    let records = Fence::new(target.connection(), target.prefix());
    let value = target.connection().hget(records.key(name)?.as_str(), "value").await?;
    Ok(value.unwrap_or_default())
}
