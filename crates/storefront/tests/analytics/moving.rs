//! Visitors, weeks and retention on a cluster whose slots move: every answer is the right one, and no error reaches anybody.

use storefront::analytics::{
    ActiveUsers, Counting, DailyMetrics, Day, Event, Metrics, Retention, UniqueVisitors, WeeklyMetrics,
};
use storefront::{Cents, CustomerId, Layout, UserId};
use tokio::task::JoinSet;

use crate::shop::moving::Moving;
use crate::shop::{Wire, own_keys};

const CALLERS: usize = 6;
const QUESTIONS: usize = 20;

fn user(number: u64) -> UserId {
    UserId::new(number + 1).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn weeks_are_added_up_and_read_while_their_slots_move() {
    let keys = own_keys(Layout::Cluster);
    let wire = Wire::cluster().await;
    let monday: Day = "2024-01-01".parse().unwrap();
    let week = monday.week();
    let daily = DailyMetrics::new(wire.clone(), keys.clone());
    for number in 0..70 {
        let on = monday.plus(number % 7).unwrap();
        let id = format!("order-{number}").parse().unwrap();
        let line = (format!("PROD{}", number % 4).parse().unwrap(), Cents::new(i64::from(number)).unwrap());
        let who: CustomerId = user(number.unsigned_abs().into()).into();
        daily.record(&Event::order(id, on, who, vec![line])).await.unwrap();
    }
    let weekly = WeeklyMetrics::new(wire.clone(), keys.clone());
    let (whole, top) = (weekly.roll_up(week).await.unwrap(), weekly.top(week, 10).await.unwrap());
    // 0 + 1 + … + 69, and 70 visitors, which a HyperLogLog of this size knows exactly or nearly.
    assert_eq!((whole.get("orders"), whole.get("revenue"), top.len()), (70, 2415, 4));
    assert!(whole.visitors.abs_diff(70) <= 2, "{whole:?}");

    let moving = Moving::slots_of([
        keys.weekly_metrics(week),
        keys.daily_metrics(monday),
        keys.daily_metrics(monday.plus(3).unwrap()),
    ]);
    let mut callers = JoinSet::new();
    for caller in 0..CALLERS {
        let (weekly, whole, top) = (weekly.clone(), whole.clone(), top.clone());
        callers.spawn(async move {
            for _ in 0..QUESTIONS {
                // Half of them add up, half of them read meanwhile; nobody sees half of a week.
                let seen: Metrics = if caller % 2 == 0 {
                    weekly.roll_up(week).await.unwrap()
                } else {
                    weekly.of(week).await.unwrap()
                };
                assert_eq!(seen.values, whole.values);
                assert_eq!(weekly.top(week, 10).await.unwrap(), top);
            }
        });
    }
    callers.join_all().await;
    let moves = moving.end();
    assert!(moves > 1, "{moves}");
    assert_eq!(weekly.of(week).await.unwrap(), whole, "{moves} moves");
}

#[tokio::test(flavor = "multi_thread")]
async fn retention_is_counted_while_the_slot_of_the_days_moves() {
    let keys = own_keys(Layout::Cluster);
    let wire = Wire::cluster().await;
    let active = ActiveUsers::new(wire, keys.clone());
    let first: Day = "2024-02-27".parse().unwrap();
    let users_of = |ahead: u64| (0..100).filter(|number| number % (ahead + 1) == 0).map(user).collect();
    let days: Vec<Vec<UserId>> = (0..4).map(users_of).collect();
    let moving = Moving::slots_of([keys.active_users(first)]);
    for (ahead, users) in (0..).zip(&days) {
        active.add(first.plus(ahead).unwrap(), users).await.unwrap();
    }
    let mut callers = JoinSet::new();
    for caller in 0..CALLERS {
        let (active, again) = (active.clone(), days[caller % 4].clone());
        let on = first.plus(i32::try_from(caller % 4).unwrap()).unwrap();
        callers.spawn(async move {
            for _ in 0..QUESTIONS {
                active.add(on, &again).await.unwrap();
                let right = Retention { cohort: 100, returned: vec![50, 34, 25] };
                assert_eq!(active.retention(first, 3).await.unwrap(), right);
            }
        });
    }
    callers.join_all().await;
    let moves = moving.end();
    assert!(moves > 1, "{moves}");
}

#[tokio::test(flavor = "multi_thread")]
async fn visitors_count_once_while_their_slots_move() {
    let keys = own_keys(Layout::Cluster);
    let wire = Wire::cluster().await;
    let day: Day = "2024-02-27".parse().unwrap();
    let moving = Moving::slots_of(Counting::ALL.map(|counting| keys.unique_visitors(counting, day)));
    let mut callers = JoinSet::new();
    for caller in 0..CALLERS {
        let counts = Counting::ALL.map(|counting| UniqueVisitors::new(wire.clone(), keys.clone(), counting));
        callers.spawn(async move {
            for turn in 0..QUESTIONS {
                let first = (turn + caller * 3) as u64 % 20 * 5;
                let visitors: Vec<UserId> = (first..first + 5).map(user).collect();
                for count in &counts {
                    count.add(day, &visitors).await.unwrap();
                }
            }
        });
    }
    callers.join_all().await;
    let moves = moving.end();
    assert!(moves > 1, "{moves}");
    for counting in Counting::ALL {
        let counted = UniqueVisitors::new(wire.clone(), keys.clone(), counting).count(day).await.unwrap();
        assert!(counted.abs_diff(100) <= if counting == Counting::HyperLogLog { 3 } else { 0 }, "{counted}");
    }
}
