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
use lab_server::{Builder, Choice, Server};
use redis::aio::{ConnectionLike, MultiplexedConnection};
use redis::{AsyncConnectionConfig, Client, RedisError, RedisResult, ToSingleRedisArg, Value};
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
        None => Choice::from_env().map_err(failure),
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
    let work = boxed(move || work().map_err(failure));
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
        result.ok_or_else(|| failure("The work ended without a result."))
    }
}

async fn run(work: Box<dyn FnOnce() + Send>) -> Result<(), Failure> {
    spawn_blocking(work).await.map_err(failure)
}

/// Starts a server with these settings.
pub async fn start(target: &Target, settings: &[(&str, &str)]) -> Result<Server, Failure> {
    start_program(choice(target)?, settings).await
}

/// The same with this program.
pub async fn start_program(choice: Choice, settings: &[(&str, &str)]) -> Result<Server, Failure> {
    let builder = with_settings(Server::builder().choice(choice), settings);
    blocking(move || builder.start()).await
}

/// The builder of a server with these settings, too.
pub fn with_settings(builder: Builder, settings: &[(&str, &str)]) -> Builder {
    settings.iter().fold(builder, |builder, (name, value)| builder.config(*name, *value))
}

/// Ends servers, on another thread, because that waits for their processes.
pub async fn stop<T: Send + 'static>(servers: T) -> Result<(), Failure> {
    on_another_thread(move || drop(servers)).await
}

/// A connection to a private server.
pub async fn connect(server: &Server) -> RedisResult<MultiplexedConnection> {
    unguarded(&server.client()).await
}

/// A connection that does not wait for longer than this to connect, and for a reply.
pub async fn connect_within(
    to_connect: Duration,
    for_reply: Duration,
    client: &Client,
) -> RedisResult<MultiplexedConnection> {
    let config = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(to_connect))
        .set_response_timeout(Some(for_reply));
    client.get_multiplexed_async_connection_with_config(&config).await
}

/// CONFIG SET. Not for what a lesson shows: its code is to show the command.
pub async fn set_config(
    name: &str,
    value: impl ToSingleRedisArg,
    redis: &mut (impl ConnectionLike + Send),
) -> RedisResult<()> {
    redis::cmd("CONFIG").arg("SET").arg(name).arg(value).exec_async(redis).await
}

/// Whether the server has this command, or `command|subcommand`.
pub async fn knows(command: &str, redis: &mut (impl ConnectionLike + Send)) -> RedisResult<bool> {
    let found: Vec<Value> = redis::cmd("COMMAND").arg("INFO").arg(command).query_async(redis).await?;
    Ok(matches!(found.first(), Some(Value::Array(about)) if !about.is_empty()))
}

/// The fields of a section of INFO.
pub async fn info_fields(
    section: &str,
    redis: &mut (impl ConnectionLike + Send),
) -> RedisResult<HashMap<String, String>> {
    let text: String = redis::cmd("INFO").arg(section).query_async(redis).await?;
    Ok(fields(&text))
}

/// The fields of the text.
pub fn fields(info: &str) -> HashMap<String, String> {
    let fields = info.lines().filter_map(|line| line.split_once(':'));
    fields.map(|(name, value)| (name.to_owned(), value.trim_end().to_owned())).collect()
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
pub fn failure(error: impl Display) -> Failure {
    let text = error.to_string();
    let mut lines = text.lines();
    let why = lines.next().unwrap_or_default();
    let failure = Failure::new(Class::NoServer, "A private server of this lesson failed.", why);
    lines.map(str::trim).fold(failure, Failure::try_next)
}

/// The code of an error, such as NOPERM.
pub fn code<T>(result: &RedisResult<T>) -> Option<&str> {
    result.as_ref().err().and_then(RedisError::code)
}

/// An error of a server as redis-cli shows it.
pub fn server_error(error: &RedisError) -> String {
    format!("(error) {} {}", error.code().unwrap_or_default(), error.detail().unwrap_or_default())
}
