use std::collections::HashSet;

use redis::RedisResult;
use redis::aio::MultiplexedConnection;

/// The names of all carts, each once.
pub async fn carts(redis: &mut MultiplexedConnection) -> RedisResult<Vec<String>> {
    let mut found = HashSet::new();
    let mut cursor = 0;
    loop {
        let (next, page): (u64, Vec<String>) = redis::cmd("SCAN")
            .arg(cursor)
            .arg(&["MATCH", "cart:*", "COUNT", "500"])
            .query_async(redis)
            .await?;
        found.extend(page);
        if next == 0 {
            return Ok(found.into_iter().collect());
        }
        cursor = next;
    }
}
