use std::collections::{BTreeMap, BTreeSet};

use lab_testing::faults::lossy_proxy;
use lab_testing::slots::MovingSlots;
use lab_testing::{TestConnection, prefix};
use patterns::bought_together::{BoughtTogether, MAX_PAIRED};
use patterns::script::StoreError;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::{connections, everywhere};

const CLIENTS: usize = 8;
const ORDERS: usize = 120;

/// One to four of nine products.
fn products(order: usize) -> Vec<String> {
    let first = order * 5 % 9;
    (0..=order % 4).map(|of| format!("P{}", (first + of * 2) % 9)).collect()
}

/// Every client sends every order until it is answered. Returns how often one had to be sent again.
async fn send_all(connections: Vec<TestConnection>, prefix: &str) -> usize {
    let mut clients = tokio::task::JoinSet::new();
    for (client, connection) in connections.into_iter().enumerate() {
        let together = BoughtTogether::new(connection, prefix);
        clients.spawn(async move {
            let mut again = 0;
            for turn in 0..ORDERS {
                let order = (turn + client * 31) % ORDERS;
                let skus = products(order);
                let skus: Vec<&str> = skus.iter().map(String::as_str).collect();
                while together.count(&format!("ORD-{order}"), &skus).await.is_err() {
                    again += 1;
                }
            }
            again
        });
    }
    clients.join_all().await.into_iter().sum()
}

async fn pairs_are_those_of_distinct_orders(connection: &TestConnection, prefix: &str) {
    let mut expected = BTreeMap::<(String, String), f64>::new();
    for order in 0..ORDERS {
        for one in products(order) {
            for other in products(order) {
                *expected.entry((one.clone(), other)).or_default() += 1.0;
            }
        }
    }
    let together = BoughtTogether::new(connection.clone(), prefix);
    let mut counted = BTreeMap::new();
    for one in (0..9).map(|number| format!("P{number}")) {
        let key = together.key(&one).unwrap();
        let stored: Vec<(String, f64)> =
            connection.send(&["ZRANGE", key.as_str(), "0", "-1", "WITHSCORES"]).await;
        counted.extend(stored.into_iter().map(|(other, shared)| ((one.clone(), other), shared)));
    }
    assert_eq!(counted, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn orders_count_once_when_replies_are_lost_and_clients_send_again() {
    let prefix = prefix();
    let proxy = lossy_proxy(lab_testing::server(), 17);
    let connections = connections(CLIENTS, async || TestConnection::reconnecting(&proxy.url()).await).await;
    let again = send_all(connections, &prefix).await;
    assert!(again > 10 && proxy.cuts() > 10, "{again} sent again, {} cuts", proxy.cuts());
    pairs_are_those_of_distinct_orders(&TestConnection::server().await, &prefix).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn orders_count_once_on_a_cluster_whose_slots_move() {
    let prefix = prefix();
    let connection = TestConnection::cluster().await;
    let together = BoughtTogether::new(connection.clone(), &prefix);
    let moving = MovingSlots::of(["P0", "P3"].map(|sku| together.key(sku).unwrap().as_str().to_owned()));
    let again = send_all(vec![connection.clone(); CLIENTS], &prefix).await;
    let moves = moving.end();
    assert!(again == 0 && moves > 1, "{again} sent again, {moves} moves");
    pairs_are_those_of_distinct_orders(&connection, &prefix).await;
}

#[test]
fn what_is_bought_together_is_the_cosine_of_their_orders() {
    everywhere(async |connection, prefix| {
        let together = BoughtTogether::new(connection.clone(), &prefix);
        let mut numbers = StdRng::seed_from_u64(11);
        let (mut pairs, mut orders) =
            (BTreeMap::<(String, String), f64>::new(), BTreeMap::<String, f64>::new());
        for order in 0..80 {
            // BEST is in every second order; the others come in groups of four.
            let group = numbers.random_range(0..3);
            let mut bought: BTreeSet<String> = (0..=numbers.random_range(0..3))
                .map(|_| format!("{group}-{}", numbers.random_range(0..4)))
                .collect();
            if numbers.random_range(0..2) == 0 {
                bought.insert("BEST".into());
            }
            for one in &bought {
                *orders.entry(one.clone()).or_default() += 1.0;
                for other in bought.iter().filter(|other| *other != one) {
                    *pairs.entry((one.clone(), other.clone())).or_default() += 1.0;
                }
            }
            let twice: Vec<&str> = bought.iter().chain(&bought).map(String::as_str).collect();
            assert_eq!(together.count(&format!("ORD-{order}"), &twice).await.unwrap(), bought.len());
            assert_eq!(together.count(&format!("ORD-{order}"), &twice).await.unwrap(), 0);
        }
        for one in orders.keys() {
            let mut expected: Vec<(String, f64)> = pairs
                .iter()
                .filter(|((seed, _), shared)| seed == one && **shared >= 2.0)
                .map(|((_, other), shared)| (other.clone(), shared / (orders[one] * orders[other]).sqrt()))
                .collect();
            expected.sort_by(|a, b| b.1.total_cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
            let found = together.with(one, 100).await.unwrap();
            assert_eq!(found.len(), expected.len());
            for (found, (sku, score)) in found.iter().zip(&expected) {
                assert!(found.sku == *sku && (found.score - score).abs() < 1e-12, "{found:?} {sku} {score}");
            }
        }
        let many: Vec<String> = (100..150).map(|number| format!("P{number}")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        assert_eq!(together.count("BIG", &many).await.unwrap(), MAX_PAIRED);
        assert_eq!(together.count("NONE", &[]).await.unwrap(), 0);
        assert_eq!(together.with("NOBODY", 5).await.unwrap(), []);
        assert_eq!(together.with_all(&[], 5).await.unwrap(), []);
    });
}

#[test]
fn an_order_that_was_cut_off_between_products_is_completed_by_sending_it_again() {
    everywhere(async |connection, prefix| {
        let together = BoughtTogether::new(connection.clone(), &prefix);
        let all = ["A", "B", "C"];
        together.count("ORD-1", &all).await.unwrap();
        for done in 1..3 {
            for sku in &all[done..] {
                let key = together.key(sku).unwrap();
                let _: i64 = connection.send(&["DEL", key.as_str(), &key.companion("orders")]).await;
            }
            assert_eq!(together.count("ORD-1", &all).await.unwrap(), 3 - done);
        }
        for sku in all {
            let key = together.key(sku).unwrap();
            assert_eq!(connection.send::<String>(&["ZSCORE", key.as_str(), sku]).await, "1");
        }
    });
}

#[test]
fn memory_stays_bounded_and_a_lost_key_makes_no_score_above_1() {
    everywhere(async |connection, prefix| {
        let together = BoughtTogether::new(connection.clone(), &prefix);
        for order in 0..350 {
            let other = if order % 3 == 0 { "OFTEN".into() } else { format!("P{order}") };
            together.count(&format!("o{order}"), &["HUB", &other]).await.unwrap();
        }
        let hub = together.key("HUB").unwrap();
        let size: u64 = connection.send(&["ZCARD", hub.as_str()]).await;
        assert!(size <= 204, "{size}");
        assert_eq!(together.with("HUB", 1).await.unwrap()[0].sku, "OFTEN");
        assert_eq!(connection.send::<String>(&["ZSCORE", hub.as_str(), "HUB"]).await, "350");
        // A clock that was ahead lets no ID of an order go early: they are scored by a number that counts up.
        let orders = hub.companion("orders");
        let last: Vec<(String, f64)> = connection.send(&["ZREVRANGE", &orders, "0", "0", "WITHSCORES"]).await;
        assert_eq!(last, [("o349".to_owned(), 350.0)]);

        let _: i64 = connection.send(&["DEL", hub.as_str()]).await;
        together.count("o350", &["HUB", "OFTEN"]).await.unwrap();
        let scores = together.with("OFTEN", 1).await.unwrap();
        assert!(scores[0].score <= 1.0, "{scores:?}");

        let _: () = connection.send(&["SET", together.key("FOREIGN").unwrap().as_str(), "mine"]).await;
        assert_matches!(together.count("o", &["FOREIGN", "OTHER"]).await, Err(StoreError::WrongType(_)));
        assert_eq!(connection.round_trips_of(together.count("o351", &["A", "B"])).await, 2);
    });
}
