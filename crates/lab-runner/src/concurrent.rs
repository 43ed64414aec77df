//! Many calls at once.

use futures_util::future::try_join_all;
use futures_util::{StreamExt, TryStreamExt, stream};

/// Calls `call` with 0 to `count` - 1, at most `in_flight` at a time. Returns the results in the order in which they arrive. The
/// first error ends it.
pub async fn concurrently<T, E, F: Future<Output = Result<T, E>>>(
    in_flight: usize,
    count: usize,
    call: impl Fn(usize) -> F,
) -> Result<Vec<T>, E> {
    stream::iter(0..count).map(call).buffer_unordered(in_flight).try_collect().await
}

/// Lets clients 0 to `clients` - 1 act at the same moment. Returns how many of them say yes. The first error ends it.
pub async fn count_at_once<E, F: Future<Output = Result<bool, E>>>(
    clients: usize,
    act: impl Fn(usize) -> F,
) -> Result<usize, E> {
    let said: Vec<bool> = try_join_all((0..clients).map(act)).await?;
    Ok(said.into_iter().filter(|yes| *yes).count())
}
