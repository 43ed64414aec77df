//! Workers, each with a connection of its own, each one by one.

use futures_util::future::try_join_all;
use lab_connection::Failure;
use lab_connection::failure::Class;
use lab_runner::{AnyConnection, LessonError};
use redis::RedisResult;

use super::in_memory;
use crate::insert::input::Input;

pub(super) async fn write<C: AnyConnection>(input: &Input<C>, connections: u64) -> Result<(), LessonError> {
    let wanted = in_memory(connections);
    let Some(pool) = input.pool.get(..wanted) else {
        let what = format!("A pool of {wanted} connections was asked for; {} are open.", input.pool.len());
        return Err(Failure::new(Class::Usage, what, "The pool is opened before the clock starts.").into());
    };
    let workers = (1..).zip(pool).map(|(first, connection)| work(input, connection.clone(), first, wanted));
    try_join_all(workers).await?;
    Ok(())
}

/// Every worker takes its share: with three of them the first writes records 1, 4, 7.
async fn work<C: AnyConnection>(
    input: &Input<C>,
    mut connection: C,
    first: u64,
    workers: usize,
) -> RedisResult<()> {
    for number in (first..=input.records).step_by(workers) {
        for command in input.kind.commands(&input.keys, &input.people, number) {
            command.exec_async(&mut connection).await?;
        }
    }
    Ok(())
}
