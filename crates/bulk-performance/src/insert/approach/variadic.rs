//! Commands that take many values: the server reads one command instead of a hundred.

use lab_runner::AnyConnection;
use redis::RedisResult;

use super::stretches;
use crate::insert::input::Input;

pub(super) async fn write<C: AnyConnection>(input: &Input<C>, size: u64) -> RedisResult<()> {
    let mut connection = input.shared.clone();
    for numbers in stretches(input.records, size) {
        let commands = input.kind.commands_of_many(&input.keys, &input.people, numbers);
        commands.exec_async(&mut connection).await?;
    }
    Ok(())
}
