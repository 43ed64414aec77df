//! Locks whose client dies between taking them and setting their end.

use lab_connection::{Target, own_keys};
use lab_runner::BoxError;
use lab_runner::concurrent::try_join_all;
use patterns::key::KeyError;
use redis::AsyncTypedCommands;

use super::key_of;

/// Every so many clients, one dies.
pub(super) const DIES: usize = 4;

/// Every key that this file writes.
pub(super) fn keys(prefix: &str, clients: usize) -> Result<Vec<String>, KeyError> {
    (0..clients).map(|client| key_of(prefix, &format!("invoice-{client}"))).collect()
}

/// Lets each client take a lock of its own. Returns how many locks have no end.
pub async fn locks_without_end(target: &Target, clients: usize) -> Result<usize, BoxError> {
    let (mut redis, keys) = (target.connection(), keys(target.prefix(), clients)?);
    let takes = keys.iter().enumerate().map(|(client, key)| {
        let mut redis = redis.clone();
        async move {
            redis.set_nx(key, "token").await?;
            if client % DIES != 0 {
                redis.expire(key, 30).await?;
            }
            redis.pttl(key).await
        }
    });
    let ttls = try_join_all(takes.collect::<Vec<_>>()).await?;
    own_keys::unlink(&mut redis, &keys).await?;
    Ok(ttls.into_iter().filter(|ttl| ttl.raw() == -1).count())
}
