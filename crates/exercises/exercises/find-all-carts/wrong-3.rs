// refused: are missing
use std::collections::HashSet;

use redis::RedisResult;
use redis::aio::MultiplexedConnection;

/// It stops at the first page without a cart.
pub async fn carts(redis: &mut MultiplexedConnection) -> RedisResult<Vec<String>> {
    let mut found = HashSet::new();
    let mut cursor = 0;
    loop {
        let (next, page): (u64, Vec<String>) =
            redis::cmd("SCAN").arg(cursor).arg(&["MATCH", "cart:*"]).query_async(redis).await?;
        if page.is_empty() {
            return Ok(found.into_iter().collect());
        }
        found.extend(page);
        cursor = next;
    }
}
