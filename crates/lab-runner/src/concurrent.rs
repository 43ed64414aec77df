//! Many calls at once. Each future is boxed, so what runs them is compiled for each type of result, not anew for each call in each
//! lesson. By rustc's own estimate, that spares a sixth of what ecommerce-patterns compiles.

use futures_util::future::{self, BoxFuture};
use futures_util::{FutureExt, StreamExt, stream};

/// Calls `call` with 0 to `count` - 1, at most `in_flight` at a time. Returns the results in the order of the calls. The first
/// error ends it.
pub fn concurrently<'a, T: Send, E: Send, F: Future<Output = Result<T, E>> + Send + 'a>(
    in_flight: usize,
    count: usize,
    call: impl Fn(usize) -> F,
) -> impl Future<Output = Result<Vec<T>, E>> + Send {
    run(boxed((0..count).map(call)), in_flight)
}

/// Lets clients 0 to `clients` - 1 act at the same moment. Returns how many of them say yes. The first error ends it.
pub async fn count_at_once<'a, E: Send, F: Future<Output = Result<bool, E>> + Send + 'a>(
    clients: usize,
    act: impl Fn(usize) -> F,
) -> Result<usize, E> {
    let said = try_join_all((0..clients).map(act)).await?;
    Ok(said.into_iter().filter(|yes| *yes).count())
}

/// Runs all futures at once and returns their results in order. The first error ends it.
pub fn try_join_all<'a, T: Send, E: Send, F: Future<Output = Result<T, E>> + Send + 'a>(
    futures: impl IntoIterator<Item = F>,
) -> impl Future<Output = Result<Vec<T>, E>> + Send {
    run(boxed(futures), usize::MAX)
}

fn boxed<'a, F: Future + Send + 'a>(futures: impl IntoIterator<Item = F>) -> Vec<BoxFuture<'a, F::Output>> {
    let mut boxed = Vec::new();
    for future in futures {
        boxed.push(future.boxed());
    }
    boxed
}

async fn run<T: Send, E: Send>(
    futures: Vec<BoxFuture<'_, Result<T, E>>>,
    in_flight: usize,
) -> Result<Vec<T>, E> {
    let mut results: Vec<_> = futures.iter().map(|_| None).collect();
    let steps = futures.into_iter().zip(&mut results).map(|(future, result)| -> BoxFuture<'_, bool> {
        Box::pin(async { result.insert(future.await).is_ok() })
    });
    until_one_fails(steps.collect(), in_flight).await;
    results.into_iter().flatten().collect()
}

async fn until_one_fails(steps: Vec<BoxFuture<'_, bool>>, in_flight: usize) {
    stream::iter(steps).buffer_unordered(in_flight).all(future::ready).await;
}
