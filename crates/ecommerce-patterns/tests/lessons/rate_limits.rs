//! What the lesson on rate limits counts, and what it leaves.

use ecommerce_patterns::PatternLesson;
use ecommerce_patterns::rate_limits::{Way, admitted_at_once, counters_without_end, guesses_at_once};
use lab_runner::course;
use redis::AsyncTypedCommands;

use crate::assert_types;
use lab_testing::lessons::{open, run_lesson, skipped, stored_keys, table};

#[tokio::test(flavor = "multi_thread")]
async fn by_hand_too_much_gets_through_and_only_the_keys_that_the_lesson_names_stay() {
    for cluster in [false, true] {
        let target = open(cluster).await;
        let report = run_lesson(&target, PatternLesson::RateLimits).await;
        let cells =
            |title| -> Vec<String> { table(&report, title).iter().map(|row| row.join(" | ")).collect() };
        assert_eq!(
            cells("Requests at the same moment"),
            ["GET, compare, INCR | 5 | 20 | 15", "one script | 5 | 5 | 0"]
        );
        assert_eq!(cells("Clients that die"), ["INCR, then EXPIRE | 20 | 5 | 5", "one script | 20 | 5 | 0"]);
        assert_eq!(
            cells("Guesses at the same moment"),
            ["counted when they fail | 5 | 20 | 15", "counted when they begin | 5 | 5 | 0"]
        );
        assert_eq!(cells("Pauses"), ["pause in s | 2 | 4 | 8 | 16 | 32 | 64 | 128 | 256"]);
        // The bytes depend on the server.
        let traffic: Vec<String> =
            table(&report, "The same traffic").iter().map(|row| row[..4].join(" | ")).collect();
        assert_eq!(
            traffic,
            [
                "fixed window | 150 | 59 | 56",
                "sliding log | 121 | 30 | 30",
                "sliding counter | 139 | 50 | 30",
                "token bucket of 30 | 167 | 51 | 32",
                "token bucket of 10 | 116 | 39 | 12",
            ]
        );
        assert_eq!(skipped(&report).len(), usize::from(!target.can("INCREX").await));

        let names = [
            "rate_limit:api_key:minute",
            "failed_login:203.0.113.7",
            "failed_login:{failed_login:203.0.113.7}:block",
            "blocked_ip:203.0.113.7",
        ];
        assert_eq!(course::keys_of(&[report]), names);
        assert_types(&target, &names.map(|name| (name, "string"))).await;
        for name in names {
            let ttl = target.connection().ttl(name).await.unwrap().raw();
            assert!(ttl > 80_000, "{name}: {ttl}");
        }
        let ours = ["rate_limit:", "failed_login:", "blocked_ip:"];
        let mut others = stored_keys(&target).await;
        others.retain(|key| ours.iter().any(|ours| key.starts_with(ours)) && !names.contains(&key.as_str()));
        assert!(others.is_empty(), "{others:?}");
    }
}

/// With other numbers than those of the lesson.
#[tokio::test(flavor = "multi_thread")]
async fn by_hand_it_fails_every_time_and_with_the_script_never() {
    let target = open(false).await;
    let counted = async |way| {
        (
            admitted_at_once(way, &target, 9, 2).await.unwrap(),
            counters_without_end(way, &target, 17).await.unwrap(),
            guesses_at_once(way, &target, 33).await.unwrap(),
        )
    };
    assert_eq!(counted(Way::ByHand).await, (9, 5, 33));
    assert_eq!(counted(Way::Script).await, (2, 0, 5));
}
