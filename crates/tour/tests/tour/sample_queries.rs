//! Every key and every sample query that the project's documents name finds data after a run.

use lab_server::Server;
use redis::{Connection, Value};

use crate::support;

/// The lessons that write what is asked for below.
const LESSONS: [&str; 10] = [
    "query",
    "cart",
    "sessions",
    "caching",
    "inventory",
    "recommendations",
    "rate-limits",
    "real-time",
    "search",
    "analytics",
];

/// Key, or its beginning up to a star, and type.
const KEYS: [(&str, &str); 20] = [
    ("session:abc123", "hash"),
    ("cart:abc123", "hash"),
    ("product:123", "string"),
    ("search:query:page:1", "string"),
    ("inventory:PROD123", "string"),
    ("low_stock_alerts", "zset"),
    ("recent_views:user123", "list"),
    ("recent_views:user_12345", "list"),
    ("interests:user123", "set"),
    ("interests:user_12345", "set"),
    ("popular_products", "zset"),
    ("rate_limit:api_key:minute", "string"),
    ("failed_login:*", "string"),
    ("blocked_ip:*", "string"),
    ("flash_sale:current", "hash"),
    ("notifications:user123", "list"),
    ("inventory_updates", "list"),
    ("daily_metrics:2024-01-01", "hash"),
    ("funnel:today", "hash"),
    ("top_products:2024-01-01", "zset"),
];

const QUERIES: [&[&str]; 8] = [
    &["HGETALL", "user:1"],
    &["LRANGE", "recent_views:user_12345", "0", "9"],
    &["SMEMBERS", "interests:user_12345"],
    &["ZREVRANGE", "popular_products", "0", "9", "WITHSCORES"],
    &["ZREVRANGE", "users_by_salary", "0", "9", "WITHSCORES"],
    &["SMEMBERS", "city:New York:users"],
    &["INFO", "memory"],
    &["KEYS", "product*"],
];

#[test]
fn the_documented_keys_and_sample_queries_find_data_after_a_run() {
    let server = Server::start().unwrap();
    let mut tour = support::at(&server.url());
    let (code, output, error) = support::run(tour.arg("--no-pause").args(LESSONS));
    assert_eq!(code, 0, "{output}\n{error}");

    let mut connection = server.client().get_connection().unwrap();
    for (name, kind) in KEYS {
        let key = match name.strip_suffix('*') {
            Some(_) => ask::<Vec<String>>(&mut connection, &["KEYS", name]).into_iter().next(),
            None => Some(name.to_owned()),
        };
        let key = key.unwrap_or_else(|| panic!("no key {name}"));
        assert_eq!(ask::<String>(&mut connection, &["TYPE", &key]), kind, "{key}");
    }
    for query in QUERIES {
        let empty = match ask(&mut connection, query) {
            Value::Array(found) => found.is_empty(),
            Value::BulkString(text) => text.is_empty(),
            Value::VerbatimString { text, .. } => text.is_empty(),
            _ => true,
        };
        assert!(!empty, "{query:?} finds nothing");
    }
    assert!(ask::<u64>(&mut connection, &["DBSIZE"]) > 1_000);
}

fn ask<T: redis::FromRedisValue>(connection: &mut Connection, words: &[&str]) -> T {
    redis::cmd(words[0]).arg(&words[1..]).query(connection).unwrap()
}
