//! The next pipeline is made and sent while the server works on the last: neither side waits for the other.

use futures_util::{StreamExt, TryStreamExt, stream};
use lab_runner::AnyConnection;
use redis::RedisResult;

use super::pipelined::pipeline;
use super::stretches;
use crate::insert::input::Input;

/// Pipelines in flight; a third would only wait in the server's buffers.
const IN_FLIGHT: usize = 2;

pub(super) async fn write<C: AnyConnection>(input: &Input<C>, depth: u64) -> RedisResult<()> {
    let pipelines = stretches(input.records, depth).map(|numbers| {
        let pipeline = pipeline(input, numbers);
        let mut connection = input.shared.clone();
        async move { pipeline.exec_async(&mut connection).await }
    });
    // In order, because a List has to get its values in order.
    stream::iter(pipelines).buffered(IN_FLIGHT).try_collect().await
}
