//! Server A: numbers go into a list by LPUSH, many to a command and many commands to a pipeline.

use lab_connection::Failure;
use lab_connection::failure::Class;
use lab_runner::LessonError;
use redis::RedisResult;
use redis::aio::ConnectionLike;

use crate::keys::Keys;

/// Numbers in one LPUSH.
const VALUES: usize = 1_000;
/// LPUSHes in one pipeline. With [`VALUES`] it bounds the memory of both sides, however long the list.
const COMMANDS: usize = 16;

/// Removes the list of an earlier run, inserts 1 to `count`, and says last of all that the list is complete.
pub async fn insert(
    keys: &Keys,
    count: u64,
    connection: &mut (impl ConnectionLike + Send),
) -> Result<(), LessonError> {
    start_over(keys, connection).await?;
    push(&keys.biglist(), 0, 1..=count, connection).await?;
    Ok(say_complete(keys, count, connection).await?)
}

/// Removes the list and, before it, the word that it is complete.
pub async fn start_over(keys: &Keys, connection: &mut (impl ConnectionLike + Send)) -> RedisResult<()> {
    for key in [keys.biglist_count(), keys.biglist()] {
        redis::cmd("UNLINK").arg(key).exec_async(connection).await?;
    }
    Ok(())
}

/// Pushes numbers to the head of a list that has `length` of them. Every reply tells the new length; a wrong one means
/// that somebody else writes to the list too, which is an error.
pub async fn push(
    key: &str,
    mut length: u64,
    mut numbers: impl Iterator<Item = u64> + Send,
    connection: &mut (impl ConnectionLike + Send),
) -> Result<(), LessonError> {
    let mut values = Vec::with_capacity(VALUES);
    loop {
        let mut pipeline = redis::pipe();
        let mut expected = Vec::with_capacity(COMMANDS);
        while expected.len() < COMMANDS {
            values.clear();
            values.extend(numbers.by_ref().take(VALUES));
            if values.is_empty() {
                break;
            }
            length += values.len() as u64;
            expected.push(length);
            pipeline.cmd("LPUSH").arg(key).arg(&values);
        }
        if expected.is_empty() {
            return Ok(());
        }
        let lengths: Vec<u64> = pipeline.query_async(connection).await?;
        if lengths != expected {
            return Err(somebody_else_writes(key).into());
        }
    }
}

/// Writes down how many numbers the finished list has.
pub async fn say_complete(
    keys: &Keys,
    count: u64,
    connection: &mut (impl ConnectionLike + Send),
) -> RedisResult<()> {
    redis::cmd("SET").arg(keys.biglist_count()).arg(count).exec_async(connection).await
}

fn somebody_else_writes(key: &str) -> Failure {
    Failure::new(
        Class::CheckFailed,
        format!("Somebody else writes to '{key}'."),
        "LPUSH answers with the new length, and that was not the sum of what Server A had pushed.",
    )
    .try_next("run one Server A at a time")
    .try_next("--db N or --prefix NAME: for a list of one's own")
}
