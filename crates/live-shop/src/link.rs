//! The connection of the whole shop, which a failover points to another server.

use std::sync::{Arc, PoisonError, RwLock};

use lab_connection::{Connection, Target};
use redis::aio::ConnectionLike;
use redis::{Cmd, Pipeline, RedisFuture, Value};

/// The server that is the primary now. Clones share it: after [`Link::point_to`], the next command of every clone goes to the new
/// server.
#[derive(Clone)]
pub struct Link {
    target: Arc<RwLock<Target>>,
}

impl Link {
    /// To this server.
    pub fn new(target: Target) -> Self {
        Self { target: Arc::new(RwLock::new(target)) }
    }

    /// From now on, to this server.
    pub fn point_to(&self, target: Target) {
        *self.target.write().unwrap_or_else(PoisonError::into_inner) = target;
    }

    /// The server that commands go to now: for blocking connections, subscriptions, and explanations.
    pub fn target(&self) -> Target {
        self.target.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn connection(&self) -> Connection {
        self.target.read().unwrap_or_else(PoisonError::into_inner).connection()
    }
}

impl ConnectionLike for Link {
    fn req_packed_command<'a>(&'a mut self, cmd: &'a Cmd) -> RedisFuture<'a, Value> {
        let mut connection = self.connection();
        Box::pin(async move { connection.req_packed_command(cmd).await })
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        pipeline: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        let mut connection = self.connection();
        Box::pin(async move { connection.req_packed_commands(pipeline, offset, count).await })
    }

    fn get_db(&self) -> i64 {
        self.connection().get_db()
    }
}
