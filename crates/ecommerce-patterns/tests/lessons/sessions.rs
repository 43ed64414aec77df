//! What the lesson on sessions counts, and what it leaves.

use ecommerce_patterns::PatternLesson;
use redis::AsyncTypedCommands;

use lab_testing::lessons::{open, run_lesson, stored_keys, table};

#[tokio::test(flavor = "multi_thread")]
async fn every_mistake_leaves_sessions_and_the_pattern_leaves_none() {
    for cluster in [false, true] {
        let target = open(cluster).await;
        let report = run_lesson(&target, PatternLesson::Sessions).await;
        let rows = table(&report, "Sessions that should not exist");
        assert_eq!(rows.len(), 4);
        for row in rows {
            assert_eq!(row[1..], ["20", "20", "0"], "{}", row[0]);
        }
        let mut redis = target.connection();
        for key in ["session:abc123", "cart:abc123"] {
            assert_eq!(redis.key_type(key).await.unwrap(), redis::ValueType::Hash);
            assert!(redis.ttl(key).await.unwrap().raw() > 40_000, "{key}");
        }
        // Everything ends by itself, and the cart of another lesson stays as it is.
        for key in stored_keys(&target).await {
            let ttl = redis.ttl(&key).await.unwrap().raw();
            assert!(ttl > 0 || key.ends_with("marker"), "{key}");
            assert_ne!(key, "cart:1");
        }
    }
}
