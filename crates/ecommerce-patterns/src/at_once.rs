//! Many clients at a time over one connection.

use futures_util::{StreamExt, TryStreamExt, stream};

/// Runs `operation` for 0 to `operations` - 1, at most `clients` of them at a time, and returns what they returned, in no
/// order. The first error ends it.
pub async fn at_once<T, E, F: Future<Output = Result<T, E>>>(
    clients: usize,
    operations: usize,
    operation: impl Fn(usize) -> F,
) -> Result<Vec<T>, E> {
    stream::iter(0..operations).map(operation).buffer_unordered(clients).try_collect().await
}
