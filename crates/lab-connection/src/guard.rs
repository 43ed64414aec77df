//! The guard of other people's data.
//!
//! Lessons write plain key names such as `user:1`, so they must never touch other people's. A database is ours when
//! it is empty or has our marker. Anything else is refused, with the choices. With `--prefix` the same holds for
//! the keys that begin with the prefix, and the rest of the database is left alone.

use redis::RedisResult;

use crate::connection::Connection;
use crate::failure::{Class, Failure};
use crate::own_keys;

/// The key that says: this database (or prefix) holds lesson data and nothing else. It comes after the prefix.
pub const MARKER: &str = "redis-lab:marker";

/// One step, so that nobody can write between the look and the mark.
const MARK_IF_EMPTY: &str = "
if redis.call('EXISTS', KEYS[1]) == 1 then return 1 end
if redis.call('DBSIZE') > 0 then return 0 end
redis.call('SET', KEYS[1], ARGV[1])
return 1";

/// The text of the marker, for people who find it in Redis Insight.
const MARKER_TEXT: &str = "Lesson data of the Redis learning environment: delete at will.";

/// Whether the keys under `prefix` (all keys, when it is empty) may be written, marking them ours if they may.
pub async fn may_write(connection: &mut Connection, prefix: &str) -> RedisResult<bool> {
    let marker = format!("{prefix}{MARKER}");
    let cluster = matches!(connection, Connection::Cluster(_));
    if prefix.is_empty() && !cluster {
        return redis::cmd("EVAL")
            .arg(MARK_IF_EMPTY)
            .arg(1)
            .arg(&marker)
            .arg(MARKER_TEXT)
            .query_async(connection)
            .await;
    }
    if redis::cmd("EXISTS").arg(&marker).query_async(connection).await? {
        return Ok(true);
    }
    // Across nodes, and under a prefix, there is no single step; SCAN finds every key that was there all along.
    let pattern = if prefix.is_empty() { "*".to_owned() } else { format!("{prefix}*") };
    let foreign =
        own_keys::matching(connection, &pattern, 2).await?.into_iter().any(|key| key != marker.as_bytes());
    if !foreign {
        mark(connection, prefix).await?;
    }
    Ok(!foreign)
}

/// Marks the keys under `prefix` as ours again, in case the server evicted the marker.
pub async fn mark(connection: &mut Connection, prefix: &str) -> RedisResult<()> {
    redis::cmd("SET").arg(format!("{prefix}{MARKER}")).arg(MARKER_TEXT).exec_async(connection).await
}

/// The refusal, with the ways on.
#[must_use]
pub fn refusal(place: &str, db: i64, prefix: &str) -> Failure {
    let data = if prefix.is_empty() {
        format!("Database {db} of {place} holds other data.")
    } else {
        format!("Database {db} of {place} holds other data under keys that begin with {prefix}.")
    };
    let why = "The lessons write keys such as user:1 and cart:1, and must not overwrite other people's.";
    Failure::new(Class::ForeignData, data, why)
        .try_next("--db N for an empty database (a cluster has only database 0)")
        .try_next("--prefix NAME: to put the lessons' keys under a name of their own")
        .try_next("--server valkey-9.1 for a private server that is removed afterward")
}
