//! Commands that take many values: the server reads one command instead of a hundred.

use lab_runner::Wire;
use redis::RedisResult;

use super::stretches;
use crate::insert::subject::Subject;

pub(super) async fn write<C: Wire>(subject: &Subject<C>, size: u64) -> RedisResult<()> {
    let mut connection = subject.shared.clone();
    for numbers in stretches(subject.records, size) {
        let commands = subject.kind.commands_of_many(&subject.keys, &subject.people, numbers);
        commands.exec_async(&mut connection).await?;
    }
    Ok(())
}
