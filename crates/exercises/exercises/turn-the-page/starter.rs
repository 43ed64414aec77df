use redis::aio::MultiplexedConnection;
use redis::{AsyncCommands, RedisResult};

/// Up to `size` reviews after this cursor, the latest day first, and the cursor of the next page.
pub async fn page(
    redis: &mut MultiplexedConnection,
    cursor: Option<String>,
    size: usize,
) -> RedisResult<(Vec<String>, Option<String>)> {
    let first: isize = cursor.and_then(|cursor| cursor.parse().ok()).unwrap_or(0);
    let next = first + size as isize;
    let reviews: Vec<String> = redis.zrevrange("reviews", first, next - 1).await?;
    let cursor = (reviews.len() == size).then(|| next.to_string());
    Ok((reviews, cursor))
}
