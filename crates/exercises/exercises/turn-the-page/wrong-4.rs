// refused: bytes
use redis::aio::MultiplexedConnection;
use redis::{AsyncCommands, RedisResult};

/// It reads everything for each page.
pub async fn page(
    redis: &mut MultiplexedConnection,
    cursor: Option<String>,
    size: usize,
) -> RedisResult<(Vec<String>, Option<String>)> {
    let all: Vec<(String, u64)> = redis.zrange_withscores("reviews", 0, -1).await?;
    let last = cursor
        .as_deref()
        .and_then(|cursor| cursor.split_once(' '))
        .map(|(day, name)| (day.parse().unwrap_or(0), name.to_owned()));
    let rest = all
        .into_iter()
        .rev()
        .filter(|(name, day)| last.as_ref().is_none_or(|last| (*day, name.clone()) < *last));
    let reviews: Vec<(String, u64)> = rest.take(size).collect();
    let next = reviews.last().map(|(name, day)| format!("{day} {name}"));
    Ok((reviews.into_iter().map(|(name, _)| name).collect(), next))
}
