//! What the lesson on real time counts, and the keys it leaves.

use ecommerce_patterns::PatternLesson;
use ecommerce_patterns::call_cost::{Call, Calls};
use ecommerce_patterns::real_time::Buy;
use lab_runner::Comparison;
use redis::AsyncTypedCommands;

use crate::assert_types;
use lab_testing::lessons::{open, run_lesson, stored_keys, table};

#[tokio::test(flavor = "multi_thread")]
async fn the_damage_is_counted_and_the_keys_stay_with_their_types() {
    for cluster in [false, true] {
        let target = open(cluster).await;
        let report = run_lesson(&target, PatternLesson::RealTime).await;
        assert_eq!(
            table(&report, "A phone in a tunnel"),
            [["PUBLISH", "30", "20", "20", "10"], ["the queue", "30", "35", "30", "0"]]
        );
        assert_eq!(
            table(&report, "Three screens"),
            [
                ["first", "20", "0", "1", "20", "20"],
                ["second", "20", "0", "1", "20", "20"],
                ["third", "12", "8", "2", "28", "20"]
            ]
        );
        let stores = table(&report, "Stores near me");
        assert_eq!(stores[0][0], "Central station");
        assert_eq!(stores[2], ["Night shop", "2226", "open for 4 h"]);
        assert_eq!(stores[4], ["Airport", "8828", "always open"]);

        let types = [
            ("flash_sale:current", "hash"),
            ("flash_sale:{flash_sale:current}:waitlist", "zset"),
            ("notifications:user123", "list"),
            ("stores", "zset"),
            ("stores:{stores}:details", "hash"),
            ("stock:PROD123", "hash"),
        ];
        assert_types(&target, &types).await;
        for (key, _) in types {
            let ttl = target.connection().ttl(key).await.unwrap().raw();
            assert!(ttl == -1 || ttl > 30, "{key} expires in {ttl} s");
        }
        let keys = stored_keys(&target).await;
        assert!(keys.iter().all(|key| !key.starts_with("bench:")), "{keys:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sale_to_many_at_once_ends_the_same_every_time() {
    for cluster in [false, true] {
        let target = open(cluster).await;
        for _ in 0..3 {
            let wrong = Buy::ReadThenWrite.run(target.connection(), target.prefix()).await.unwrap();
            assert_eq!((wrong.successes, wrong.sold, wrong.oversold(), wrong.over_cap), (40, 40, 30, 20));
            let right = Buy::Script.run(target.connection(), target.prefix()).await.unwrap();
            assert_eq!((right.successes, right.sold, right.oversold(), right.over_cap), (10, 10, 0, 0));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_of_patterns_take_as_many_round_trips_as_they_say() {
    for cluster in [false, true] {
        let target = open(cluster).await;
        let calls = Calls::new(120, target.prefix());
        let expected = [
            (&Call::REAL_TIME[..], &[120, 240, 120][..]),
            (&Call::ANALYTICS[..], &[120, 120, 120, 120, 240]),
            (&Call::RECOMMENDATIONS[..], &[120, 120, 120, 120, 360]),
        ];
        for (approaches, expected) in expected {
            let comparison = Comparison { title: "", approaches, input: &calls };
            comparison.verify(&target.connection()).await.unwrap();
            // Now the server knows the scripts.
            let traffic = comparison.verify(&target.connection()).await.unwrap();
            let trips: Vec<usize> = traffic.iter().map(|traffic| traffic.round_trips).collect();
            assert_eq!(trips, expected);
        }
    }
}
