//! The naive approach to every question: read all users, and decide in the client.

use redis::RedisResult;

use super::connection::Redis;
use super::users::Users;

/// Users per pipeline. More would only fill buffers.
const BATCH: usize = 1_000;

/// Reads these fields of these users with HMGET, in pipelines, and calls `each` with every user. A missing field is empty.
pub(super) async fn read_fields<const N: usize>(
    users: &Users,
    numbers: &[u64],
    fields: [&str; N],
    redis: &mut Redis,
    mut each: impl FnMut(u64, [String; N]) + Send,
) -> RedisResult<()> {
    for batch in numbers.chunks(BATCH) {
        let mut pipeline = redis::pipe();
        for &number in batch {
            pipeline.hmget(users.keys.user(number), &fields);
        }
        let read: Vec<[Option<String>; N]> = pipeline.query_async(redis).await?;
        for (&number, values) in batch.iter().zip(read) {
            each(number, values.map(Option::unwrap_or_default));
        }
    }
    Ok(())
}
