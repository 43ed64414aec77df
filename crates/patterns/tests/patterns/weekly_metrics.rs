use std::collections::{BTreeMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};

use lab_testing::slots::MovingSlots;
use lab_testing::{TestConnection, prefix};
use patterns::analytics::Analytics;
use patterns::money::Cents;
use patterns::script::StoreError;
use patterns::weekly_metrics::{MAX_DAYS, RollUpError, WeeklyMetrics};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::everywhere;

const WEEK: &str = "2024-W01";
const DAYS: [&str; 7] =
    ["2024-01-01", "2024-01-02", "2024-01-03", "2024-01-04", "2024-01-05", "2024-01-06", "2024-01-07"];

fn cents(cents: i64) -> Cents {
    Cents::new(cents).unwrap()
}

#[test]
fn weeks_are_the_sums_and_unions_of_their_days() {
    everywhere(async |connection, prefix| {
        let analytics = Analytics::new(connection.clone(), &prefix);
        let weekly = WeeklyMetrics::new(connection.clone(), &prefix);
        assert_eq!(weekly.roll_up(WEEK, &DAYS).await.unwrap().visitors, 0);
        let (mut values, mut products) = (BTreeMap::<&str, i64>::new(), BTreeMap::<String, i64>::new());
        let (mut visitors, mut numbers) = (HashSet::new(), StdRng::seed_from_u64(3));
        for event in 0..200 {
            let day = DAYS[numbers.random_range(0..7)];
            let (id, who) = (format!("e{event}"), format!("user{}", numbers.random_range(0..120)));
            if numbers.random_range(0..3) == 0 {
                let (amount, sku) =
                    (numbers.random_range(0..1_i64 << 40), format!("PROD{}", numbers.random_range(0..12)));
                *values.entry("orders").or_default() += 1;
                *values.entry("revenue").or_default() += amount;
                *products.entry(sku.clone()).or_default() += amount;
                analytics.order(&id, day, &who, &[(&sku, cents(amount))]).await.unwrap();
            } else {
                *values.entry("page_views").or_default() += 1;
                analytics.page_view(&id, day, &who).await.unwrap();
            }
            visitors.insert(who);
        }
        weekly.roll_up(WEEK, &DAYS).await.unwrap();
        // Again, as after an unknown outcome.
        let sum = weekly.roll_up(WEEK, &DAYS).await.unwrap();
        assert_eq!(weekly.of(WEEK).await.unwrap(), sum);
        assert!(!sum.closed && sum.exact);
        for (metric, expected) in values {
            assert_eq!(sum.get(metric), expected, "{metric}");
        }
        let distinct = visitors.len() as f64;
        assert!((sum.visitors as f64 - distinct).abs() <= 0.03 * distinct, "{}", sum.visitors);
        let top = weekly.top(WEEK, 100).await.unwrap();
        assert!(top.is_sorted_by_key(|(_, cents)| -cents.get()));
        let top: BTreeMap<String, i64> = top.into_iter().map(|(sku, cents)| (sku, cents.get())).collect();
        assert_eq!(top, products);

        // A week whose days are gone has nothing of them left.
        for day in DAYS {
            let (key, products) = (analytics.key(day).unwrap(), analytics.products_key(day).unwrap());
            for name in [key.as_str(), &key.companion("visitors"), products.as_str()] {
                let _: i64 = connection.send(&["DEL", name]).await;
            }
        }
        let nothing = weekly.roll_up(WEEK, &DAYS).await.unwrap();
        assert!(nothing.values.is_empty() && nothing.visitors == 0, "{nothing:?}");
        assert_eq!(weekly.of(WEEK).await.unwrap(), nothing);
        assert_eq!(weekly.top(WEEK, 1).await.unwrap(), []);
    });
}

#[test]
fn a_week_is_final_once_its_days_are_closed_and_says_if_a_day_is_not_exact() {
    everywhere(async |connection, prefix| {
        let analytics = Analytics::new(connection.clone(), &prefix);
        let weekly = WeeklyMetrics::new(connection.clone(), &prefix);
        analytics.page_view("e1", DAYS[0], "ann").await.unwrap();
        analytics.add("e2", DAYS[1], ":odd", 5).await.unwrap();
        let _: i64 = connection.send(&["DEL", &analytics.key(DAYS[1]).unwrap().companion("ids")]).await;
        analytics.add("e3", DAYS[1], ":odd", 5).await.unwrap();
        for day in &DAYS[..6] {
            analytics.close(day).await.unwrap();
        }
        assert!(!weekly.roll_up(WEEK, &DAYS).await.unwrap().closed);
        analytics.close(DAYS[6]).await.unwrap();
        let sum = weekly.roll_up(WEEK, &DAYS).await.unwrap();
        assert_eq!((sum.closed, sum.exact, sum.get(":odd"), sum.get("page_views")), (true, false, 10, 1));
        assert_eq!(weekly.of(WEEK).await.unwrap(), sum);
    });
}

#[test]
fn a_roll_up_under_traffic_has_every_event_that_came_before_it_and_none_twice() {
    everywhere(async |connection, prefix| {
        let analytics = Analytics::new(connection.clone(), &prefix);
        let weekly = WeeklyMetrics::new(connection.clone(), &prefix);
        let (begun, done) = (AtomicU64::new(0), AtomicU64::new(0));
        let traffic = async {
            for number in 0..140_u64 {
                begun.fetch_add(1, Ordering::SeqCst);
                let (event, sku) = (format!("e{number}"), format!("P{}", number % 5));
                let day = DAYS[usize::try_from(number % 7).unwrap()];
                analytics.order(&event, day, "ann", &[(&sku, cents(100))]).await.unwrap();
                done.fetch_add(1, Ordering::SeqCst);
            }
        };
        let roll_ups = async {
            while done.load(Ordering::SeqCst) < 140 {
                let least = done.load(Ordering::SeqCst);
                let sum = weekly.roll_up(WEEK, &DAYS).await.unwrap();
                let orders = u64::try_from(sum.get("orders")).unwrap();
                assert!((least..=begun.load(Ordering::SeqCst)).contains(&orders), "{least} {orders}");
                assert_eq!(sum.get("revenue"), 100 * sum.get("orders"));
            }
        };
        futures_util::future::join(traffic, roll_ups).await;
        let sum = weekly.roll_up(WEEK, &DAYS).await.unwrap();
        let top: i64 = weekly.top(WEEK, 9).await.unwrap().iter().map(|(_, cents)| cents.get()).sum();
        assert_eq!((sum.get("orders"), top), (140, 14_000));
    });
}

#[test]
fn a_week_that_cannot_be_added_up_stays_as_it_was() {
    everywhere(async |connection, prefix| {
        let analytics = Analytics::new(connection.clone(), &prefix);
        let weekly = WeeklyMetrics::new(connection.clone(), &prefix);
        analytics.add("r1", DAYS[0], "returns", (1 << 53) - 1).await.unwrap();
        weekly.roll_up(WEEK, &DAYS).await.unwrap();
        analytics.add("r2", DAYS[1], "returns", 1).await.unwrap();
        assert_matches!(weekly.roll_up(WEEK, &DAYS).await, Err(RollUpError::Overflow { .. }));
        let refused = weekly.roll_up(WEEK, &[DAYS[0]; MAX_DAYS + 1]).await;
        assert_matches!(refused, Err(RollUpError::TooManyDays { days: 367 }));
        let _: i64 = connection.send(&["DEL", analytics.key(DAYS[1]).unwrap().as_str()]).await;
        let _: () = connection.send(&["SET", analytics.products_key(DAYS[1]).unwrap().as_str(), "x"]).await;
        let refused = weekly.roll_up(WEEK, &DAYS).await.unwrap_err();
        assert!(refused.to_string().contains("WRONGTYPE"), "{refused}");
        assert_eq!(weekly.of(WEEK).await.unwrap().get("returns"), (1 << 53) - 1);
        // Even a foreign String is not overwritten.
        let _: i64 = connection.send(&["DEL", analytics.products_key(DAYS[1]).unwrap().as_str()]).await;
        let visitors = weekly.key(WEEK).unwrap().companion("visitors");
        let _: i64 = connection.send(&["DEL", &visitors]).await;
        let _: i64 = connection.send(&["LPUSH", &visitors, "x"]).await;
        assert_matches!(weekly.roll_up(WEEK, &DAYS).await, Err(RollUpError::Store(StoreError::WrongType(_))));
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn weeks_are_added_up_and_read_while_their_slots_move() {
    let (connection, prefix) = (TestConnection::cluster().await, prefix());
    let analytics = Analytics::new(connection.clone(), &prefix);
    for number in 0..70_i64 {
        let (event, sku) = (format!("order-{number}"), format!("PROD{}", number % 4));
        let day = DAYS[usize::try_from(number % 7).unwrap()];
        let lines = [(sku.as_str(), cents(number))];
        analytics.order(&event, day, &format!("user{number}"), &lines).await.unwrap();
    }
    let weekly = WeeklyMetrics::new(connection.clone(), &prefix);
    let (whole, top) = (weekly.roll_up(WEEK, &DAYS).await.unwrap(), weekly.top(WEEK, 10).await.unwrap());
    // 0 + 1 + … + 69.
    assert_eq!((whole.get("orders"), whole.get("revenue"), top.len()), (70, 2415, 4));
    let moving = MovingSlots::of([
        weekly.key(WEEK).unwrap().as_str().to_owned(),
        weekly.products_key(WEEK).unwrap().as_str().to_owned(),
        analytics.key(DAYS[0]).unwrap().as_str().to_owned(),
        analytics.products_key(DAYS[3]).unwrap().as_str().to_owned(),
    ]);
    let mut callers = tokio::task::JoinSet::new();
    for caller in 0..4 {
        let (weekly, whole, top) = (weekly.clone(), whole.clone(), top.clone());
        callers.spawn(async move {
            for _ in 0..10 {
                // Half of them add up, half of them read meanwhile. No reader sees half of a week.
                let seen = if caller % 2 == 0 {
                    weekly.roll_up(WEEK, &DAYS).await.unwrap()
                } else {
                    weekly.of(WEEK).await.unwrap()
                };
                assert_eq!(seen.values, whole.values);
                assert_eq!(weekly.top(WEEK, 10).await.unwrap(), top);
            }
        });
    }
    callers.join_all().await;
    let moves = moving.end();
    assert!(moves > 1, "{moves}");
    assert_eq!(weekly.of(WEEK).await.unwrap(), whole, "{moves} moves");
}

#[test]
fn a_day_of_many_products_is_read_in_batches_and_the_best_thousand_stay() {
    everywhere(async |connection, prefix| {
        let analytics = Analytics::new(connection.clone(), &prefix);
        let weekly = WeeklyMetrics::new(connection.clone(), &prefix);
        for (day, sign) in [(DAYS[0], 1), (DAYS[1], 2)] {
            let mut zadd = vec!["ZADD".to_owned(), analytics.products_key(day).unwrap().as_str().to_owned()];
            for number in 0..3_000_i64 {
                zadd.extend([(number * sign).to_string(), format!("P{number}")]);
            }
            let _: i64 = connection.send(&zadd.iter().map(String::as_str).collect::<Vec<_>>()).await;
        }
        let stale = weekly.products_key(WEEK).unwrap();
        let _: i64 = connection.send(&["ZADD", stale.as_str(), "1", "STALE"]).await;
        weekly.roll_up(WEEK, &DAYS[..2]).await.unwrap();
        let top = weekly.top(WEEK, usize::MAX).await.unwrap();
        assert_eq!((top.len(), top[0].1, top[999].1), (1_000, cents(2_999 * 3), cents(2_000 * 3)));
        assert!(top.iter().all(|(sku, _)| sku != "STALE"));
    });
}
