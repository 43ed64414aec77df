// refused: was never shown
use redis::aio::MultiplexedConnection;
use redis::{AsyncCommands, RedisResult};

/// If the last review was deleted, nobody knows where it was.
pub async fn page(
    redis: &mut MultiplexedConnection,
    cursor: Option<String>,
    size: usize,
) -> RedisResult<(Vec<String>, Option<String>)> {
    let first: isize = match cursor {
        None => 0,
        Some(last) => match redis.zrevrank::<_, _, Option<isize>>("reviews", last).await? {
            Some(rank) => rank + 1,
            None => return Ok((Vec::new(), None)),
        },
    };
    let reviews: Vec<String> = redis.zrevrange("reviews", first, first + size as isize - 1).await?;
    let next = reviews.last().cloned();
    Ok((reviews, next))
}
