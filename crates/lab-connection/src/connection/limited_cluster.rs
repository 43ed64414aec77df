//! A cluster's connection that stays usable under many callers.
//!
//! redis-rs 1.8 polls no request while it asks a node for the slots. That query then waits behind the requests that wait for one of
//! the 50 places in that node's queue, which are not polled, so nothing moves until the response timeout. So only as many callers
//! are let in as fit in the queue. (Its own `connection_concurrency_limit` makes a redirected command wait after its ASKING, which by
//! then has let in another caller's command.)

use std::sync::Arc;

use redis::aio::ConnectionLike;
use redis::cluster_async::ClusterConnection;
use redis::cluster_routing::RoutingInfo;
use redis::{Cmd, Pipeline, RedisFuture, RedisResult, Value};
use tokio::sync::Semaphore;

/// A connection to a cluster. Its clones share the sockets and the limit.
#[derive(Clone)]
pub struct LimitedClusterConnection {
    connection: ClusterConnection,
    turns: Arc<Semaphore>,
}

impl LimitedClusterConnection {
    /// Requests under way; the others wait their turn.
    pub const MAX_IN_FLIGHT: usize = 45;

    /// Turns for the callers of a connection, and of all clones of what is returned.
    #[must_use]
    pub fn new(connection: ClusterConnection) -> Self {
        Self { connection, turns: Arc::new(Semaphore::new(Self::MAX_IN_FLIGHT)) }
    }

    /// Sends a command where the caller says, instead of by its keys.
    pub(crate) async fn route_command(&mut self, command: Cmd, route: RoutingInfo) -> RedisResult<Value> {
        let _turn = self.turns.acquire().await;
        self.connection.route_command(command, route).await
    }
}

impl ConnectionLike for LimitedClusterConnection {
    fn req_packed_command<'a>(&'a mut self, cmd: &'a Cmd) -> RedisFuture<'a, Value> {
        Box::pin(async move {
            // It is never closed.
            let _turn = self.turns.acquire().await;
            self.connection.req_packed_command(cmd).await
        })
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        pipeline: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        Box::pin(async move {
            let _turn = self.turns.acquire().await;
            self.connection.req_packed_commands(pipeline, offset, count).await
        })
    }

    fn get_db(&self) -> i64 {
        self.connection.get_db()
    }
}
