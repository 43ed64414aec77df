use redis::aio::MultiplexedConnection;
use redis::{AsyncCommands, RedisResult};

/// The cursor has the last day, and all its reviews that were shown: `17,review-5,review-4`.
pub async fn page(
    redis: &mut MultiplexedConnection,
    cursor: Option<String>,
    size: usize,
) -> RedisResult<(Vec<String>, Option<String>)> {
    let cursor = cursor.unwrap_or("+inf".to_owned());
    let mut parts = cursor.split(',').map(str::to_owned);
    let day = parts.next().unwrap_or_default();
    let shown: Vec<String> = parts.collect();
    let most = (size + shown.len()) as isize;
    let read: Vec<(String, f64)> =
        redis.zrevrangebyscore_limit_withscores("reviews", &day, "-inf", 0, most).await?;
    let page: Vec<(String, f64)> =
        read.into_iter().filter(|(name, _)| !shown.contains(name)).take(size).collect();
    let next = page.last().map(|(_, last)| {
        let mut next = vec![last.to_string()];
        if *last == day.parse().unwrap_or(f64::INFINITY) {
            next.extend(shown);
        }
        next.extend(page.iter().filter(|(_, day)| day == last).map(|(name, _)| name.clone()));
        next.join(",")
    });
    Ok((page.into_iter().map(|(name, _)| name).collect(), next))
}
