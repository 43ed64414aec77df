//! Retries for what a load asks on the shared connection, before its first record and after its last. A connection that is cut
//! there is no more a reason to give up than one that is cut among the records.

use std::time::{Duration, Instant};

use lab_connection::{Connection, Target};
use redis::{ErrorKind, RedisError, RedisResult, ServerErrorKind};

/// Between two attempts.
const PAUSE: Duration = Duration::from_millis(5);

/// Asks until there is an answer, for as long as the server may be away. Only for what may take effect twice.
pub(crate) async fn until_reachable<T, F>(
    target: &Target,
    retry: Duration,
    question: impl Fn(Connection) -> F,
) -> RedisResult<T>
where
    F: Future<Output = RedisResult<T>>,
{
    let begun = Instant::now();
    loop {
        match question(target.connection()).await {
            Err(error) if is_away(&error) && begun.elapsed() < retry => tokio::time::sleep(PAUSE).await,
            answer => return answer,
        }
    }
}

fn is_away(error: &RedisError) -> bool {
    error.is_io_error() || error.kind() == ErrorKind::Server(ServerErrorKind::BusyLoading)
}
