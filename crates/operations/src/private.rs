//! The private servers of a lesson. They end with their values, however the program ends.

use std::collections::HashMap;

use lab_connection::address::PrivateServer;
use lab_connection::failure::Class;
use lab_connection::{Failure, Target};
use lab_runner::{BoxError, LessonError};
use lab_server::{Choice, Error, Server};
use redis::RedisResult;
use redis::aio::ConnectionLike;
use tokio::task::spawn_blocking;
use tokio::time::{Duration, Instant, sleep};

/// The program of the private server that the run uses, or what the environment chooses.
pub(crate) fn choice(target: &Target) -> Result<Choice, LessonError> {
    let node = match target.private() {
        None => None,
        Some(PrivateServer::Single(server)) => Some(&**server),
        Some(PrivateServer::Cluster(cluster)) => cluster.nodes().first(),
    };
    match node {
        Some(node) => {
            Ok(Choice { release: None, program: Some(node.program().path().to_owned()), fetch: false })
        }
        None => Choice::from_env().map_err(|error| failure(&error)),
    }
}

/// Starts a server with these settings.
pub(crate) async fn start(target: &Target, settings: &[(&str, &str)]) -> Result<Server, LessonError> {
    let builder = Server::builder().choice(choice(target)?);
    let builder = settings.iter().fold(builder, |builder, (name, value)| builder.config(*name, *value));
    // Starting blocks, so it happens on another thread, and Ctrl-C still works.
    blocking(move || builder.start()).await?.map_err(|error| failure(&error))
}

/// Does something with a server that blocks, such as a restart.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, LessonError> {
    spawn_blocking(work).await.map_err(|error| LessonError::Check(error.to_string()))
}

/// A section of INFO, by field.
pub(crate) async fn info(
    section: &str,
    redis: &mut (impl ConnectionLike + Send),
) -> RedisResult<HashMap<String, String>> {
    let text: String = redis::cmd("INFO").arg(section).query_async(redis).await?;
    let fields = text.lines().filter_map(|line| line.split_once(':'));
    Ok(fields.map(|(name, value)| (name.to_owned(), value.trim_end().to_owned())).collect())
}

pub(crate) fn failure(error: &Error) -> LessonError {
    let text = error.to_string();
    let mut lines = text.lines();
    let why = lines.next().unwrap_or_default();
    let failure = Failure::new(Class::NoServer, "No private server could be started.", why);
    lines.map(str::trim).filter(|line| !line.ends_with(':')).fold(failure, Failure::try_next).into()
}

/// How long a condition may take to come true.
const LONGEST_WAIT: Duration = Duration::from_secs(20);
const POLL: Duration = Duration::from_millis(3);

/// Between two looks at a condition: `while !done().await? { wait.again().await?; }`.
pub(crate) struct Wait {
    what: &'static str,
    start: Instant,
}

impl Wait {
    /// Waits until this has happened.
    pub(crate) fn until(what: &'static str) -> Self {
        Self { what, start: Instant::now() }
    }

    /// Waits for a moment, and fails after twenty seconds.
    pub(crate) async fn again(&self) -> Result<(), BoxError> {
        if self.start.elapsed() > LONGEST_WAIT {
            return Err(format!("waited {} seconds until {}", LONGEST_WAIT.as_secs(), self.what).into());
        }
        sleep(POLL).await;
        Ok(())
    }
}
