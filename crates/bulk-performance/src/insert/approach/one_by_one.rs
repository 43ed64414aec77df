//! A command, its answer, the next command.

use lab_runner::AnyConnection;
use redis::RedisResult;

use crate::insert::input::Input;

pub(super) async fn write<C: AnyConnection>(input: &Input<C>, records: u64) -> RedisResult<()> {
    let mut connection = input.shared.clone();
    for number in 1..=records {
        for command in input.kind.commands(&input.keys, &input.people, number) {
            command.exec_async(&mut connection).await?;
        }
    }
    Ok(())
}
