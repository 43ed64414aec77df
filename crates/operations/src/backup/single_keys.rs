//! Keys that are saved and restored one by one, with the time at which they expire.

use redis::aio::ConnectionLike;
use redis::{ErrorKind, RedisResult};

/// A moment before this one, in milliseconds since 1970, is in 2001 or earlier. It was probably given in seconds.
const EARLIEST: i64 = 1_000_000_000_000;

/// A key as it was saved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SavedKey {
    /// Its name.
    pub name: String,
    /// What DUMP said.
    pub dump: Vec<u8>,
    /// When it expires, in milliseconds since 1970; -1 for never.
    pub expires: i64,
}

/// What became of saved keys.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Restored {
    /// How many are there now.
    pub restored: usize,
    /// How many have expired since they were saved.
    pub expired: usize,
    /// Those that are not there for another reason, with the reason.
    pub refused: Vec<(String, String)>,
}

/// Saves these keys. One that has expired since somebody listed it is left out.
pub async fn save_keys(
    names: &[String],
    backup: &mut (impl ConnectionLike + Send),
) -> RedisResult<Vec<SavedKey>> {
    let mut saved = Vec::new();
    for name in names {
        let expires: i64 = redis::cmd("PEXPIRETIME").arg(name).query_async(backup).await?;
        let dump: Option<Vec<u8>> = redis::cmd("DUMP").arg(name).query_async(backup).await?;
        if let (Some(dump), -1..) = (dump, expires) {
            saved.push(SavedKey { name: name.clone(), dump, expires });
        }
    }
    Ok(saved)
}

/// Restores saved keys, and replaces none.
pub async fn restore_keys(
    keys: &[SavedKey],
    live: &mut (impl ConnectionLike + Send),
) -> RedisResult<Restored> {
    let mut found = Restored::default();
    for key in keys {
        match restore_key(key, live).await {
            Ok(true) => found.restored += 1,
            Ok(false) => found.expired += 1,
            Err(error) if error.is_connection_dropped() || error.is_timeout() => return Err(error),
            Err(error) => found.refused.push((key.name.clone(), error.to_string())),
        }
    }
    Ok(found)
}

/// Returns whether the key is there: RESTORE says OK to one that has expired, too.
async fn restore_key(key: &SavedKey, live: &mut (impl ConnectionLike + Send)) -> RedisResult<bool> {
    if (0..EARLIEST).contains(&key.expires) {
        return Err((ErrorKind::Client, "The key expires in the last century: are these seconds?").into());
    }
    let mut restore = redis::cmd("RESTORE");
    restore.arg(&key.name).arg(key.expires.max(0)).arg(&key.dump).arg("ABSTTL");
    restore.exec_async(live).await?;
    redis::cmd("EXISTS").arg(&key.name).query_async(live).await
}
