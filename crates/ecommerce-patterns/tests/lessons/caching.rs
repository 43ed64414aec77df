//! What the lesson on caching counts, and what it leaves.

use ecommerce_patterns::PatternLesson;
use redis::AsyncTypedCommands;

use lab_testing::lessons::{open, table, take};

#[tokio::test(flavor = "multi_thread")]
async fn the_obvious_cache_floods_the_database_and_the_library_does_not() {
    for cluster in [false, true] {
        let target = open(cluster).await;
        let reports = take(&target, PatternLesson::Caching).await;
        let last = |title: &str| -> Vec<u32> {
            let column = table(&reports, title).iter().map(|row| row.last().unwrap().parse().unwrap());
            column.collect()
        };
        assert_eq!(last("A hot entry expires"), [100, 1]);
        assert_eq!(last("A write comes between reading and storing"), [20, 0]);
        assert_eq!(last("A crawler asks for what is not there"), [300, 30]);
        let spread = last("Entries that expire in the same second");
        assert!(spread[0] > 5 * spread[1], "{spread:?}");
        if !cluster {
            assert_eq!(last("Client-side caching"), [0, 100, 0]);
        }
        let rates = table(&reports, "Hit rate");
        assert!(rates.last().unwrap()[2].trim_end_matches(" %").parse::<u32>().unwrap() > 60);

        let mut redis = target.connection();
        for key in ["product:123", "search:query:page:1"] {
            assert_eq!(redis.key_type(key).await.unwrap(), redis::ValueType::String);
            assert!(redis.ttl(key).await.unwrap().raw() > 30);
            let json = redis.get(key).await.unwrap().unwrap();
            assert!(json.starts_with(['{', '[']), "{json}");
        }
    }
}
