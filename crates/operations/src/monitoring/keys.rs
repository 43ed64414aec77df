//! Walks over the keys, in small steps and with an end.

use redis::aio::MultiplexedConnection;
use redis::{Pipeline, RedisResult};

/// Keys of one step.
const STEP: usize = 500;

/// Up to about `most` keys, with their bytes.
pub(super) async fn sizes(
    most: usize,
    redis: &mut MultiplexedConnection,
) -> RedisResult<Vec<(String, usize)>> {
    let (mut cursor, mut sizes) = (0, Vec::new());
    loop {
        let mut scan = redis::cmd("SCAN");
        let (next, keys): (u64, Vec<String>) =
            scan.arg(cursor).arg("COUNT").arg(STEP).query_async(redis).await?;
        sizes.extend(usage(keys, redis).await?);
        if next == 0 || sizes.len() >= most {
            return Ok(sizes);
        }
        cursor = next;
    }
}

/// Those keys that are still there, with their bytes, in one round trip.
async fn usage(keys: Vec<String>, redis: &mut MultiplexedConnection) -> RedisResult<Vec<(String, usize)>> {
    if keys.is_empty() {
        return Ok(Vec::new());
    }
    let mut usage = Pipeline::new();
    for key in &keys {
        usage.cmd("MEMORY").arg("USAGE").arg(key).arg("SAMPLES").arg(5);
    }
    let found: Vec<Option<usize>> = usage.query_async(redis).await?;
    Ok(keys.into_iter().zip(found).filter_map(|(key, size)| Some((key, size?))).collect())
}

/// The List with the most elements, of up to about `most` keys, and how many it has.
pub(super) async fn longest_list(
    most: usize,
    redis: &mut MultiplexedConnection,
) -> RedisResult<(String, usize)> {
    let (mut cursor, mut longest) = (0, (String::new(), 0));
    for _ in 0..most.div_ceil(STEP) {
        let mut scan = redis::cmd("SCAN");
        scan.arg(cursor).arg("COUNT").arg(STEP).arg("TYPE").arg("list");
        let (next, lists): (u64, Vec<String>) = scan.query_async(redis).await?;
        for list in lists {
            let elements = redis::cmd("LLEN").arg(&list).query_async(redis).await?;
            if elements > longest.1 {
                longest = (list, elements);
            }
        }
        if next == 0 {
            break;
        }
        cursor = next;
    }
    Ok(longest)
}

/// The most used key of those that match, with its counter.
pub(super) async fn hottest(pattern: &str, redis: &mut MultiplexedConnection) -> RedisResult<(String, u64)> {
    let (mut cursor, mut hottest) = (0, (String::new(), 0));
    loop {
        let mut scan = redis::cmd("SCAN");
        scan.arg(cursor).arg("MATCH").arg(pattern).arg("COUNT").arg(STEP);
        let (next, keys): (u64, Vec<String>) = scan.query_async(redis).await?;
        for key in keys {
            let counter = redis::cmd("OBJECT").arg("FREQ").arg(&key).query_async(redis).await?;
            if counter > hottest.1 {
                hottest = (key, counter);
            }
        }
        if next == 0 {
            return Ok(hottest);
        }
        cursor = next;
    }
}
