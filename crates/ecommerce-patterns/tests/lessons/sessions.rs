//! What the lesson on sessions counts, and what it leaves.

use ecommerce_patterns::PatternLesson;
use redis::AsyncTypedCommands;

use lab_testing::lessons::{open, stored_keys, table, take};

#[tokio::test(flavor = "multi_thread")]
async fn every_obvious_way_does_damage_and_the_library_none() {
    for cluster in [false, true] {
        let target = open(cluster).await;
        let reports = take(&target, PatternLesson::Sessions).await;
        let rows = table(&reports, "Sessions that should not be there");
        assert_eq!(rows.len(), 4);
        for row in rows {
            assert_eq!(row[1..], ["20", "20", "0"], "{}", row[0]);
        }
        let mut redis = target.connection();
        for key in ["session:abc123", "cart:abc123"] {
            assert_eq!(redis.key_type(key).await.unwrap(), redis::ValueType::Hash);
            assert!(redis.ttl(key).await.unwrap().raw() > 30);
        }
        // Everything ends by itself.
        for key in stored_keys(&target).await {
            let ttl = redis.ttl(&key).await.unwrap().raw();
            assert!(ttl > 0 || key.ends_with("marker"), "{key}");
        }
    }
}
