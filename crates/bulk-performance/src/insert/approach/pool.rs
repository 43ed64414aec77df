//! Workers, each with a connection of its own, each one by one.

use futures_util::future::try_join_all;
use lab_connection::Failure;
use lab_connection::failure::Class;
use lab_runner::{LessonError, Wire};
use redis::RedisResult;

use super::in_memory;
use crate::insert::subject::Subject;

pub(super) async fn write<C: Wire>(subject: &Subject<C>, connections: u64) -> Result<(), LessonError> {
    let wanted = in_memory(connections);
    let Some(pool) = subject.pool.get(..wanted) else {
        let what = format!("A pool of {wanted} connections was asked for; {} are open.", subject.pool.len());
        return Err(Failure::new(Class::Usage, what, "The pool is opened before the clock starts.").into());
    };
    let workers = (1..).zip(pool).map(|(first, connection)| work(subject, connection.clone(), first, wanted));
    try_join_all(workers).await?;
    Ok(())
}

/// Every worker takes its share: with three of them the first writes records 1, 4, 7.
async fn work<C: Wire>(
    subject: &Subject<C>,
    mut connection: C,
    first: u64,
    workers: usize,
) -> RedisResult<()> {
    for number in (first..=subject.records).step_by(workers) {
        for command in subject.kind.commands(&subject.keys, &subject.people, number) {
            command.exec_async(&mut connection).await?;
        }
    }
    Ok(())
}
