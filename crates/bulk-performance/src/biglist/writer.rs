//! Server A: numbers go into a list with LPUSH, many to a command and many commands to a pipeline.

use lab_connection::Failure;
use lab_connection::failure::Class;
use lab_runner::LessonError;
use redis::RedisResult;
use redis::aio::ConnectionLike;

use crate::keys::Keys;

/// Numbers in one LPUSH.
const VALUES: usize = 1_000;
/// LPUSHes in one pipeline. With [`VALUES`], it bounds the memory of both sides, however long the list.
const COMMANDS: usize = 16;

/// Removes the list of an earlier run, inserts 1 to `count`, and last writes how many there are.
pub async fn insert(
    keys: &Keys,
    count: u64,
    redis: &mut (impl ConnectionLike + Send),
) -> Result<(), LessonError> {
    start_over(keys, redis).await?;
    push(&keys.biglist(), 0, 1..=count, redis).await?;
    redis::cmd("SET").arg(keys.biglist_count()).arg(count).exec_async(redis).await?;
    Ok(())
}

/// Removes the count, and then the list: a reader that sees a count must find the whole list.
async fn start_over(keys: &Keys, redis: &mut (impl ConnectionLike + Send)) -> RedisResult<()> {
    for key in [keys.biglist_count(), keys.biglist()] {
        redis::cmd("UNLINK").arg(key).exec_async(redis).await?;
    }
    Ok(())
}

/// Pushes numbers to the head of a list that has `length` elements. Every reply is the new length. A wrong one means that
/// another client writes to the list too, which is an error.
pub async fn push(
    key: &str,
    mut length: u64,
    numbers: impl Iterator<Item = u64> + Send,
    redis: &mut (impl ConnectionLike + Send),
) -> Result<(), LessonError> {
    let mut numbers = numbers.peekable();
    while numbers.peek().is_some() {
        let (mut pipeline, mut expected) = (redis::pipe(), Vec::new());
        while expected.len() < COMMANDS && numbers.peek().is_some() {
            let values: Vec<u64> = numbers.by_ref().take(VALUES).collect();
            length += values.len() as u64;
            expected.push(length);
            pipeline.cmd("LPUSH").arg(key).arg(values);
        }
        let lengths: Vec<u64> = pipeline.query_async(redis).await?;
        if lengths != expected {
            return Err(somebody_else_writes(key).into());
        }
    }
    Ok(())
}

fn somebody_else_writes(key: &str) -> Failure {
    Failure::new(
        Class::CheckFailed,
        format!("Somebody else writes to '{key}'."),
        "LPUSH returns the new length, and it is not the number of values that Server A has pushed.",
    )
    .try_next("run one Server A at a time")
    .try_next("--db N or --prefix NAME: to have a list of your own")
}
