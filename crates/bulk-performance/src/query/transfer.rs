//! The naive way of all questions: fetch from everybody, decide here.

use redis::RedisResult;
use redis::aio::ConnectionLike;

use super::users::Users;

/// Users per pipeline: more would only fill buffers.
const BATCH: usize = 1_000;

/// These fields of these users, in the order of the numbers; a missing field is empty.
pub(super) async fn fields_of(
    users: &Users,
    numbers: &[u64],
    fields: &[&str],
    connection: &mut (impl ConnectionLike + Send),
) -> RedisResult<Vec<Vec<String>>> {
    let mut read = Vec::with_capacity(numbers.len());
    for batch in numbers.chunks(BATCH) {
        let mut pipeline = redis::pipe();
        for &number in batch {
            pipeline.cmd("HMGET").arg(users.keys().user(number)).arg(fields);
        }
        let values: Vec<Vec<Option<String>>> = pipeline.query_async(connection).await?;
        read.extend(values.into_iter().map(|user| user.into_iter().map(Option::unwrap_or_default).collect()));
    }
    Ok(read)
}

/// Everybody's number beside these fields.
pub(super) async fn everybody(
    users: &Users,
    fields: &[&str],
    connection: &mut (impl ConnectionLike + Send),
) -> RedisResult<Vec<(u64, Vec<String>)>> {
    let numbers: Vec<u64> = (1..=users.records()).collect();
    let read = fields_of(users, &numbers, fields, connection).await?;
    Ok(numbers.into_iter().zip(read).collect())
}

/// Those of `numbers` whose fields have these values, ascending.
pub(super) async fn matching(
    users: &Users,
    numbers: &[u64],
    wanted: &[(&str, &str)],
    connection: &mut (impl ConnectionLike + Send),
) -> RedisResult<Vec<u64>> {
    let (fields, values): (Vec<&str>, Vec<&str>) = wanted.iter().copied().unzip();
    let read = fields_of(users, numbers, &fields, connection).await?;
    let mut found: Vec<u64> =
        numbers.iter().zip(read).filter(|(_, user)| *user == values).map(|(&number, _)| number).collect();
    found.sort_unstable();
    found.dedup();
    Ok(found)
}
