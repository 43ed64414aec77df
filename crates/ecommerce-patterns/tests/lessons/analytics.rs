//! The lesson on analytics.

use ecommerce_patterns::PatternLesson;
use ecommerce_patterns::analytics::workload::{CLIENTS, Count, Counted};
use redis::AsyncTypedCommands;

use crate::{assert_types, column};
use lab_testing::lessons::{open, run_lesson, table};

#[tokio::test(flavor = "multi_thread")]
async fn the_workload_is_counted_wrong_twice_and_right_once() {
    for cluster in [false, true] {
        let target = open(cluster).await;
        for (number, count) in (1..).zip(Count::ALL) {
            let day = format!("2024-01-0{number}");
            let counted = count.run_workload(&target.connection(), target.prefix(), &day).await.unwrap();
            let truth = Counted::TRUTH;
            match count {
                Count::ReadAddWrite => {
                    assert_eq!(counted.page_views * i64::try_from(CLIENTS).unwrap(), truth.page_views);
                }
                Count::Increment => {
                    assert!(counted.page_views > truth.page_views && counted.orders > truth.orders);
                    assert!(counted.visitors > 3 * truth.visitors, "{counted:?}");
                }
                Count::Record => assert_eq!(counted, truth),
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_tables_count_each_visitor_once_and_the_keys_of_the_day_stay() {
    let target = open(false).await;
    let report = run_lesson(&target, PatternLesson::Analytics).await;
    assert_eq!(column(&report, "The funnel of today", 2), ["200", "80", "50", "30"]);
    assert_eq!(column(&report, "Different visitors", 2)[..2], ["16,000"; 2]);
    assert_eq!(table(&report, "A week").len(), 8);

    let types =
        [("daily_metrics:2024-01-01", "hash"), ("funnel:today", "hash"), ("top_products:2024-01-01", "zset")];
    assert_types(&target, &types).await;
    let metrics = target.connection().hgetall("daily_metrics:2024-01-01").await.unwrap();
    for metric in ["page_views", "orders", "revenue"] {
        assert!(metrics[metric].parse::<u64>().unwrap() > 0, "{metric}");
    }
}
