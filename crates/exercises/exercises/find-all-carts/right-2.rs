use std::collections::BTreeSet;

use redis::RedisResult;
use redis::aio::MultiplexedConnection;

/// It looks at all names itself.
pub async fn carts(redis: &mut MultiplexedConnection) -> RedisResult<Vec<String>> {
    let mut found = BTreeSet::new();
    let mut cursor = String::from("0");
    loop {
        let (next, page): (String, Vec<String>) =
            redis::cmd("SCAN").arg(&cursor).arg("COUNT").arg(1000).query_async(redis).await?;
        found.extend(page.into_iter().filter(|name| name.starts_with("cart:")));
        cursor = next;
        if cursor == "0" {
            return Ok(found.into_iter().collect());
        }
    }
}
