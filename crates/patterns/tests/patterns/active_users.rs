use std::collections::BTreeSet;

use lab_testing::slots::MovingSlots;
use lab_testing::{TestConnection, prefix};
use patterns::active_users::{ActiveUsers, ActiveUsersError, MAX_USER, Retention};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::everywhere;

#[test]
fn retention_is_the_share_of_a_day_that_comes_back() {
    everywhere(async |connection, prefix| {
        let active = ActiveUsers::new(connection.clone(), &prefix);
        let mut numbers = StdRng::seed_from_u64(9);
        let days: Vec<BTreeSet<u64>> = (0..10_u64)
            .map(|ahead| (0..400).filter(|_| numbers.random_range(0..10) < 10 - ahead.min(8)).collect())
            .collect();
        let names: Vec<String> = (0..10).map(|ahead| format!("2024-02-{}", 10 + ahead)).collect();
        for (name, users) in names.iter().zip(&days) {
            let users: Vec<u64> = users.iter().copied().collect();
            active.add(name, &users).await.unwrap();
            active.add(name, &users[..users.len() / 3]).await.unwrap();
        }
        let later: Vec<&str> = names[1..].iter().map(String::as_str).collect();
        let retention = active.retention(&names[0], &later).await.unwrap();
        assert_eq!(connection.keys(&format!("{prefix}*:returned")).await, [""; 0]);
        assert_eq!(retention.cohort, days[0].len() as u64);
        assert_eq!(active.count(&names[3]).await.unwrap(), days[3].len() as u64);
        let expected: Vec<u64> =
            days[1..].iter().map(|later| later.intersection(&days[0]).count() as u64).collect();
        assert_eq!(retention.returned, expected);
        let share = expected[6] as f64 / days[0].len() as f64;
        assert_eq!(retention.share(7), Some(share));
        assert_eq!((retention.share(0), retention.share(10)), (None, None));
        // A day may even have the name of the place where intersections are made.
        let nobody = active.retention("returned", &["2030-01-02", "2030-01-03"]).await.unwrap();
        assert_eq!((nobody.cohort, nobody.share(1)), (0, Some(0.0)));

        assert_matches!(
            active.retention("x", &["y"; 101]).await,
            Err(ActiveUsersError::TooManyDays { days: 101 })
        );
        let refused = active.add("x", &[1, MAX_USER + 1]).await;
        assert_matches!(refused, Err(ActiveUsersError::NumberTooHigh { .. }));
        assert_eq!(active.count("x").await.unwrap(), 0);
        active.add("x", &(0..2_500).collect::<Vec<_>>()).await.unwrap();
        assert_eq!(active.count("x").await.unwrap(), 2_500);
        let ttl: i64 = connection.send(&["PTTL", &active.key("x").unwrap()]).await;
        assert!(ttl > 0, "{ttl}");
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn retention_is_counted_while_the_slot_of_the_days_moves() {
    let (connection, prefix) = (TestConnection::cluster().await, prefix());
    let active = ActiveUsers::new(connection, &prefix);
    let names = ["d0", "d1", "d2", "d3"];
    let users_of =
        |ahead: usize| (0..100).filter(|number| number % (ahead as u64 + 1) == 0).collect::<Vec<u64>>();
    let moving = MovingSlots::of([active.key("d0").unwrap()]);
    for (ahead, name) in names.iter().enumerate() {
        active.add(name, &users_of(ahead)).await.unwrap();
    }
    let mut callers = tokio::task::JoinSet::new();
    for caller in 0..4 {
        let (active, again) = (active.clone(), users_of(caller));
        callers.spawn(async move {
            for _ in 0..10 {
                active.add(names[caller], &again).await.unwrap();
                let right = Retention { cohort: 100, returned: vec![50, 34, 25] };
                assert_eq!(active.retention("d0", &names[1..]).await.unwrap(), right);
            }
        });
    }
    callers.join_all().await;
    let moves = moving.end();
    assert!(moves > 1, "{moves}");
}
