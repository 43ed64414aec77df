use redis::aio::MultiplexedConnection;
use redis::{AsyncCommands, RedisResult};

/// Up to `size` reviews after this cursor, the latest day first, and the cursor of the next page.
///
/// The cursor is the day and the name of the last review: `17 review-5`.
pub async fn page(
    redis: &mut MultiplexedConnection,
    cursor: Option<String>,
    size: usize,
) -> RedisResult<(Vec<String>, Option<String>)> {
    let (day, last) = match cursor.as_deref().and_then(|cursor| cursor.split_once(' ')) {
        Some((day, last)) => (day.to_owned(), Some(last.to_owned())),
        None => ("+inf".to_owned(), None),
    };
    let mut reviews: Vec<(String, f64)> = Vec::new();
    let mut read = 0;
    while reviews.len() < size {
        let more: Vec<(String, f64)> =
            redis.zrevrangebyscore_limit_withscores("reviews", &day, "-inf", read, size as isize).await?;
        read += more.len() as isize;
        let end = more.len() < size;
        let shown = |name: &String, score: f64| {
            last.as_ref().is_some_and(|last| score.to_string() == day && name >= last)
        };
        reviews.extend(more.into_iter().filter(|(name, score)| !shown(name, *score)));
        if end {
            break;
        }
    }
    reviews.truncate(size);
    let next = reviews.last().filter(|_| reviews.len() == size);
    let next = next.map(|(name, score)| format!("{score} {name}"));
    Ok((reviews.into_iter().map(|(name, _)| name).collect(), next))
}
