use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::future::join_all;
use lab_server::{Replicated, Server};
use lab_testing::faults::lossy_proxy;
use lab_testing::{TestConnection, prefix, until};
use patterns::inventory::{
    Alert, Extended, Inventory, InventoryError, Level, SetUp, Settled, StockUpdate, UPDATES_KEPT, shard,
};
use patterns::script::StoreError;
use redis::Value;
use tokio::task::JoinSet;

use crate::{dumps, everywhere};

const LONG: Duration = Duration::from_mins(10);
const SHORT: Duration = Duration::from_millis(30);
const PRODUCT: &str = "PROD 123:{ä}";

fn level(free: u64, held: u64, sold: u64) -> Level {
    Level { free, held, sold }
}

async fn stock(connection: &TestConnection, prefix: &str, units: u64) -> Inventory<TestConnection> {
    let inventory = Inventory::new(connection.clone(), prefix);
    assert_matches!(inventory.set_up(PRODUCT, units, None).await.unwrap(), SetUp::Created(_));
    inventory
}

fn key(inventory: &Inventory<TestConnection>, companion: &str) -> String {
    let key = inventory.key(PRODUCT).unwrap();
    if companion == "stock" { key.as_str().to_owned() } else { key.companion(companion) }
}

/// What a plain reader sees.
async fn plain_count(connection: &TestConnection, inventory: &Inventory<TestConnection>) -> Option<u64> {
    connection.send(&["GET", &key(inventory, "stock")]).await
}

/// Oldest first.
async fn feed(connection: &TestConnection, inventory: &Inventory<TestConnection>) -> Vec<StockUpdate> {
    inventory.sweep(PRODUCT).await.unwrap();
    let list = inventory.updates_key().unwrap();
    let entries: Vec<String> = connection.send(&["LRANGE", list.as_str(), "0", "-1"]).await;
    entries.iter().rev().map(|entry| serde_json::from_str(entry).unwrap()).collect()
}

async fn alert(connection: &TestConnection, inventory: &Inventory<TestConnection>) -> Option<f64> {
    connection.send(&["ZSCORE", inventory.alerts_key().unwrap().as_str(), PRODUCT]).await
}

/// Sets a hold's end, as if its time were over.
async fn end_hold(connection: &TestConnection, inventory: &Inventory<TestConnection>, id: &str) {
    let changed: i64 =
        connection.send(&["ZADD", &key(inventory, "deadlines"), "XX", "CH", "1", &format!("r:{id}")]).await;
    assert_eq!(changed, 1, "{id} is not held");
}

#[test]
fn units_are_free_held_or_sold_and_each_step_may_be_repeated() {
    everywhere(async |connection, prefix| {
        let inventory = stock(&connection, &prefix, 10).await;
        for again in [false, true] {
            let held = inventory.reserve(PRODUCT, "ann", 3, LONG).await.unwrap();
            assert_eq!((held.free, held.again), (7, again));
        }
        assert_eq!(inventory.level(PRODUCT).await.unwrap(), level(7, 3, 0));
        for again in [false, true] {
            let sold = inventory.confirm(PRODUCT, "ann").await.unwrap();
            assert_eq!(sold, Settled { units: 3, again });
        }
        inventory.reserve(PRODUCT, "bob@example.com", 2, LONG).await.unwrap();
        for again in [false, true] {
            let released = inventory.release(PRODUCT, "bob@example.com").await.unwrap();
            assert_eq!(released, Settled { units: 2, again });
        }
        for _ in 0..2 {
            assert_eq!(inventory.restock(PRODUCT, "delivery-1", 5).await.unwrap(), level(12, 0, 3));
        }
        for again in [false, true] {
            assert_eq!(inventory.take_back(PRODUCT, "ann").await.unwrap().again, again);
        }
        assert_eq!(inventory.level(PRODUCT).await.unwrap(), level(15, 0, 0));
        assert_eq!(plain_count(&connection, &inventory).await, Some(15));
    });
}

#[test]
fn the_same_id_always_gets_the_same_answer() {
    everywhere(async |connection, prefix| {
        let inventory = stock(&connection, &prefix, 10).await;
        let first = inventory.reserve(PRODUCT, "ann", 3, LONG).await.unwrap();
        let second = inventory.reserve(PRODUCT, "ann", 3, SHORT).await.unwrap();
        assert_eq!((first.free, first.until_ms), (second.free, second.until_ms), "the first time counts");
        let other = inventory.reserve(PRODUCT, "ann", 4, LONG).await;
        assert_matches!(other, Err(InventoryError::OtherQuantity { held: 3, asked: 4 }));
        inventory.confirm(PRODUCT, "ann").await.unwrap();
        let spent = inventory.reserve(PRODUCT, "ann", 3, LONG).await;
        assert_matches!(spent, Err(InventoryError::Sold { units: 3 }), "a spent ID buys nothing");
        assert_matches!(inventory.release(PRODUCT, "ann").await, Err(InventoryError::Sold { units: 3 }));
        assert_eq!(inventory.level(PRODUCT).await.unwrap(), level(7, 0, 3));
    });
}

#[test]
fn a_buyer_who_asks_for_too_much_gets_nothing_and_hears_how_much_there_is() {
    everywhere(async |connection, prefix| {
        let inventory = stock(&connection, &prefix, 3).await;
        let refused = inventory.reserve(PRODUCT, "ann", 4, LONG).await;
        assert_matches!(refused, Err(InventoryError::OutOfStock { available: 3 }));
        inventory.reserve(PRODUCT, "ann", 3, LONG).await.unwrap();
        let refused = inventory.reserve(PRODUCT, "bob", 1, LONG).await;
        assert_matches!(refused, Err(InventoryError::OutOfStock { available: 0 }));
        let missing = inventory.reserve("GHOST", "ann", 1, LONG).await;
        assert_matches!(missing, Err(InventoryError::UnknownProduct(_)));
        assert_matches!(inventory.reserve(PRODUCT, "a", 0, LONG).await, Err(InventoryError::NoUnits));
        for id in [String::new(), "x".repeat(513)] {
            let refused = inventory.reserve(PRODUCT, &id, 1, LONG).await;
            assert_matches!(refused, Err(InventoryError::Store(StoreError::Key(_))));
        }
    });
}

#[test]
fn an_unknown_id_that_is_released_is_spent_for_the_retry_window_and_one_that_is_confirmed_leaves_nothing() {
    everywhere(async |connection, prefix| {
        let inventory = stock(&connection, &prefix, 1).await;
        let before: usize = connection.send(&["HLEN", &key(&inventory, "ledger")]).await;
        assert_matches!(inventory.confirm(PRODUCT, "nobody").await, Err(InventoryError::UnknownReservation));
        assert_eq!(connection.send::<usize>(&["HLEN", &key(&inventory, "ledger")]).await, before);

        assert_eq!(inventory.release(PRODUCT, "ann").await.unwrap(), Settled { units: 0, again: false });
        assert_matches!(inventory.reserve(PRODUCT, "ann", 1, LONG).await, Err(InventoryError::Released));
        assert_eq!(inventory.level(PRODUCT).await.unwrap(), level(1, 0, 0));

        let hasty = inventory.clone().with_retry_window(SHORT);
        hasty.release(PRODUCT, "bob").await.unwrap();
        let record = ["HEXISTS", &key(&inventory, "ledger"), "r:bob"];
        until("it is forgotten", async || {
            hasty.sweep(PRODUCT).await.unwrap();
            !connection.send::<bool>(&record).await
        })
        .await;
    });
}

#[test]
fn expired_holds_return_exactly_once() {
    everywhere(async |connection, prefix| {
        let inventory = stock(&connection, &prefix, 10).await;
        for n in 0..5 {
            inventory.reserve(PRODUCT, &format!("r{n}"), 1, SHORT).await.unwrap();
        }
        until("the holds have expired", async || inventory.level(PRODUCT).await.unwrap().held == 0).await;
        for _ in 0..3 {
            assert_eq!(inventory.level(PRODUCT).await.unwrap(), level(10, 0, 0));
            inventory.sweep(PRODUCT).await.unwrap();
        }
        assert_matches!(inventory.confirm(PRODUCT, "r0").await, Err(InventoryError::Expired));
        assert_matches!(inventory.extend(PRODUCT, "r1", LONG).await, Err(InventoryError::Expired));
        assert_matches!(inventory.reserve(PRODUCT, "r2", 1, LONG).await, Err(InventoryError::Expired));
        assert!(inventory.release(PRODUCT, "r3").await.unwrap().again, "it is free already");
        assert_eq!(inventory.level(PRODUCT).await.unwrap(), level(10, 0, 0));
        // Who has paid gets the units all the same, while there are enough; also an ID that was forgotten.
        for again in [false, true] {
            assert_eq!(inventory.confirm_late(PRODUCT, "r4", 1).await.unwrap(), Settled { units: 1, again });
        }
        inventory.confirm_late(PRODUCT, "forgotten", 2).await.unwrap();
        inventory.reserve(PRODUCT, "ann", 7, LONG).await.unwrap();
        let late = inventory.confirm_late(PRODUCT, "r1", 1).await;
        assert_matches!(late, Err(InventoryError::OutOfStock { available: 0 }));
        inventory.release(PRODUCT, "given up").await.unwrap();
        assert_matches!(inventory.confirm_late(PRODUCT, "given up", 1).await, Err(InventoryError::Released));
        assert_eq!(inventory.level(PRODUCT).await.unwrap(), level(0, 7, 3));
        assert_eq!(plain_count(&connection, &inventory).await, Some(0));
    });
}

#[test]
fn the_next_buyer_gets_what_has_expired() {
    everywhere(async |connection, prefix| {
        let inventory = stock(&connection, &prefix, 10).await;
        inventory.reserve(PRODUCT, "long", 1, LONG).await.unwrap();
        inventory.reserve(PRODUCT, "ann", 9, SHORT).await.unwrap();
        end_hold(&connection, &inventory, "ann").await;
        // Also when enough would be free without it.
        inventory.restock(PRODUCT, "d", 5).await.unwrap();
        assert_eq!(inventory.reserve(PRODUCT, "bob", 1, LONG).await.unwrap().free, 13);
        assert_matches!(inventory.confirm(PRODUCT, "ann").await, Err(InventoryError::Expired));
    });
}

#[test]
fn an_extended_hold_is_never_shortened_and_outlives_its_first_end() {
    everywhere(async |connection, prefix| {
        let inventory = stock(&connection, &prefix, 10).await;
        let first = inventory.reserve(PRODUCT, "ann", 2, LONG).await.unwrap();
        let longer = inventory.extend(PRODUCT, "ann", 2 * LONG).await.unwrap();
        assert!(longer.until_ms > first.until_ms);
        assert_eq!(
            inventory.extend(PRODUCT, "ann", SHORT).await.unwrap(),
            Extended { units: 2, until_ms: longer.until_ms }
        );
        let ends: u64 = connection.send(&["ZSCORE", &key(&inventory, "deadlines"), "r:ann"]).await;
        assert_eq!(ends, longer.until_ms);
        inventory.confirm(PRODUCT, "ann").await.unwrap();
        assert_matches!(
            inventory.extend(PRODUCT, "bob", LONG).await,
            Err(InventoryError::UnknownReservation)
        );
    });
}

#[test]
fn a_sweeper_visits_only_what_is_due_and_makes_the_plain_counts_right() {
    everywhere(async |connection, prefix| {
        let inventory = Inventory::new(connection.clone(), &prefix);
        let products: Vec<String> = (0..60).map(|n| format!("P{n}")).collect();
        for product in &products {
            inventory.set_up(product, 10, None).await.unwrap();
        }
        // The first visits find the changes of setting up, so they come again a second later; then nothing is due.
        until("nothing is due", async || inventory.sweep_all().await.unwrap().products == 0).await;
        until("all were visited again", async || {
            inventory.sweep_all().await.unwrap();
            let mut planned = 0;
            for shard in 0..16 {
                let key = inventory.due_key(shard).unwrap();
                let time: (u64, u64) = connection.send(&["TIME"]).await;
                let later = (time.0 * 1000 + 60_000).to_string();
                planned += connection.send::<usize>(&["ZCOUNT", key.as_str(), &later, "+inf"]).await;
            }
            planned == products.len()
        })
        .await;
        let sweeps = inventory.clone();
        let sweeper = tokio::spawn(async move {
            sweeps.run_sweeper(Duration::from_millis(20), |swept| assert!(swept.is_ok())).await;
        });
        for product in &products {
            inventory.reserve(product, "ann", 4, SHORT * 5).await.unwrap();
        }
        until("all plain counts are full again", async || {
            let mut full = true;
            for product in &products {
                let key = inventory.key(product).unwrap();
                full &= connection.send::<u64>(&["GET", key.as_str()]).await == 10;
            }
            full
        })
        .await;
        sweeper.abort();
    });
}

#[test]
fn many_holds_that_expire_together_return_in_steps_of_bounded_length() {
    everywhere(async |connection, prefix| {
        let inventory = stock(&connection, &prefix, 1_000).await;
        let mut due = redis::cmd("ZADD");
        due.arg(key(&inventory, "deadlines"));
        for some in 0..7 {
            let ids: Vec<String> = (0..100).map(|n| format!("{some}-{n}")).collect();
            for held in join_all(ids.iter().map(|id| inventory.reserve(PRODUCT, id, 1, LONG))).await {
                held.unwrap();
            }
            for id in &ids {
                due.arg(1).arg(format!("r:{id}"));
            }
        }
        due.exec_async(&mut connection.clone()).await.unwrap();
        assert_eq!(inventory.level(PRODUCT).await.unwrap(), level(1_000, 0, 0));
        let updates = feed(&connection, &inventory).await;
        assert_eq!(updates.last().unwrap().event, "expired");
        assert!(updates.windows(2).all(|pair| pair[1].previous == pair[0].version), "without a gap");
    });
}

#[test]
fn settled_ids_are_forgotten_after_the_retry_window_and_nothing_else_is() {
    everywhere(async |connection, prefix| {
        let inventory = stock(&connection, &prefix, 100).await;
        inventory.reserve(PRODUCT, "held", 1, LONG).await.unwrap();
        inventory.restock(PRODUCT, "delivery", 1).await.unwrap();
        let hasty = inventory.clone().with_retry_window(SHORT);
        for n in 0..40 {
            hasty.reserve(PRODUCT, &n.to_string(), 1, LONG).await.unwrap();
            hasty.confirm(PRODUCT, &n.to_string()).await.unwrap();
        }
        until("all but the delivery are forgotten", async || {
            hasty.sweep(PRODUCT).await.unwrap();
            connection.send::<usize>(&["ZCARD", &key(&inventory, "settled")]).await == 1
        })
        .await;
        assert_eq!(connection.send::<usize>(&["HLEN", &key(&inventory, "ledger")]).await, 6 + 2);
        assert_matches!(inventory.confirm(PRODUCT, "1").await, Err(InventoryError::UnknownReservation));
        assert_eq!(inventory.restock(PRODUCT, "delivery", 1).await.unwrap(), level(60, 1, 40));
        inventory.confirm(PRODUCT, "held").await.unwrap();
    });
}

#[test]
fn the_alert_is_raised_at_the_threshold_and_cleared_above_it() {
    everywhere(async |connection, prefix| {
        let inventory = Inventory::new(connection.clone(), &prefix);
        let now = async || alert(&connection, &inventory).await;
        inventory.set_up(PRODUCT, 10, Some(5)).await.unwrap();
        inventory.reserve(PRODUCT, "a", 4, LONG).await.unwrap();
        assert_eq!(now().await, None);
        inventory.reserve(PRODUCT, "b", 1, LONG).await.unwrap();
        assert_eq!(now().await, Some(5.0));
        inventory.reserve(PRODUCT, "c", 3, LONG).await.unwrap();
        inventory.sweep(PRODUCT).await.unwrap();
        assert_eq!(now().await, Some(2.0), "the level is kept up to date");
        inventory.release(PRODUCT, "a").await.unwrap();
        assert_eq!(now().await, None, "cleared by a release");
        inventory.reserve(PRODUCT, "d", 2, LONG).await.unwrap();
        assert_eq!(now().await, Some(4.0));
        end_hold(&connection, &inventory, "d").await;
        inventory.level(PRODUCT).await.unwrap();
        assert_eq!(now().await, None, "cleared by an expiry");
        inventory.reserve(PRODUCT, "e", 6, LONG).await.unwrap();
        inventory.restock(PRODUCT, "delivery", 100).await.unwrap();
        assert_eq!(now().await, None, "cleared by a restock");
        inventory.set_up(PRODUCT, 0, Some(100)).await.unwrap();
        assert_eq!(now().await, Some(100.0), "raised by another threshold");
        connection.send::<()>(&["DEL", inventory.alerts_key().unwrap().as_str()]).await;
        inventory.sweep(PRODUCT).await.unwrap();
        assert_eq!(now().await, Some(100.0), "the sweeper writes what was lost");
        inventory.set_up(PRODUCT, 0, None).await.unwrap();
        assert_eq!(now().await, None, "no threshold, no alert");

        let crossings: Vec<Alert> =
            feed(&connection, &inventory).await.iter().filter_map(|update| update.alert).collect();
        let (raised, cleared) = (Alert::Raised, Alert::Cleared);
        assert_eq!(crossings, [raised, cleared, raised, cleared, raised, cleared, raised, cleared]);
    });
}

#[test]
fn each_change_of_a_crowd_is_in_the_feed_once_in_order_with_its_level() {
    everywhere(async |connection, prefix| {
        let inventory = Inventory::new(connection.clone(), &prefix);
        inventory.set_up(PRODUCT, 60, Some(30)).await.unwrap();
        let mut clients = JoinSet::new();
        for client in 0..30 {
            let inventory = inventory.clone();
            clients.spawn(async move {
                for round in 0..4 {
                    let id = format!("c{client}-{round}");
                    if inventory.reserve(PRODUCT, &id, 1 + client % 3, LONG).await.is_ok() {
                        inventory.release(PRODUCT, &id).await.unwrap();
                    }
                }
            });
        }
        for _ in 0..2 {
            let inventory = inventory.clone();
            clients.spawn(async move {
                for _ in 0..20 {
                    inventory.sweep(PRODUCT).await.unwrap();
                }
            });
        }
        clients.join_all().await;
        let updates = feed(&connection, &inventory).await;
        let (mut now, mut previous, mut low) = (level(60, 0, 0), 0, false);
        for update in &updates {
            assert_eq!(update.previous, previous, "each change once, in order");
            previous = update.version;
            match update.event.as_str() {
                "held" => now = level(now.free - update.units, now.held + update.units, 0),
                "released" => now = level(now.free + update.units, now.held - update.units, 0),
                other => assert_eq!(other, "set_up"),
            }
            assert_eq!(level(update.free, update.held, update.sold), now, "{update:?}");
            let crossed = (now.free <= 30) != low;
            low = now.free <= 30;
            let expected = crossed.then_some(if low { Alert::Raised } else { Alert::Cleared });
            assert_eq!(update.alert, expected, "{update:?}");
        }
        assert_eq!(updates.last().unwrap().free, 60);
        assert_eq!(alert(&connection, &inventory).await, None);
    });
}

#[test]
fn outbox_and_feed_stay_capped_without_a_sweeper() {
    everywhere(async |connection, prefix| {
        let inventory = stock(&connection, &prefix, 99).await;
        for round in 0..26 {
            let changes = (0..25).map(async |n| {
                let id = format!("{round}-{n}");
                inventory.reserve(PRODUCT, &id, 1, LONG).await.unwrap();
                inventory.release(PRODUCT, &id).await.unwrap();
            });
            join_all(changes).await;
        }
        assert!(connection.send::<usize>(&["LLEN", &key(&inventory, "outbox")]).await <= 1_200);
        // Entries of another program are skipped.
        connection.send::<()>(&["RPUSH", &key(&inventory, "outbox"), "junk"]).await;
        let updates = feed(&connection, &inventory).await;
        assert_eq!(connection.send::<usize>(&["LLEN", &key(&inventory, "outbox")]).await, 0);
        assert_eq!(updates.len(), UPDATES_KEPT);
        assert!(updates.windows(2).all(|pair| pair[1].previous == pair[0].version), "without a gap");
        let last = updates.last().unwrap();
        assert_eq!((last.event.as_str(), last.free), ("released", 99));
    });
}

#[test]
fn a_feed_that_has_seen_a_future_that_never_happened_takes_the_present() {
    everywhere(async |connection, prefix| {
        let inventory = Inventory::new(connection.clone(), &prefix);
        inventory.set_up(PRODUCT, 10, Some(5)).await.unwrap();
        inventory.sweep(PRODUCT).await.unwrap();
        for root in [inventory.updates_key().unwrap(), inventory.alerts_key().unwrap()] {
            let versions = root.companion("versions");
            let seen: u64 = connection.send(&["HGET", &versions, PRODUCT]).await;
            let tomorrow = (seen + 86_400_000_000).to_string();
            connection.send::<()>(&["HSET", &versions, PRODUCT, &tomorrow]).await;
        }
        inventory.reserve(PRODUCT, "ann", 6, LONG).await.unwrap();
        assert_eq!(alert(&connection, &inventory).await, Some(4.0));
        assert_eq!(feed(&connection, &inventory).await.last().unwrap().event, "held");
    });
}

#[test]
fn a_lost_copy_is_written_again_and_a_lost_ledger_is_restored_without_phantom_units() {
    everywhere(async |connection, prefix| {
        let inventory = stock(&connection, &prefix, 10).await;
        inventory.reserve(PRODUCT, "ann", 2, LONG).await.unwrap();
        inventory.confirm_late(PRODUCT, "bob", 3).await.unwrap();
        let again = inventory.set_up(PRODUCT, 500, Some(1)).await.unwrap();
        assert_eq!(again, SetUp::There(level(5, 2, 3)), "set up again");

        connection.send::<()>(&["DEL", &key(&inventory, "stock")]).await;
        assert_eq!(inventory.level(PRODUCT).await.unwrap(), level(5, 2, 3));
        assert_eq!(plain_count(&connection, &inventory).await, Some(5));

        connection.send::<()>(&["DEL", &key(&inventory, "ledger")]).await;
        let lost = inventory.reserve(PRODUCT, "zoe", 1, LONG).await;
        assert_matches!(lost, Err(InventoryError::UnknownProduct(_)));
        assert!(inventory.sweep_all().await.is_ok());
        let restored = inventory.set_up(PRODUCT, 500, None).await.unwrap();
        assert_eq!(restored, SetUp::Restored(level(5, 0, 0)));
        inventory.sweep(PRODUCT).await.unwrap();
        assert_eq!(inventory.level(PRODUCT).await.unwrap(), level(5, 0, 0));
        // Who has paid still gets the units; the shelf is counted and the rest restocked.
        inventory.confirm_late(PRODUCT, "ann", 2).await.unwrap();
        inventory.restock(PRODUCT, "recount", 2).await.unwrap();
        assert_eq!(inventory.level(PRODUCT).await.unwrap(), level(5, 0, 2));
    });
}

#[test]
fn holds_and_settled_ids_that_have_lost_their_times_end_all_the_same() {
    everywhere(async |connection, prefix| {
        let inventory = stock(&connection, &prefix, 10).await.with_retry_window(SHORT);
        for lost in ["deadlines", "settled"] {
            let (short, long) = (format!("{lost} short"), format!("{lost} long"));
            inventory.reserve(PRODUCT, &short, 3, SHORT).await.unwrap();
            let held = inventory.reserve(PRODUCT, &long, 1, LONG).await.unwrap();
            inventory.release(PRODUCT, &format!("{lost} nobody")).await.unwrap();
            connection.send::<()>(&["DEL", &key(&inventory, lost)]).await;
            until("all but the long hold are over", async || {
                inventory.sweep(PRODUCT).await.unwrap();
                connection.send::<usize>(&["HLEN", &key(&inventory, "ledger")]).await == 6 + 1
            })
            .await;
            assert_eq!(inventory.level(PRODUCT).await.unwrap(), level(9, 1, 0));
            let ends: u64 =
                connection.send(&["ZSCORE", &key(&inventory, "deadlines"), &format!("r:{long}")]).await;
            assert_eq!(ends, held.until_ms);
            inventory.release(PRODUCT, &long).await.unwrap();
        }
    });
}

#[test]
fn without_a_sweeper_the_next_buyer_repairs_a_product_that_has_lost_its_deadlines() {
    everywhere(async |connection, prefix| {
        let inventory = stock(&connection, &prefix, 1).await;
        let held = inventory.reserve(PRODUCT, "ann", 1, Duration::from_millis(1)).await.unwrap();
        until("its time is over", async || {
            let time: (u64, u64) = connection.send(&["TIME"]).await;
            time.0 * 1000 + time.1 / 1000 > held.until_ms
        })
        .await;
        connection.send::<()>(&["DEL", &key(&inventory, "deadlines")]).await;
        let refused = inventory.reserve(PRODUCT, "bob", 1, LONG).await;
        assert_matches!(refused, Err(InventoryError::OutOfStock { available: 0 }));
        // Nobody has come for more than a minute.
        connection.send::<()>(&["HSET", &key(&inventory, "ledger"), "visit", "1"]).await;
        inventory.reserve(PRODUCT, "bob", 1, LONG).await.unwrap();
    });
}

#[test]
fn a_product_whose_plan_was_lost_is_planned_by_its_next_change() {
    everywhere(async |connection, prefix| {
        let inventory = stock(&connection, &prefix, 5).await;
        let plan = inventory.due_key(shard(PRODUCT)).unwrap();
        let planned = async || connection.send::<Option<f64>>(&["ZSCORE", plan.as_str(), PRODUCT]).await;
        connection.send::<()>(&["DEL", plan.as_str()]).await;
        // The sweeper has not come for more than a minute; or it means to come much later.
        for visit in ["1", "9000000000000"] {
            connection.send::<()>(&["HSET", &key(&inventory, "ledger"), "visit", visit]).await;
            inventory.reserve(PRODUCT, visit, 1, LONG).await.unwrap();
            assert!(planned().await.is_some());
            connection.send::<()>(&["DEL", plan.as_str()]).await;
            inventory.reserve(PRODUCT, &format!("{visit} next"), 1, LONG).await.unwrap();
            assert!(planned().await.is_none(), "one call is enough");
        }
    });
}

#[test]
fn a_clock_that_was_set_back_does_not_make_holds_or_plans_last() {
    everywhere(async |connection, prefix| {
        let inventory = stock(&connection, &prefix, 10).await;
        let held = inventory.reserve(PRODUCT, "ann", 2, LONG).await.unwrap();
        inventory.sweep_all().await.unwrap();
        // As everything is an hour after it was written by a clock that was an hour ahead.
        let (ledger, hour) = (key(&inventory, "ledger"), 3_600_000);
        let later = held.until_ms + hour;
        let version: u64 = connection.send(&["HGET", &ledger, "version"]).await;
        let version = (version + hour * 1000).to_string();
        let record = format!("held 2 {later} {}", LONG.as_millis());
        connection.send::<()>(&["HSET", &ledger, "version", &version, "r:ann", &record]).await;
        connection.send::<()>(&["ZADD", &key(&inventory, "deadlines"), &later.to_string(), "r:ann"]).await;
        let plan = inventory.due_key(shard(PRODUCT)).unwrap();
        connection.send::<()>(&["ZADD", plan.as_str(), &later.to_string(), PRODUCT]).await;

        assert_eq!(inventory.sweep_all().await.unwrap().products, 1, "it is due");
        let ends: u64 = connection.send(&["ZSCORE", &key(&inventory, "deadlines"), "r:ann"]).await;
        assert!(ends < later - hour / 2, "{ends}");
        let version: u64 = connection.send(&["HGET", &ledger, "version"]).await;
        assert!(version / 1000 < later - hour / 2, "{version}");
        inventory.confirm(PRODUCT, "ann").await.unwrap();
        assert_eq!(feed(&connection, &inventory).await.last().unwrap().event, "sold");
    });
}

#[test]
fn a_product_that_cannot_be_swept_does_not_keep_others_from_it() {
    everywhere(async |connection, prefix| {
        let inventory = stock(&connection, &prefix, 5).await;
        // In the same shard.
        let other = (0..1_000).map(|n| n.to_string()).find(|name| shard(name) == shard(PRODUCT)).unwrap();
        inventory.set_up(&other, 5, None).await.unwrap();
        inventory.reserve(&other, "ann", 2, SHORT).await.unwrap();
        connection.send::<()>(&["HSET", &key(&inventory, "ledger"), "free", "foreign"]).await;
        let plan = inventory.due_key(shard(PRODUCT)).unwrap();
        let mut no_text = redis::cmd("ZADD");
        no_text.arg(plan.as_str()).arg(0).arg(b"\xff").exec_async(&mut connection.clone()).await.unwrap();
        assert!(inventory.sweep_all().await.is_err(), "it is reported");
        until("the other is swept", async || {
            let _reported = inventory.sweep_all().await;
            let count: u64 = connection.send(&["GET", inventory.key(&other).unwrap().as_str()]).await;
            count == 5
        })
        .await;
    });
}

#[test]
fn numbers_at_the_edge_are_refused_or_counted_exactly() {
    everywhere(async |connection, prefix| {
        let inventory = stock(&connection, &prefix, 0).await;
        let refused = inventory.reserve(PRODUCT, "a", 1, Duration::ZERO).await;
        assert_matches!(refused, Err(InventoryError::OutOfStock { available: 0 }));
        inventory.restock(PRODUCT, "d1", u32::MAX).await.unwrap();
        inventory.reserve(PRODUCT, "b", 99, Duration::MAX).await.unwrap();
        assert_eq!(inventory.level(PRODUCT).await.unwrap(), level(u64::from(u32::MAX) - 99, 99, 0));
        let big = 9_999_999_999_990;
        inventory.set_up("BIG", big, None).await.unwrap();
        assert_matches!(inventory.restock("BIG", "d2", 200).await, Err(InventoryError::TooMany));
        assert_eq!(inventory.reserve("BIG", "c", 1, LONG).await.unwrap().free, big - 1);
        let count: u64 = connection.send(&["GET", inventory.key("BIG").unwrap().as_str()]).await;
        assert_eq!(count, big - 1);
        connection.send::<()>(&["HSET", &key(&inventory, "ledger"), "free", "many"]).await;
        assert_matches!(inventory.level(PRODUCT).await, Err(InventoryError::Store(StoreError::Malformed(_))));
    });
}

#[test]
fn a_key_of_another_type_is_named_and_nothing_has_changed() {
    everywhere(async |connection, prefix| {
        let inventory = stock(&connection, &prefix, 10).await;
        inventory.reserve(PRODUCT, "held", 1, LONG).await.unwrap();
        let own = ["stock", "ledger", "deadlines", "settled", "outbox"].map(|name| key(&inventory, name));
        inventory.release(PRODUCT, "nobody").await.unwrap();
        for foreign in &own {
            let kept: Value = connection.send(&["DUMP", foreign]).await;
            connection.send::<()>(&["DEL", foreign]).await;
            connection.send::<()>(&["XADD", foreign, "*", "theirs", "1"]).await;
            let before = dumps(&connection, &own).await;
            if !foreign.ends_with("settled") {
                let refused = inventory.reserve(PRODUCT, "new", 1, LONG).await;
                let Err(InventoryError::Store(StoreError::WrongType(keys))) = refused else {
                    panic!("{foreign}: {refused:?}")
                };
                assert!(keys.contains(own[0].as_str()), "{keys}");
            }
            if foreign != &own[0] {
                assert!(inventory.confirm(PRODUCT, "held").await.is_err(), "{foreign}");
            }
            assert!(inventory.release(PRODUCT, "held").await.is_err(), "{foreign}");
            assert!(inventory.restock(PRODUCT, "delivery", 1).await.is_err(), "{foreign}");
            assert!(inventory.sweep(PRODUCT).await.is_err(), "{foreign}");
            assert_eq!(dumps(&connection, &own).await, before, "{foreign}");
            connection.send::<()>(&["DEL", foreign]).await;
            let Value::BulkString(kept) = kept else { panic!("{kept:?}") };
            let mut restore = redis::cmd("RESTORE");
            restore.arg(foreign).arg(0).arg(kept).exec_async(&mut connection.clone()).await.unwrap();
        }
        inventory.confirm(PRODUCT, "held").await.unwrap();
    });
}

#[test]
fn products_are_spread_over_the_shards() {
    let mut counts = [0_u32; 16];
    for n in 0..1_600 {
        counts[shard(&n.to_string())] += 1;
    }
    assert!(counts.iter().all(|count| (60..140).contains(count)), "{counts:?}");
}

#[test]
fn each_operation_is_one_round_trip() {
    everywhere(async |connection, prefix| {
        let inventory = stock(&connection, &prefix, 50).await;
        let trips = async |name: &str| {
            let reserve = connection.round_trips_of(inventory.reserve(PRODUCT, name, 1, LONG)).await;
            let extend = connection.round_trips_of(inventory.extend(PRODUCT, name, LONG)).await;
            let confirm = connection.round_trips_of(inventory.confirm(PRODUCT, name)).await;
            let release = connection.round_trips_of(inventory.release(PRODUCT, name)).await;
            let level = connection.round_trips_of(inventory.level(PRODUCT)).await;
            let restock = connection.round_trips_of(inventory.restock(PRODUCT, name, 1)).await;
            [reserve, extend, confirm, release, level, restock]
        };
        assert_eq!(trips("r1").await, [1; 6]);
    });
}

#[tokio::test]
async fn a_change_that_too_few_replicas_have_is_made_and_reported() {
    let replicated = Replicated::start(1).unwrap();
    let connection = TestConnection::to_server(&replicated.primary).await;
    let inventory = stock(&connection, &prefix(), 5).await;
    let safe = inventory.clone().with_replicas(1, lab_testing::TIMEOUT);
    assert_eq!(safe.reserve(PRODUCT, "ann", 1, LONG).await.unwrap().free, 4);
    assert_eq!(connection.round_trips_of(safe.confirm(PRODUCT, "ann")).await, 1);
    let safer = inventory.with_replicas(2, SHORT);
    for _ in 0..2 {
        let unmet = safer.reserve(PRODUCT, "bob", 1, LONG).await;
        assert_matches!(unmet, Err(InventoryError::NotReplicated { .. }));
    }
    assert_matches!(safer.reserve(PRODUCT, "zoe", 9, LONG).await, Err(InventoryError::OutOfStock { .. }));
    assert_eq!(safe.level(PRODUCT).await.unwrap(), level(3, 1, 1));
}

#[tokio::test]
async fn when_memory_is_full_nothing_more_is_held_and_what_is_held_can_still_end() {
    let server = Server::builder().config("maxmemory-policy", "noeviction").start().unwrap();
    let connection = TestConnection::to_server(&server).await;
    let inventory = stock(&connection, "", 5).await;
    for id in ["ann", "bob", "zoe"] {
        inventory.reserve(PRODUCT, id, 1, LONG).await.unwrap();
    }
    end_hold(&connection, &inventory, "zoe").await;
    connection.send::<()>(&["CONFIG", "SET", "maxmemory", "1"]).await;
    let refused = inventory.reserve(PRODUCT, "new", 1, LONG).await;
    assert!(refused.is_err(), "{refused:?}");
    inventory.confirm(PRODUCT, "ann").await.unwrap();
    inventory.release(PRODUCT, "bob").await.unwrap();
    assert_eq!(inventory.level(PRODUCT).await.unwrap(), level(4, 0, 1));
    assert_eq!(plain_count(&connection, &inventory).await, Some(4));
}

#[tokio::test]
async fn a_user_who_lacks_one_command_changes_nothing() {
    let connection = TestConnection::server().await;
    let prefix = prefix();
    let inventory = stock(&connection, &prefix, 5).await;
    inventory.reserve(PRODUCT, "held", 2, LONG).await.unwrap();
    let own = ["stock", "ledger", "deadlines", "settled", "outbox"].map(|name| key(&inventory, name));
    let before = dumps(&connection, &own).await;
    for command in ["hset", "zadd", "zrem", "set", "rpush"] {
        let user = format!("{}no-{command}", prefix.trim_end_matches(':'));
        let rights = ["ACL", "SETUSER", &user, "on", ">pw", "~*", "&*", "+@all"];
        connection.send::<()>(&[&rights[..], &[&format!("-{command}")]].concat()).await;
        let url = format!("redis://{user}:pw@127.0.0.1:{}", lab_testing::server().port());
        let limited = Inventory::new(TestConnection::to_url(&url).await, &prefix);
        if command != "zrem" {
            let refused = limited.reserve(PRODUCT, "new", 1, LONG).await.unwrap_err();
            assert!(refused.to_string().contains("may run"), "{refused}");
        }
        // Selling what is held does not change the free units, so it needs no SET.
        if command != "set" {
            let refused = limited.confirm(PRODUCT, "held").await.unwrap_err();
            assert!(refused.to_string().contains("may run"), "{refused}");
        }
        let refused = limited.release(PRODUCT, "held").await.unwrap_err();
        assert!(refused.to_string().contains("may run"), "{refused}");
        assert_eq!(dumps(&connection, &own).await, before, "{command}");
    }
}

/// 150 buyers for 100 units, whose connections break and who ask again: exactly 100 are sold, to those who were told so, and at
/// every moment all units are somewhere.
#[tokio::test(flavor = "multi_thread")]
async fn a_rush_over_breaking_connections_sells_each_unit_once() {
    let proxy = lossy_proxy(lab_testing::server(), 25);
    let prefix = prefix();
    let watch = stock(&TestConnection::server().await, &prefix, 100).await;
    let mut buyers = JoinSet::new();
    for buyer in 0..150_u32 {
        let inventory = Inventory::new(TestConnection::reconnecting(&proxy.url()).await, &prefix);
        buyers.spawn(async move {
            for attempt in 0.. {
                let id = format!("{buyer}-{attempt}");
                // Some let their hold expire, some release it, most buy.
                let time = if buyer % 10 == 0 { SHORT } else { LONG };
                match persist(|| inventory.reserve(PRODUCT, &id, 1, time)).await {
                    Ok(_) => {}
                    Err(InventoryError::OutOfStock { .. } | InventoryError::Expired) => {
                        let level = persist(|| inventory.level(PRODUCT)).await.unwrap();
                        assert_eq!(level.free + level.held + level.sold, 100);
                        if level.sold == 100 {
                            return None;
                        }
                        tokio::task::yield_now().await;
                        continue;
                    }
                    Err(error) => panic!("{error}"),
                }
                match buyer % 10 {
                    0 if attempt < 3 => {}
                    1 if attempt < 3 => drop(persist(|| inventory.release(PRODUCT, &id)).await.unwrap()),
                    _ => match persist(|| inventory.confirm(PRODUCT, &id)).await {
                        Ok(_) => return Some(id),
                        Err(InventoryError::Expired) => {}
                        Err(error) => panic!("{error}"),
                    },
                }
            }
            None
        });
    }
    let mut sold: Vec<String> = buyers.join_all().await.into_iter().flatten().collect();
    sold.sort();
    assert_eq!(watch.level(PRODUCT).await.unwrap(), level(0, 0, 100));
    let connection = TestConnection::server().await;
    let books: BTreeMap<String, String> = connection.send(&["HGETALL", &key(&watch, "ledger")]).await;
    let recorded: Vec<String> = books
        .iter()
        .filter(|(_, record)| *record == "sold 1")
        .map(|(field, _)| field[2..].to_owned())
        .collect();
    assert_eq!(recorded, sold, "each sale is in the books once, and nothing else is");
    assert!(proxy.cuts() > 10, "{} cuts", proxy.cuts());
}

/// Asks again with the same ID for as long as the reply is lost.
async fn persist<T, F: Future<Output = Result<T, InventoryError>>>(
    ask: impl Fn() -> F,
) -> Result<T, InventoryError> {
    loop {
        match ask().await {
            Err(InventoryError::Store(StoreError::Redis(error)))
                if error.is_io_error() || error.is_connection_dropped() || error.is_timeout() => {}
            reply => return reply,
        }
    }
}
