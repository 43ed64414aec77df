//! The next pipeline is made and sent while the server works on the last: neither side waits for the other.

use futures_util::{StreamExt, TryStreamExt, stream};
use lab_runner::Wire;
use redis::RedisResult;

use super::pipelined::pipeline;
use super::stretches;
use crate::insert::subject::Subject;

/// Pipelines in flight; a third would only wait in the server's buffers.
const IN_FLIGHT: usize = 2;

pub(super) async fn write<C: Wire>(subject: &Subject<C>, depth: u64) -> RedisResult<()> {
    let pipelines = stretches(subject.records, depth).map(|numbers| {
        let pipeline = pipeline(subject, numbers);
        let mut connection = subject.shared.clone();
        async move { pipeline.exec_async(&mut connection).await }
    });
    // In order, because a List has to get its values in order.
    stream::iter(pipelines).buffered(IN_FLIGHT).try_collect().await
}
