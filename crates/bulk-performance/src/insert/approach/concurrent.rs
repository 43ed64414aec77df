//! Many callers on one multiplexed connection. Their commands leave together, and each caller gets its own answer.

use futures_util::{StreamExt, TryStreamExt, stream};
use lab_runner::Wire;
use redis::RedisResult;

use super::in_memory;
use crate::insert::subject::Subject;

/// Bounded: a caller for each record at once would hold all of them in memory, and make the server hold its answers.
pub(super) async fn write<C: Wire>(subject: &Subject<C>, in_flight: u64) -> RedisResult<()> {
    let commands = (1..=subject.records)
        .flat_map(|number| subject.kind.commands(&subject.keys, &subject.people, number))
        .map(|command| {
            let mut connection = subject.shared.clone();
            async move { command.exec_async(&mut connection).await }
        });
    stream::iter(commands).buffer_unordered(in_memory(in_flight)).try_collect().await
}
