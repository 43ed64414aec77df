//! The shop that is looked at, with what is planted in it.

use redis::aio::MultiplexedConnection;
use redis::{AsyncTypedCommands, RedisResult};

/// A product that nine of ten requests ask for.
pub(super) const HOT_KEY: &str = "product:7";
/// Three records of 2 MB each.
pub(super) const BIG_KEY: &str = "export:2026";
/// Many small jobs.
pub(super) const LONG_KEY: &str = "queue:mail";
/// How many.
pub(super) const JOBS: usize = 20_000;
/// Requests before the last release.
pub(super) const YESTERDAY: usize = 3_000;
/// Requests since then.
pub(super) const TODAY: usize = 300;

const PRODUCTS: usize = 100;
const PAGES: usize = 10_000;
const RECORD_BYTES: usize = 2_000_000;
const AT_ONCE: usize = 1_000;

/// Stores products, pages, a queue, and an export.
pub(super) async fn fill(redis: &mut MultiplexedConnection) -> RedisResult<()> {
    let products: Vec<(String, &str)> =
        (0..PRODUCTS).map(|number| (format!("product:{number}"), "a product")).collect();
    redis.mset(&products).await?;
    let pages: Vec<(String, &str)> =
        (0..PAGES).map(|number| (format!("page:{number}"), "some text of a page")).collect();
    for pages in pages.chunks(AT_ONCE) {
        redis.mset(pages).await?;
    }
    // Backward, so that the sort has something to do.
    let jobs: Vec<String> = (0..JOBS).rev().map(|number| format!("job:{number}")).collect();
    for jobs in jobs.chunks(AT_ONCE) {
        redis.rpush(LONG_KEY, jobs).await?;
    }
    let record = vec![b'r'; RECORD_BYTES];
    for _ in 0..3 {
        redis.rpush(BIG_KEY, record.as_slice()).await?;
    }
    Ok(())
}

/// Nine of ten requests are for one product, and all of them hit.
pub(super) async fn yesterday(redis: &mut MultiplexedConnection) -> RedisResult<()> {
    let product = |request: usize| match request % 10 {
        0 => format!("product:{}", request / 10 % PRODUCTS),
        _ => HOT_KEY.to_owned(),
    };
    let requests: Vec<String> = (0..YESTERDAY).map(product).collect();
    for requests in requests.chunks(AT_ONCE) {
        let mut pipe = redis::pipe();
        for key in requests {
            pipe.get(key);
        }
        pipe.exec_async(redis).await?;
    }
    Ok(())
}

/// Asks for keys that nobody stored. Returns how many requests missed.
pub(super) async fn today(redis: &mut MultiplexedConnection) -> RedisResult<usize> {
    let mut pipe = redis::pipe();
    for request in 0..TODAY {
        pipe.get(format!("v2:product:{}", request % PRODUCTS));
    }
    let found: Vec<Option<String>> = pipe.query_async(redis).await?;
    Ok(found.iter().filter(|value| value.is_none()).count())
}
