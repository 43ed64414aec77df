//! What the lesson on real time counts, and the keys it leaves.

use ecommerce_patterns::PatternLesson;
use ecommerce_patterns::real_time::{BuyAtOnce, Purchases, Rush};
use lab_runner::Comparison;

use lab_testing::lessons::{commands, open, skipped, stored_keys, table, take};

#[tokio::test(flavor = "multi_thread")]
async fn the_damage_is_counted_and_the_right_way_has_none() {
    for cluster in [false, true] {
        let target = open(cluster).await;
        let reports = take(&target, PatternLesson::RealTime).await;
        assert_eq!(
            table(&reports, "A rush"),
            [
                ["HGET, then HINCRBY", "10", "40", "40", "30", "20"],
                ["one script", "10", "10", "10", "0", "0"]
            ]
        );
        assert_eq!(
            table(&reports, "A phone in a tunnel"),
            [["PUBLISH", "30", "20", "20", "10"], ["a queue with acknowledgement", "30", "35", "30", "0"]]
        );
        assert_eq!(
            table(&reports, "Three screens"),
            [
                ["first", "20", "0", "1", "20", "20"],
                ["second", "20", "0", "1", "20", "20"],
                ["third", "12", "8", "2", "28", "20"]
            ]
        );
        let stores = table(&reports, "Stores near me");
        assert_eq!(stores[0][0], "Central station");
        assert_eq!(stores[2], ["Night shop", "2226", "open for 4:00 h"]);
        assert_eq!(stores[4], ["Airport", "8828", "always open"]);
        assert!(skipped(&reports).is_empty());
        assert!(commands(&reports).iter().any(|line| line.starts_with("GEOSEARCH ")));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_keys_of_the_lesson_are_there_with_their_types() {
    let target = open(false).await;
    take(&target, PatternLesson::RealTime).await;
    let mut redis = target.connection();
    for (key, expected) in [
        ("flash_sale:current", "hash"),
        ("flash_sale:{flash_sale:current}:waitlist", "zset"),
        ("notifications:user123", "list"),
        ("stores", "zset"),
        ("stores:{stores}:details", "hash"),
        ("stock:PROD123", "hash"),
    ] {
        let found: String = redis::cmd("TYPE").arg(key).query_async(&mut redis).await.unwrap();
        assert_eq!(found, expected, "{key}");
        let ttl: i64 = redis::cmd("TTL").arg(key).query_async(&mut redis).await.unwrap();
        assert!(ttl == -1 || ttl > 30, "{key} lives for {ttl} s");
    }
    let stored = stored_keys(&target).await;
    assert!(stored.iter().all(|key| !key.starts_with("compared:")), "{stored:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rush_is_the_same_every_time() {
    for cluster in [false, true] {
        let target = open(cluster).await;
        for _ in 0..3 {
            let naive = Rush::LookThenWrite.crowd(&target, target.prefix()).await.unwrap();
            assert_eq!((naive.told, naive.sold, naive.oversold(), naive.over_cap), (40, 40, 30, 20));
            let right = Rush::Script.crowd(&target, target.prefix()).await.unwrap();
            assert_eq!((right.told, right.sold, right.oversold(), right.over_cap), (10, 10, 0, 0));
        }
    }
}

#[tokio::test]
async fn all_ways_of_buying_observe_the_same_and_the_script_takes_one_round_trip() {
    for cluster in [false, true] {
        let target = open(cluster).await;
        let purchases = Purchases::new(target.prefix(), 120);
        let comparison = Comparison { title: "", approaches: &BuyAtOnce::ALL, input: &purchases };
        comparison.verify(&target.connection()).await.unwrap();
        // Again, as the server knows the script now.
        let traffic = comparison.verify(&target.connection()).await.unwrap();
        let trips: Vec<usize> = traffic.iter().map(|traffic| traffic.round_trips).collect();
        assert_eq!(trips, [120, 240, 120]);
    }
}
