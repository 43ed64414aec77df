//! What others hear of the stock: the list of updates, and an alert exactly when the threshold is crossed.

use std::time::Duration;

use redis::FromRedisValue;
use storefront::inventory::{Alert, StockUpdate, UPDATES_KEPT};
use storefront::{Inventory, Keys, Layout, ReservationId, Sku};
use tokio::task::JoinSet;

use crate::shop::{Wire, in_each_layout, own_keys, sku, units, until};

const LONG: Duration = Duration::from_mins(10);

fn id(text: &str) -> ReservationId {
    text.parse().unwrap()
}

/// Latest first.
async fn updates(wire: &Wire, keys: &Keys) -> Vec<StockUpdate> {
    let entries = wire.send(&["LRANGE", &keys.inventory_updates(), "0", "-1"]).await;
    let entries = Vec::<Vec<u8>>::from_redis_value(entries).unwrap();
    entries.iter().map(|entry| StockUpdate::parse(entry).unwrap()).collect()
}

async fn alert(wire: &Wire, keys: &Keys, product: &Sku) -> Option<f64> {
    let score = wire.send(&["ZSCORE", &keys.low_stock_alerts(), product.as_str()]).await;
    Option::from_redis_value(score).unwrap()
}

/// Oldest first: what was raised and cleared.
async fn crossings(wire: &Wire, keys: &Keys) -> Vec<Alert> {
    updates(wire, keys).await.iter().rev().filter_map(|update| update.alert).collect()
}

#[tokio::test]
async fn the_alert_is_raised_at_the_threshold_and_cleared_above_it() {
    in_each_layout(async |wire, keys| {
        let inventory = Inventory::new(wire.clone(), keys.clone());
        let product = sku("PROD123");
        inventory.set_up(&product, 10, Some(5)).await.unwrap();
        inventory.reserve(&product, &id("a"), units(4), LONG).await.unwrap();
        assert_eq!(alert(&wire, &keys, &product).await, None);
        inventory.reserve(&product, &id("b"), units(1), LONG).await.unwrap();
        assert_eq!(alert(&wire, &keys, &product).await, Some(5.0));
        inventory.reserve(&product, &id("c"), units(3), LONG).await.unwrap();
        inventory.sweep(&product).await.unwrap();
        assert_eq!(alert(&wire, &keys, &product).await, Some(2.0), "the level is kept up to date");
        inventory.release(&product, &id("a")).await.unwrap();
        assert_eq!(alert(&wire, &keys, &product).await, None, "cleared by a release");
        inventory.reserve(&product, &id("d"), units(2), Duration::from_millis(40)).await.unwrap();
        assert_eq!(alert(&wire, &keys, &product).await, Some(4.0));
        until("cleared by an expiry", async || {
            inventory.level(&product).await.unwrap();
            alert(&wire, &keys, &product).await.is_none()
        })
        .await;
        inventory.reserve(&product, &id("e"), units(6), LONG).await.unwrap();
        inventory.restock(&product, &"delivery".parse().unwrap(), 100).await.unwrap();
        assert_eq!(alert(&wire, &keys, &product).await, None, "cleared by a restock");
        inventory.set_up(&product, 0, Some(100)).await.unwrap();
        assert_eq!(alert(&wire, &keys, &product).await, Some(100.0), "raised by another threshold");
        inventory.set_up(&product, 0, None).await.unwrap();
        assert_eq!(alert(&wire, &keys, &product).await, None, "no threshold, no alert");

        let (raised, cleared) = (Alert::Raised, Alert::Cleared);
        let expected = [raised, cleared, raised, cleared, raised, cleared, raised, cleared];
        assert_eq!(crossings(&wire, &keys).await, expected);
        let numbers: Vec<u64> = updates(&wire, &keys).await.iter().rev().map(|update| update.n).collect();
        assert_eq!(numbers, (1..=numbers.len() as u64).collect::<Vec<_>>(), "each change once, in order");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crowd_that_crosses_the_threshold_raises_one_alert_for_each_crossing() {
    in_each_layout(async |wire, keys| {
        let inventory = Inventory::new(wire.clone(), keys.clone());
        let product = sku("PROD123");
        inventory.set_up(&product, 60, Some(30)).await.unwrap();
        let mut clients = JoinSet::new();
        for client in 0..40 {
            let (inventory, product) = (inventory.clone(), product.clone());
            clients.spawn(async move {
                for round in 0..4 {
                    let id = id(&format!("c{client}-{round}"));
                    if inventory.reserve(&product, &id, units(1 + client % 3), LONG).await.is_ok() {
                        inventory.release(&product, &id).await.unwrap();
                    }
                }
            });
        }
        clients.join_all().await;
        inventory.sweep(&product).await.unwrap();
        let updates = updates(&wire, &keys).await;
        // What each change says of itself is held against what one sees in the levels.
        let mut low = false;
        let mut seen = 0;
        for (n, update) in updates.iter().rev().enumerate() {
            assert_eq!(update.n, n as u64 + 1, "each change once, in order");
            assert_eq!(update.free + update.held + update.sold, 60);
            let crossed = (update.free <= 30) != low;
            low = update.free <= 30;
            let expected = crossed.then_some(if low { Alert::Raised } else { Alert::Cleared });
            assert_eq!(update.alert, expected, "{update:?}");
            seen += usize::from(crossed);
        }
        assert!(seen >= 2, "only {seen} crossings");
        assert_eq!(alert(&wire, &keys, &product).await, None);
    })
    .await;
}

#[tokio::test]
async fn the_list_of_updates_stays_capped() {
    in_each_layout(async |wire, keys| {
        let inventory = Inventory::new(wire.clone(), keys.clone());
        let product = sku("PROD123");
        inventory.set_up(&product, 99, None).await.unwrap();
        for round in 0..UPDATES_KEPT / 50 + 5 {
            let turns = (0..50).map(async |n| {
                let id = id(&format!("r{round}-{n}"));
                inventory.reserve(&product, &id, units(1), LONG).await.unwrap();
                inventory.release(&product, &id).await.unwrap();
            });
            futures_util::future::join_all(turns).await;
        }
        let waiting = wire.send(&["LLEN", &keys.inventory(&product).outbox]).await;
        assert!(usize::from_redis_value(waiting).unwrap() <= UPDATES_KEPT + 100);
        inventory.sweep(&product).await.unwrap();
        let updates = updates(&wire, &keys).await;
        assert!((UPDATES_KEPT..=UPDATES_KEPT + 100).contains(&updates.len()), "{}", updates.len());
        assert!(updates.windows(2).all(|pair| pair[0].n == pair[1].n + 1), "without a gap");
    })
    .await;
}

#[tokio::test]
async fn on_a_cluster_a_deliverer_who_dies_or_comes_late_loses_and_doubles_nothing() {
    let (wire, keys) = (Wire::cluster().await, own_keys(Layout::Cluster));
    let inventory = Inventory::new(wire.clone(), keys.clone());
    let product = sku("PROD123");
    inventory.set_up(&product, 10, Some(5)).await.unwrap();
    inventory.reserve(&product, &id("a"), units(1), LONG).await.unwrap();
    // Each of these is cut off after one more step.
    inventory.read_outbox(&product).await.unwrap();
    inventory.reserve(&product, &id("b"), units(1), LONG).await.unwrap();
    let late = inventory.read_outbox(&product).await.unwrap();
    assert_eq!(inventory.deliver_outbox(&late).await.unwrap(), 3, "set up, and two holds");
    inventory.reserve(&product, &id("c"), units(4), LONG).await.unwrap();
    assert_eq!(alert(&wire, &keys, &product).await, Some(4.0));
    // Now he comes, with a stock that was not low yet.
    assert_eq!(inventory.deliver_outbox(&late).await.unwrap(), 0);
    inventory.empty_outbox(&late).await.unwrap();
    assert_eq!(alert(&wire, &keys, &product).await, Some(4.0));
    inventory.sweep_all().await.unwrap();
    let numbers: Vec<u64> = updates(&wire, &keys).await.iter().rev().map(|update| update.n).collect();
    assert_eq!(numbers, [1, 2, 3, 4]);
    assert_eq!(crossings(&wire, &keys).await, [Alert::Raised]);
}

#[tokio::test]
async fn on_a_cluster_an_alert_whose_raiser_died_is_delivered_by_the_sweeper() {
    let (wire, keys) = (Wire::cluster().await, own_keys(Layout::Cluster));
    let inventory = Inventory::new(wire.clone(), keys.clone());
    let product = sku("PROD123");
    inventory.set_up(&product, 10, Some(5)).await.unwrap();
    // The list stands in the way, so the delivery fails as if the buyer had died before it; the reservation holds.
    wire.send(&["DEL", &keys.inventory_updates()]).await;
    wire.send(&["SET", &keys.inventory_updates(), "in the way"]).await;
    inventory.reserve(&product, &id("a"), units(6), LONG).await.unwrap();
    assert_eq!(alert(&wire, &keys, &product).await, None);
    wire.send(&["DEL", &keys.inventory_updates()]).await;
    inventory.sweep_all().await.unwrap();
    assert_eq!(alert(&wire, &keys, &product).await, Some(4.0));
    assert_eq!(crossings(&wire, &keys).await, [Alert::Raised]);
}
