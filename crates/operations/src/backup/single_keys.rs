//! Keys that are saved and restored one by one, with the time at which they expire.

use redis::RedisResult;
use redis::aio::ConnectionLike;

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

/// Restores saved keys, and replaces none. EXISTS shows whether a key is there: RESTORE says OK to one that has expired, too.
pub async fn restore_keys(
    keys: &[SavedKey],
    live: &mut (impl ConnectionLike + Send),
) -> RedisResult<Restored> {
    let mut found = Restored::default();
    for SavedKey { name, dump, expires } in keys {
        if (0..EARLIEST).contains(expires) {
            found
                .refused
                .push((name.clone(), format!("{expires} ms is in the last century: are these seconds?")));
            continue;
        }
        let mut restore = redis::cmd("RESTORE");
        restore.arg(name).arg((*expires).max(0)).arg(dump).arg("ABSTTL");
        match restore.exec_async(live).await {
            Err(error) if error.is_connection_dropped() || error.is_timeout() => return Err(error),
            Err(error) => found.refused.push((name.clone(), error.to_string())),
            Ok(()) => {
                let there: bool = redis::cmd("EXISTS").arg(name).query_async(live).await?;
                found.restored += usize::from(there);
                found.expired += usize::from(!there);
            }
        }
    }
    Ok(found)
}
