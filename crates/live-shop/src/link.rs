//! The connection of the whole shop, with a time limit of its own once the shop is open.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use lab_connection::Target;
use redis::aio::ConnectionLike;
use redis::{Cmd, Pipeline, RedisError, RedisFuture, Value};

/// The server of the shop. Behind its address, the primary may change; the connection then reconnects.
#[derive(Clone)]
pub struct Link {
    target: Target,
    limit: Arc<OnceLock<Duration>>,
}

impl Link {
    /// To this server.
    pub fn new(target: Target) -> Self {
        Self { target, limit: Arc::default() }
    }

    /// From now on, a command may take this long: customers wait for it. A second limit changes nothing.
    pub fn limit(&self, time: Duration) {
        self.limit.get_or_init(|| time);
    }

    /// The server: for blocking connections, subscriptions, and explanations.
    pub fn target(&self) -> Target {
        self.target.clone()
    }
}

impl ConnectionLike for Link {
    fn req_packed_command<'a>(&'a mut self, cmd: &'a Cmd) -> RedisFuture<'a, Value> {
        let (mut connection, limit) = (self.target.connection(), self.limit.get().copied());
        Box::pin(async move { in_time(connection.req_packed_command(cmd), limit).await })
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        pipeline: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        let (mut connection, limit) = (self.target.connection(), self.limit.get().copied());
        Box::pin(async move { in_time(connection.req_packed_commands(pipeline, offset, count), limit).await })
    }

    fn get_db(&self) -> i64 {
        self.target.connection().get_db()
    }
}

async fn in_time<T>(answer: RedisFuture<'_, T>, limit: Option<Duration>) -> Result<T, RedisError> {
    let Some(limit) = limit else { return answer.await };
    match tokio::time::timeout(limit, answer).await {
        Ok(answer) => answer,
        Err(_) => Err(std::io::Error::from(std::io::ErrorKind::TimedOut).into()),
    }
}
