use redis::aio::ConnectionLike;
use redis::{RedisError, Value};

/// How a line of a cart expires on its own. Both ways give the same answers: a line whose deadline has passed counts
/// nowhere, whether or not Redis has freed its memory.
///
/// A deadline belongs to a line. Adding more units keeps it, or replaces it if a new one is given.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum ItemExpiry {
    /// TTLs of Hash fields (`HPEXPIREAT`): Redis 7.4 and newer, Valkey 9 and newer.
    FieldTtl,
    /// A companion Sorted Set of deadlines, compared with the server's clock by every script. Works everywhere.
    #[default]
    DeadlineSet,
}

impl ItemExpiry {
    /// The best way this server has, asked with `COMMAND INFO`: version numbers do not tell, since Valkey 9 calls itself
    /// `redis_version:7.2.4`. One round trip.
    pub async fn of_server(connection: &mut impl ConnectionLike) -> Result<Self, RedisError> {
        let known: Vec<Value> =
            redis::cmd("COMMAND").arg("INFO").arg("HPEXPIREAT").query_async(connection).await?;
        let known = known.first().is_some_and(|info| !matches!(info, Value::Nil));
        Ok(if known { Self::FieldTtl } else { Self::DeadlineSet })
    }
}
