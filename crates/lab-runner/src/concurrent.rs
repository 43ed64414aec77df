//! Many calls in flight at once over one connection.

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
