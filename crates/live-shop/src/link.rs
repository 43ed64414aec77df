//! The connection of the whole shop, with a time limit of its own.

use std::time::Duration;

use lab_connection::Target;
use redis::aio::ConnectionLike;
use redis::{Cmd, Pipeline, RedisError, RedisFuture, Value};

/// How long a command of a page may take. A customer who waits longer has left; and the page says what works without Redis.
const ANSWERS_IN: Duration = Duration::from_secs(2);

/// The server of the shop. Behind its address, the primary may change; the connection then reconnects.
#[derive(Clone)]
pub struct Link {
    target: Target,
}

impl Link {
    /// To this server.
    pub fn new(target: Target) -> Self {
        Self { target }
    }

    /// The server: for blocking connections, subscriptions, and explanations.
    pub fn target(&self) -> Target {
        self.target.clone()
    }
}

impl ConnectionLike for Link {
    fn req_packed_command<'a>(&'a mut self, cmd: &'a Cmd) -> RedisFuture<'a, Value> {
        let mut connection = self.target.connection();
        Box::pin(async move { in_time(connection.req_packed_command(cmd)).await })
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        pipeline: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        let mut connection = self.target.connection();
        Box::pin(async move { in_time(connection.req_packed_commands(pipeline, offset, count)).await })
    }

    fn get_db(&self) -> i64 {
        self.target.connection().get_db()
    }
}

async fn in_time<T>(answer: RedisFuture<'_, T>) -> Result<T, RedisError> {
    match tokio::time::timeout(ANSWERS_IN, answer).await {
        Ok(answer) => answer,
        Err(_) => Err(std::io::Error::from(std::io::ErrorKind::TimedOut).into()),
    }
}
