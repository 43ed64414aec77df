//! A command, its answer, the next command.

use lab_runner::Wire;
use redis::RedisResult;

use crate::insert::subject::Subject;

pub(super) async fn write<C: Wire>(subject: &Subject<C>, records: u64) -> RedisResult<()> {
    let mut connection = subject.shared.clone();
    for number in 1..=records {
        for command in subject.kind.commands(&subject.keys, &subject.people, number) {
            command.exec_async(&mut connection).await?;
        }
    }
    Ok(())
}
