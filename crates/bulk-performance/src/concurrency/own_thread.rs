//! A thread for the load alone.

use lab_runner::LessonError;
use tokio::runtime::Builder;
use tokio::task::spawn_blocking;

use super::stopped;

/// Runs `work` on a thread and a runtime of its own. On one thread the commands of all clients that are ready go out
/// with one system call and nobody wakes another thread, which for so little work is the larger part of the cost.
/// Connections belong to the runtime that they were made in, so `work` makes those of the load itself.
pub(crate) async fn on_own_thread<T, W, F>(work: W) -> Result<T, LessonError>
where
    T: Send + 'static,
    W: FnOnce() -> F + Send + 'static,
    F: Future<Output = Result<T, LessonError>>,
{
    let running = spawn_blocking(move || {
        let runtime = Builder::new_current_thread().enable_all().build().map_err(|error| stopped(&error))?;
        runtime.block_on(work())
    });
    running.await.map_err(|error| stopped(&error))?
}
