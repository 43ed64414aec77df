//! The private servers that the lessons break: which release they are, and how to start, reach, and question them.

use std::collections::HashMap;
use std::fmt::Display;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use lab_connection::address::PrivateServer;
use lab_connection::connection::unguarded;
use lab_connection::failure::Class;
use lab_connection::{Failure, Target};
use lab_runner::{Outcome, Retry};
use lab_server::{Choice, Server};
use redis::aio::{ConnectionLike, MultiplexedConnection};
use redis::{RedisError, RedisResult};
use tokio::task::spawn_blocking;

/// How long a lesson waits for what must happen.
pub const READY_TIMEOUT: Duration = Duration::from_secs(30);

/// The program behind the learner's server if that is a private one, or else the program that the environment chooses.
pub fn choice(target: &Target) -> Result<Choice, Failure> {
    let server = match target.private() {
        Some(PrivateServer::Single(server)) => Some(server.as_ref()),
        Some(PrivateServer::Cluster(cluster)) => cluster.nodes().first(),
        None => None,
    };
    match server {
        Some(server) => {
            Ok(Choice { release: None, program: Some(server.program().path().to_owned()), fetch: false })
        }
        None => Choice::from_env().map_err(|error| failure(&error)),
    }
}

/// Runs what starts, kills, or restarts servers. That blocks, so it happens on another thread, and Ctrl-C still works.
pub fn blocking<T, E>(
    work: impl FnOnce() -> Result<T, E> + Send + 'static,
) -> impl Future<Output = Result<T, Failure>>
where
    T: Send + 'static,
    E: Display,
{
    let work = boxed(move || work().map_err(|error| failure(&error)));
    async { work.await? }
}

/// The same for what cannot fail, such as the end of a server.
pub fn on_another_thread<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> impl Future<Output = Result<T, Failure>> {
    boxed(work)
}

/// There are dozens of such closures, and the runtime's code for a task would be compiled for each. In a box, they are all alike.
fn boxed<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> impl Future<Output = Result<T, Failure>> {
    let result = Arc::new(Mutex::new(None));
    let slot = Arc::clone(&result);
    let done = run(Box::new(move || {
        *slot.lock().unwrap_or_else(PoisonError::into_inner) = Some(work());
    }));
    async move {
        done.await?;
        let result = result.lock().unwrap_or_else(PoisonError::into_inner).take();
        result.ok_or_else(|| failure(&"The work ended without a result."))
    }
}

async fn run(work: Box<dyn FnOnce() + Send>) -> Result<(), Failure> {
    spawn_blocking(work).await.map_err(|error| failure(&error))
}

/// Starts a server with these settings.
pub async fn start(target: &Target, settings: &[(&str, &str)]) -> Result<Server, Failure> {
    let builder = Server::builder().choice(choice(target)?);
    let builder = settings.iter().fold(builder, |builder, (name, value)| builder.config(*name, *value));
    blocking(move || builder.start()).await
}

/// A connection to a private server.
pub async fn connect(server: &Server) -> RedisResult<MultiplexedConnection> {
    unguarded(&server.client()).await
}

/// The fields of a section of INFO.
pub async fn info_fields(
    section: &str,
    redis: &mut (impl ConnectionLike + Send),
) -> RedisResult<HashMap<String, String>> {
    let text: String = redis::cmd("INFO").arg(section).query_async(redis).await?;
    let fields = text.lines().filter_map(|line| line.split_once(':'));
    Ok(fields.map(|(name, value)| (name.to_owned(), value.trim_end().to_owned())).collect())
}

/// One field of a section of INFO; empty if the server does not have it.
pub async fn info(
    connection: &mut (impl ConnectionLike + Send),
    section: &str,
    field: &str,
) -> RedisResult<String> {
    Ok(info_fields(section, connection).await?.remove(field).unwrap_or_default())
}

/// The same as a number; 0 if the server does not have it.
pub async fn number(
    connection: &mut (impl ConnectionLike + Send),
    section: &str,
    field: &str,
) -> RedisResult<u64> {
    Ok(info(connection, section, field).await?.parse().unwrap_or_default())
}

/// Waits until a replica is connected to its primary and has applied what that wrote so far.
pub async fn caught_up(
    primary: &mut (impl ConnectionLike + Send),
    replica: &mut (impl ConnectionLike + Send),
) -> Outcome {
    let written = number(primary, "replication", "master_repl_offset").await?;
    let mut retry = Retry::within(READY_TIMEOUT);
    while info(replica, "replication", "master_link_status").await? != "up"
        || number(replica, "replication", "slave_repl_offset").await? < written
    {
        retry.again("the replica catches up").await?;
    }
    Ok(())
}

/// A failure of a private server.
pub fn failure(error: &impl Display) -> Failure {
    let text = error.to_string();
    let mut lines = text.lines();
    let why = lines.next().unwrap_or_default();
    let failure = Failure::new(Class::NoServer, "A private server of this lesson failed.", why);
    lines.map(str::trim).fold(failure, Failure::try_next)
}

/// An error of a server as redis-cli shows it.
pub fn server_error(error: &RedisError) -> String {
    format!("(error) {} {}", error.code().unwrap_or_default(), error.detail().unwrap_or_default())
}
