//! How far a primary and its replicas are, and waiting until they agree.

use std::time::Duration;

use redis::aio::ConnectionLike;
use redis::{RedisResult, Value};

/// How long a replica may take to catch up before we say so.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// What a server says of its replication.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Replication {
    /// Replicas that are connected to it.
    pub replicas: u64,
    /// Bytes of the stream of writes: produced, on a primary; received and applied, on a replica.
    pub offset: u64,
    /// For a replica: whether it is connected to its primary.
    pub linked: bool,
}

impl Replication {
    /// Asks by INFO. A server that does not tell seems to have no replicas.
    pub async fn of(connection: &mut (impl ConnectionLike + Send)) -> RedisResult<Self> {
        let reply: Value = redis::cmd("INFO").arg("replication").query_async(connection).await?;
        Ok(redis::from_redis_value::<String>(reply).map(|info| Self::read(&info)).unwrap_or_default())
    }

    fn read(info: &str) -> Self {
        let field = |name: &str| {
            info.lines()
                .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
                .unwrap_or_default()
                .trim()
        };
        let number = |name: &str| field(name).parse::<u64>().ok();
        Self {
            replicas: number("connected_slaves").unwrap_or_default(),
            // A replica has both: the one that it applied, and the one that it would hand on.
            offset: number("slave_repl_offset").or_else(|| number("master_repl_offset")).unwrap_or_default(),
            linked: field("master_link_status") == "up",
        }
    }
}

/// WAIT: how many replicas have all writes that were made **on this connection**, after at most `retry`.
pub async fn wait(
    replicas: u64,
    retry: Duration,
    connection: &mut (impl ConnectionLike + Send),
) -> RedisResult<u64> {
    let milliseconds = u64::try_from(retry.as_millis()).unwrap_or(u64::MAX);
    redis::cmd("WAIT").arg(replicas).arg(milliseconds).query_async(connection).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_offset_of_a_replica_is_what_it_applied() {
        let primary = "# Replication\r\nrole:master\r\nconnected_slaves:2\r\nmaster_repl_offset:120\r\n";
        assert_eq!(Replication::read(primary), Replication { replicas: 2, offset: 120, linked: false });
        let replica = "role:slave\r\nmaster_link_status:up\r\nslave_repl_offset:70\r\nconnected_slaves:0\r\nmaster_repl_offset:90\r\n";
        assert_eq!(Replication::read(replica), Replication { replicas: 0, offset: 70, linked: true });
        assert_eq!(Replication::read(""), Replication::default());
    }
}
