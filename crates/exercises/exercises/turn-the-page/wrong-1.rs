// refused: was never shown
use redis::aio::MultiplexedConnection;
use redis::{AsyncCommands, RedisResult};

/// The rest of the last day is skipped.
pub async fn page(
    redis: &mut MultiplexedConnection,
    cursor: Option<String>,
    size: usize,
) -> RedisResult<(Vec<String>, Option<String>)> {
    let from = cursor.map_or("+inf".to_owned(), |day| format!("({day}"));
    let reviews: Vec<(String, f64)> =
        redis.zrevrangebyscore_limit_withscores("reviews", from, "-inf", 0, size as isize).await?;
    let next = reviews.last().map(|(_, day)| day.to_string());
    Ok((reviews.into_iter().map(|(name, _)| name).collect(), next))
}
