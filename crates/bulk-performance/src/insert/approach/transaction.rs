//! MULTI, the commands, EXEC: nobody sees half of them. The server queues each command before it runs it.

use lab_runner::AnyConnection;
use redis::RedisResult;

use super::pipelined::pipeline;
use super::stretches;
use crate::insert::input::Input;

pub(super) async fn write<C: AnyConnection>(input: &Input<C>, size: u64) -> RedisResult<()> {
    let mut connection = input.shared.clone();
    for numbers in stretches(input.records, size) {
        pipeline(input, numbers).atomic().exec_async(&mut connection).await?;
    }
    Ok(())
}
