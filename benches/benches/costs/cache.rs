//! What a cache hit costs, beside a plain GET of the same value.

use std::convert::Infallible;
use std::time::Duration;

use patterns::cache::Cache;
use redis::aio::MultiplexedConnection;

use crate::measure::{Row, Side, compare};

pub async fn rows(connection: &MultiplexedConnection) -> Vec<Row> {
    let mut rows = Vec::new();
    for (what, stale_for, commands, limit) in [
        ("cache hit", Duration::ZERO, &["get"][..], 1.2),
        ("cache hit that may be stale", Duration::from_mins(1), &["get", "pttl"], 2.7),
    ] {
        let cache = Cache::new(connection.clone(), "", "product").with_stale_for(stale_for);
        let value = "a coffee mug for 19.99".to_owned();
        cache.put(&["123"], Some(&value)).await.unwrap();
        let (key, value) = (cache.key(&["123"]).unwrap().as_str().to_owned(), &value);
        let ours = &cache;
        let ours = Side::new("Cache::get_or_load", commands, move |_| async move {
            let load = async || Ok::<_, Infallible>(None);
            assert_eq!(ours.get_or_load(&["123"], load).await.unwrap().as_ref(), Some(value));
        });
        let peer = Side::new("GET", &["get"], |_| {
            let (mut connection, key) = (connection.clone(), key.clone());
            async move {
                let found: String = redis::cmd("GET").arg(&key).query_async(&mut connection).await.unwrap();
                assert_eq!(found.trim_matches('"'), value);
            }
        });
        rows.push(compare(connection, what, limit, ours, peer).await);
    }
    rows
}
