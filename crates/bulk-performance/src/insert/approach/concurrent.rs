//! Many callers on one multiplexed connection. Their commands leave together, and each caller gets its own answer.

use futures_util::{StreamExt, TryStreamExt, stream};
use lab_runner::AnyConnection;
use redis::RedisResult;

use super::in_memory;
use crate::insert::input::Input;

/// Bounded: a caller for each record at once would hold all of them in memory, and make the server hold its answers.
pub(super) async fn write<C: AnyConnection>(input: &Input<C>, in_flight: u64) -> RedisResult<()> {
    let commands = (1..=input.records)
        .flat_map(|number| input.kind.commands(&input.keys, &input.people, number))
        .map(|command| {
            let mut connection = input.shared.clone();
            async move { command.exec_async(&mut connection).await }
        });
    stream::iter(commands).buffer_unordered(in_memory(in_flight)).try_collect().await
}
