//! A private server that is killed and restarted, and the writes that it acknowledged.

use std::ops::Range;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use lab_connection::Transcript;
use lab_connection::connection::CONNECT_TIMEOUT;
use lab_runner::{BoxError, LessonContext, Retry};
use lab_server::{Choice, Error, Server};
use redis::aio::MultiplexedConnection;

use crate::backup::aof;
use crate::private::{self, blocking, connect_within, info, set_config, start_program};

/// For what takes long. A busy disk can keep a server that syncs from answering for longer than usual.
const IN_TIME: Duration = Duration::from_mins(1);
/// How many keys one script writes, so that no call blocks the server for long.
const FILLED_AT_ONCE: usize = 10_000;
const FILL: &str =
    "for i = ARGV[1], ARGV[2] do redis.call('SET', 'user:' .. i, string.rep('x', ARGV[3])) end";

/// A private server with its own directory. Both end with this value.
pub(super) struct Store {
    /// Not shown.
    pub(super) connection: MultiplexedConnection,
    server: Arc<Mutex<Server>>,
}

impl Store {
    /// Starts one with these settings. Without any, it saves nothing.
    pub(super) async fn start(choice: &Choice, settings: &[(&str, &str)]) -> Result<Self, BoxError> {
        let server = start_program(choice.clone(), settings).await?;
        let connection = connect_within(CONNECT_TIMEOUT, IN_TIME, &server.client()).await?;
        Ok(Self { connection, server: Arc::new(Mutex::new(server)) })
    }

    /// With an append-only file that is not rewritten by itself.
    pub(super) async fn with_aof(choice: &Choice, policy: &str) -> Result<Self, BoxError> {
        let settings = [("appendonly", "yes"), ("appendfsync", policy), ("auto-aof-rewrite-percentage", "0")];
        Self::start(choice, &settings).await
    }

    /// A connection whose commands are shown as `private> …`.
    pub(super) fn redis(&self, ctx: &LessonContext) -> Transcript<MultiplexedConnection> {
        ctx.redis_of("private", self.connection.clone())
    }

    /// SIGKILL.
    pub(super) async fn kill(&self) -> Result<(), BoxError> {
        self.with(|server| {
            server.kill();
            Ok(())
        })
        .await
    }

    /// Starts the server again over its files, and returns how long it took until the data was there. A server that runs is killed
    /// first, outside of that time.
    pub(super) async fn restart(&mut self) -> Result<Duration, BoxError> {
        let (client, took) = self
            .with(|server| {
                server.kill();
                let begun = Instant::now();
                server.restart()?;
                Ok((server.client(), begun.elapsed()))
            })
            .await?;
        self.connection = connect_within(CONNECT_TIMEOUT, IN_TIME, &client).await?;
        Ok(took)
    }

    /// Edits the configuration file.
    pub(super) async fn edit_config(&self, key: &str, value: &str) -> Result<(), BoxError> {
        let (key, value) = (key.to_owned(), value.to_owned());
        self.with(move |server| server.add_config(&key, &value)).await
    }

    /// CONFIG SET, not shown.
    pub(super) async fn set(&self, key: &str, value: &str) -> Result<(), BoxError> {
        Ok(set_config(key, value, &mut self.connection.clone()).await?)
    }

    /// Sets `order:N` to N, one after the other. Returns how many were acknowledged.
    pub(super) async fn write(&self, orders: Range<usize>) -> Result<usize, BoxError> {
        let mut connection = self.connection.clone();
        for order in orders.clone() {
            redis::cmd("SET").arg(format!("order:{order}")).arg(order).exec_async(&mut connection).await?;
        }
        Ok(orders.len())
    }

    /// How many of these orders the server does not have.
    pub(super) async fn missing(&self, orders: Range<usize>) -> Result<usize, BoxError> {
        let mut pipeline = redis::pipe();
        for order in orders.clone() {
            pipeline.cmd("GET").arg(format!("order:{order}"));
        }
        let found: Vec<Option<usize>> = pipeline.query_async(&mut self.connection.clone()).await?;
        Ok(orders.zip(found).filter(|(order, found)| *found != Some(*order)).count())
    }

    /// Sets `user:0` and so on to values of this length, by scripts.
    pub(super) async fn fill(&self, users: usize, length: usize) -> Result<(), BoxError> {
        for first in (0..users).step_by(FILLED_AT_ONCE) {
            let last = (first + FILLED_AT_ONCE).min(users) - 1;
            let mut fill = redis::cmd("EVAL");
            fill.arg(FILL).arg(0).arg(first).arg(last).arg(length);
            fill.exec_async(&mut self.connection.clone()).await?;
        }
        Ok(())
    }

    /// A field of INFO, as a number; 0 if it is missing.
    pub(super) async fn info(&self, field: &str) -> Result<usize, BoxError> {
        Ok(info(&mut self.connection.clone(), "default", field).await?.parse().unwrap_or_default())
    }

    /// Waits until these fields of INFO are 0.
    pub(super) async fn until_zero(&self, fields: &[&str]) -> Result<(), BoxError> {
        let mut retry = Retry::within(IN_TIME);
        for field in fields {
            while self.info(field).await? != 0 {
                retry.again(&format!("{field} returns to 0")).await?;
            }
        }
        Ok(())
    }

    /// The file that new commands are appended to.
    pub(super) async fn increment(&self) -> Result<PathBuf, BoxError> {
        Ok(aof::last_increment(&self.dir().await?.join(aof::DIRECTORY))?)
    }

    pub(super) async fn dir(&self) -> Result<PathBuf, BoxError> {
        self.with(|server| Ok(server.dir().to_owned())).await
    }

    pub(super) async fn program(&self) -> Result<PathBuf, BoxError> {
        self.with(|server| Ok(server.program().path().to_owned())).await
    }

    /// Ends the server and removes its directory.
    pub(super) async fn stop(self) -> Result<(), BoxError> {
        Ok(private::stop(self).await?)
    }

    async fn with<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Server) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, BoxError> {
        let server = Arc::clone(&self.server);
        Ok(blocking(move || work(&mut server.lock().unwrap_or_else(PoisonError::into_inner))).await?)
    }
}
