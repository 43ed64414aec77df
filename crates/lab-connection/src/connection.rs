//! Standalone and cluster behind one connection type.
//!
//! Settings, on purpose:
//!
//! - `TCP_NODELAY` is on. redis-rs leaves it off, and then a small command can wait 40 ms for Nagle's algorithm.
//! - Connecting gives up after [`CONNECT_TIMEOUT`], an answer after [`RESPONSE_TIMEOUT`]. redis-rs answers after
//!   500 ms with an error, which is too early for a large pipeline or a busy machine.
//! - The shared connection reconnects by itself: a lost link fails the commands in flight (whether they ran is
//!   unknown, so they are not sent again) and is then repaired in the background.
//! - A dedicated connection does not reconnect, because its WATCH or transaction would be lost unnoticed.
//! - On a cluster it is different: redis-rs sends a command whose link was lost once more when the link is back, to
//!   follow a failover, so a write may take effect twice there.
//! - On a cluster, 45 requests are under way at a time; more wait their turn, because redis-rs stands still when slots move
//!   under more of them than its queue has places.
//! - On a cluster, a pipeline may hold keys of any slots: it is sent as one pipeline per slot, all at once. A
//!   transaction may not, because a node can only promise what it does alone (CROSSSLOT).

mod cluster_pipeline;
mod limited_cluster;

use std::time::Duration;

use redis::aio::{ConnectionLike, ConnectionManager, MultiplexedConnection};
use redis::{AsyncConnectionConfig, Client, Cmd, Pipeline, RedisFuture, RedisResult, Value};

pub use limited_cluster::LimitedClusterConnection;

/// How long connecting may take.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long an answer may take.
pub const RESPONSE_TIMEOUT: Duration = Duration::from_secs(10);

/// A connection to one server or to a cluster. Clones share the same socket (or, for a cluster, sockets), and
/// their commands are pipelined onto it; so WATCH, blocking commands and WAIT need a connection of their own, from
/// [`Target::dedicated`](crate::Target::dedicated) or [`Target::blocking`](crate::Target::blocking).
#[derive(Clone)]
pub enum Connection {
    /// One server; reconnects by itself.
    Managed(ConnectionManager),
    /// One server, one socket, never replaced.
    Single(MultiplexedConnection),
    /// A cluster; follows its slots and reconnects by itself.
    Cluster(LimitedClusterConnection),
}

/// To one server, with the timeouts above and without the guard of other people's data: to look at a replica, where
/// nothing may be written, to stall a server, or to play those people, as tests do.
pub async fn unguarded(client: &Client) -> RedisResult<MultiplexedConnection> {
    let config = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(CONNECT_TIMEOUT))
        .set_response_timeout(Some(RESPONSE_TIMEOUT));
    client.get_multiplexed_async_connection_with_config(&config).await
}

impl ConnectionLike for Connection {
    fn req_packed_command<'a>(&'a mut self, cmd: &'a Cmd) -> RedisFuture<'a, Value> {
        match self {
            Self::Managed(connection) => connection.req_packed_command(cmd),
            Self::Single(connection) => connection.req_packed_command(cmd),
            Self::Cluster(connection) => connection.req_packed_command(cmd),
        }
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        pipeline: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        match self {
            Self::Managed(connection) => connection.req_packed_commands(pipeline, offset, count),
            Self::Single(connection) => connection.req_packed_commands(pipeline, offset, count),
            // The replies that a transaction skips are those before EXEC's.
            Self::Cluster(connection) => match offset {
                0 => Box::pin(cluster_pipeline::send(connection, pipeline)),
                _ => connection.req_packed_commands(pipeline, offset, count),
            },
        }
    }

    fn get_db(&self) -> i64 {
        match self {
            Self::Managed(connection) => connection.get_db(),
            Self::Single(connection) => connection.get_db(),
            Self::Cluster(connection) => connection.get_db(),
        }
    }
}
