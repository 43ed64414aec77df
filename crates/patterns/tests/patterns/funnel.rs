use lab_testing::faults::lossy_proxy;
use lab_testing::slots::MovingSlots;
use lab_testing::{TestConnection, prefix};
use patterns::funnel::{Funnel, FunnelError, Reached};
use patterns::script::StoreError;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::everywhere;

const STEPS: [&str; 4] = ["view", "cart", "checkout", "purchase"];

async fn visitors(funnel: &Funnel<TestConnection>) -> Vec<u64> {
    funnel.report().await.unwrap().into_iter().map(|step| step.visitors).collect()
}

#[test]
fn a_funnel_counts_each_visitor_once_for_each_step_whatever_order_events_come_in() {
    everywhere(async |connection, prefix| {
        let funnel = Funnel::named(connection, &prefix, "2024-01-01", &STEPS).unwrap();
        // Visitor n reaches step n % 4. Eight clients report the steps of all visitors at once, each in another order.
        let mut clients = tokio::task::JoinSet::new();
        for client in 0..8 {
            let funnel = funnel.clone();
            clients.spawn(async move {
                let mut numbers = StdRng::seed_from_u64(client);
                for turn in 0..40 {
                    let who = (turn * 7 + client * 13) % 40;
                    let deepest = usize::try_from(who % 4).unwrap();
                    let step = if client < 4 { deepest } else { numbers.random_range(0..=deepest) };
                    funnel.reached(&format!("user{who}"), STEPS[step]).await.unwrap();
                }
            });
        }
        clients.join_all().await;
        let report = funnel.report().await.unwrap();
        assert_eq!(report.iter().map(|step| step.visitors).collect::<Vec<_>>(), [40, 30, 20, 10]);
        let shares: Vec<f64> = report.iter().map(|step| step.of_previous).collect();
        assert_eq!(shares, [1.0, 0.75, 20.0 / 30.0, 0.5]);
        assert!((report[3].of_first - 0.25).abs() < 1e-12);
    });
}

#[test]
fn a_step_counts_for_those_before_it_and_an_unknown_one_for_none() {
    everywhere(async |connection, prefix| {
        let funnel = Funnel::today(connection.clone(), &prefix, &STEPS).unwrap();
        let reached = async |who, step| funnel.reached(who, step).await.unwrap();
        assert_eq!(reached("ann@example.com", "checkout").await, Reached::Counted { steps: 3 });
        assert_eq!(reached("ann@example.com", "view").await, Reached::Known);
        assert_eq!(reached("ann@example.com", "purchase").await, Reached::Counted { steps: 1 });
        assert_eq!(reached("ann@example.com", "purchase").await, Reached::Known);
        let unknown = funnel.reached("ann@example.com", "gift").await;
        assert_matches!(unknown, Err(FunnelError::UnknownStep { .. }));
        assert_eq!(connection.round_trips_of(reached("bob", "view")).await, 1);
        assert_eq!(connection.round_trips_of(funnel.report()).await, 1);

        let key = funnel.key().as_str();
        let _: i64 = connection.send(&["HSET", key, "cart", "many"]).await;
        let refused = funnel.reached("eve", "cart").await;
        assert_matches!(refused, Err(FunnelError::Store(StoreError::Malformed(_))));
        assert!(funnel.report().await.is_err());

        let new = |steps: &[&str]| Funnel::today(connection.clone(), &prefix, steps).map(|_| ()).unwrap_err();
        assert_matches!(new(&[]), FunnelError::NumberOfSteps { steps: 0 });
        assert_matches!(new(&["a", "a"]), FunnelError::RepeatedStep { .. });
        let many: Vec<String> = (0..17).map(|number| number.to_string()).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        assert_matches!(new(&many), FunnelError::NumberOfSteps { steps: 17 });
    });
}

#[test]
fn if_one_of_the_two_keys_is_lost_the_funnel_begins_again() {
    everywhere(async |connection, prefix| {
        let funnel = Funnel::today(connection.clone(), &prefix, &STEPS).unwrap();
        let key = funnel.key().as_str();
        for lost in [key.to_owned(), funnel.key().companion("visitors")] {
            for who in ["ann", "bob"] {
                funnel.reached(who, "cart").await.unwrap();
            }
            assert_eq!(connection.send::<i64>(&["DEL", &lost]).await, 1);
            assert_eq!(funnel.reached("ann", "view").await.unwrap(), Reached::Counted { steps: 1 });
            assert_eq!(funnel.reached("ann", "view").await.unwrap(), Reached::Known);
            assert_eq!(visitors(&funnel).await, [1, 0, 0, 0], "lost {lost}");
        }
    });
}

#[test]
fn today_ends_at_midnight_also_if_the_clock_was_ahead() {
    everywhere(async |connection, prefix| {
        let funnel = Funnel::today(connection.clone(), &prefix, &STEPS).unwrap();
        let keys = [funnel.key().as_str().to_owned(), funnel.key().companion("visitors")];
        for who in ["ann", "bob"] {
            funnel.reached(who, "view").await.unwrap();
            for key in &keys {
                let ends: i64 = connection.send(&["PEXPIRETIME", key]).await;
                assert_eq!(ends % 86_400_000, 0, "{key} after {who}");
                let ttl: i64 = connection.send(&["PTTL", key]).await;
                assert!((0..=86_400_000).contains(&ttl), "{ttl}");
                // As the clock of tomorrow would have set it.
                let later = (ends + 86_400_000).to_string();
                let _: i64 = connection.send(&["PEXPIREAT", key, &later]).await;
            }
        }
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_funnel_counts_once_when_replies_are_lost_and_while_slots_move() {
    let proxy = lossy_proxy(lab_testing::server(), 13);
    for on_cluster in [false, true] {
        let (prefix, cluster) = (prefix(), TestConnection::cluster().await);
        let name = "2024-01-01";
        let funnel = Funnel::named(cluster.clone(), &prefix, name, &STEPS).unwrap();
        let moving = on_cluster.then(|| MovingSlots::of([funnel.key().as_str()]));
        let mut clients = tokio::task::JoinSet::new();
        for client in 0..6 {
            let connection =
                if on_cluster { cluster.clone() } else { TestConnection::reconnecting(&proxy.url()).await };
            let funnel = Funnel::named(connection, &prefix, name, &STEPS).unwrap();
            clients.spawn(async move {
                let mut again = 0;
                for turn in 0..40 {
                    let who = (turn * 11 + client * 17) % 40;
                    for step in &STEPS[..=who % 4] {
                        while funnel.reached(&format!("user{who}"), step).await.is_err() {
                            again += 1;
                        }
                    }
                }
                again
            });
        }
        let again: usize = clients.join_all().await.into_iter().sum();
        match moving {
            None => assert!(again > 10, "{again}"),
            Some(moving) => assert!(moving.end() > 1 && again == 0, "{again}"),
        }
        let connection = if on_cluster { cluster } else { TestConnection::server().await };
        let funnel = Funnel::named(connection, &prefix, name, &STEPS).unwrap();
        assert_eq!(visitors(&funnel).await, [40, 30, 20, 10]);
    }
}
