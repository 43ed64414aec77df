//! Private servers for a lesson that breaks them.

use lab_connection::Target;
use lab_connection::address::PrivateServer;
use lab_connection::failure::{Class, Failure};
use lab_runner::BoxError;
use lab_server::{Choice, Error};
use tokio::task::spawn_blocking;

/// The program of the run: the one behind `target` if that server is private, else the one that the environment chooses.
pub(crate) fn choice(target: &Target) -> Result<Choice, BoxError> {
    let node = match target.private() {
        Some(PrivateServer::Single(server)) => Some(server.as_ref()),
        Some(PrivateServer::Cluster(cluster)) => cluster.nodes().first(),
        None => None,
    };
    match node {
        Some(node) => {
            Ok(Choice { release: None, program: Some(node.program().path().to_owned()), fetch: false })
        }
        None => Choice::from_env().map_err(|error| no_server(&error)),
    }
}

/// Runs what waits for servers on another thread, so that Ctrl-C and the lesson's own clients still work.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, BoxError> {
    spawn_blocking(work).await?.map_err(|error| no_server(&error))
}

fn no_server(error: &Error) -> BoxError {
    let text = error.to_string();
    let mut lines = text.lines();
    let failure = Failure::new(Class::NoServer, "A private server failed.", lines.next().unwrap_or_default());
    lab_runner::LessonError::Failure(lines.fold(failure, Failure::try_next)).into()
}
