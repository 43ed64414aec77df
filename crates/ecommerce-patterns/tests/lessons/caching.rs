//! What the lesson on caching counts, and what it leaves.

use ecommerce_patterns::PatternLesson;
use redis::AsyncTypedCommands;

use lab_testing::lessons::{open, run_lesson, table};

#[tokio::test(flavor = "multi_thread")]
async fn by_hand_the_database_is_flooded_and_with_the_pattern_it_is_not() {
    for cluster in [false, true] {
        let target = open(cluster).await;
        let report = run_lesson(&target, PatternLesson::Caching).await;
        let last = |title: &str| -> Vec<u32> {
            table(&report, title).iter().map(|row| row.last().unwrap().parse().unwrap()).collect()
        };
        assert_eq!(last("A popular entry expires"), [100, 1]);
        assert_eq!(last("A write comes between load and store"), [20, 0]);
        assert_eq!(last("A crawler asks for what does not exist"), [300, 60]);
        let in_one_second = last("Entries that expire in the same second");
        assert!(in_one_second[0] > 5 * in_one_second[1], "{in_one_second:?}");
        if !cluster {
            assert_eq!(last("Client-side caching"), [0, 100, 0]);
        }
        let rates = table(&report, "Hit rate since the start");
        assert!(rates.last().unwrap()[2].trim_end_matches('%').parse::<u32>().unwrap() > 60);

        let mut redis = target.connection();
        let product = redis.get("product:123").await.unwrap().unwrap();
        assert!(product.contains("\"name\":\"Travel mug\""), "{product}");
        assert!(redis.get("search:query:page:1").await.unwrap().unwrap().starts_with('['));
        for key in ["product:123", "search:query:page:1"] {
            assert!(redis.ttl(key).await.unwrap().raw() > 80_000, "{key}");
        }
    }
}
