//! MULTI, the commands, EXEC: nobody sees half of them. The server queues each command before it runs it.

use lab_runner::Wire;
use redis::RedisResult;

use super::pipelined::pipeline;
use super::stretches;
use crate::insert::subject::Subject;

pub(super) async fn write<C: Wire>(subject: &Subject<C>, size: u64) -> RedisResult<()> {
    let mut connection = subject.shared.clone();
    for numbers in stretches(subject.records, size) {
        pipeline(subject, numbers).atomic().exec_async(&mut connection).await?;
    }
    Ok(())
}
