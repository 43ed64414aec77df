//! Stock: what each operation does, once and again.

use std::time::Duration;

use storefront::inventory::{RestockError, SetUp};
use storefront::{InventoryError, Layout, ReserveError, SettleError, StoreError};

use crate::shop::{in_each_layout, sku, units};
use crate::support::{LONG, SHORT, id, level, plain_count, stock};

#[tokio::test]
async fn units_are_free_held_or_sold_and_each_step_may_be_repeated() {
    in_each_layout(async |wire, keys| {
        let (inventory, product) = stock(&wire, &keys, 10).await;
        for again in [false, true] {
            let held = inventory.reserve(&product, &id("ann"), units(3), LONG).await.unwrap();
            assert_eq!((held.free, held.again), (7, again));
        }
        assert_eq!(inventory.level(&product).await.unwrap(), level(7, 3, 0));
        for again in [false, true] {
            let sold = inventory.confirm(&product, &id("ann")).await.unwrap();
            assert_eq!((sold.units, sold.again), (3, again));
        }
        inventory.reserve(&product, &id("bob"), units(2), LONG).await.unwrap();
        for again in [false, true] {
            let released = inventory.release(&product, &id("bob")).await.unwrap();
            assert_eq!((released.units, released.again), (2, again));
        }
        assert_eq!(inventory.level(&product).await.unwrap(), level(7, 0, 3));
        for _ in 0..2 {
            let after = inventory.restock(&product, &"delivery-1".parse().unwrap(), 5).await.unwrap();
            assert_eq!(after, level(12, 0, 3));
        }
        for again in [false, true] {
            assert_eq!(inventory.take_back(&product, &id("ann")).await.unwrap().again, again);
        }
        assert_eq!(inventory.level(&product).await.unwrap(), level(15, 0, 0));
        assert_eq!(plain_count(&wire, &keys, &product).await, 15);
    })
    .await;
}

#[tokio::test]
async fn the_same_id_always_gets_the_same_answer() {
    in_each_layout(async |wire, keys| {
        let (inventory, product) = stock(&wire, &keys, 10).await;
        let first = inventory.reserve(&product, &id("ann"), units(3), LONG).await.unwrap();
        let second = inventory.reserve(&product, &id("ann"), units(3), SHORT).await.unwrap();
        assert_eq!((first.free, first.until_ms), (second.free, second.until_ms), "the first time counts");
        let other = inventory.reserve(&product, &id("ann"), units(4), LONG).await;
        assert!(matches!(other, Err(ReserveError::OtherQuantity { held: 3, asked: 4 })), "{other:?}");
        inventory.confirm(&product, &id("ann")).await.unwrap();
        let spent = inventory.reserve(&product, &id("ann"), units(3), LONG).await;
        assert!(
            matches!(spent, Err(ReserveError::Settled(SettleError::Sold { units: 3 }))),
            "a spent id buys nothing: {spent:?}"
        );
        let released = inventory.release(&product, &id("ann")).await;
        assert!(matches!(released, Err(SettleError::Sold { units: 3 })), "{released:?}");
        let unknown = inventory.confirm(&product, &id("nobody")).await;
        assert!(matches!(unknown, Err(SettleError::Unknown)), "{unknown:?}");
        assert_eq!(inventory.level(&product).await.unwrap(), level(7, 0, 3));
    })
    .await;
}

#[tokio::test]
async fn who_asks_for_more_than_there_is_hears_how_many_there_are_and_gets_none() {
    in_each_layout(async |wire, keys| {
        let (inventory, product) = stock(&wire, &keys, 3).await;
        let refused = inventory.reserve(&product, &id("ann"), units(4), LONG).await;
        assert!(matches!(refused, Err(ReserveError::OutOfStock { available: 3 })), "{refused:?}");
        inventory.reserve(&product, &id("ann"), units(3), LONG).await.unwrap();
        let refused = inventory.reserve(&product, &id("bob"), units(1), LONG).await;
        assert!(matches!(refused, Err(ReserveError::OutOfStock { available: 0 })), "{refused:?}");
        let missing = inventory.reserve(&sku("GHOST"), &id("ann"), units(1), LONG).await;
        let missing = matches!(missing, Err(ReserveError::Inventory(InventoryError::UnknownProduct(_))));
        assert!(missing, "{missing:?}");
    })
    .await;
}

#[tokio::test]
async fn a_reservation_that_arrives_after_its_release_takes_nothing() {
    in_each_layout(async |wire, keys| {
        let (inventory, product) = stock(&wire, &keys, 1).await;
        assert_eq!(inventory.release(&product, &id("ann")).await.unwrap().units, 0);
        let late = inventory.reserve(&product, &id("ann"), units(1), LONG).await;
        assert!(matches!(late, Err(ReserveError::Settled(SettleError::Released))), "{late:?}");
        assert_eq!(inventory.level(&product).await.unwrap(), level(1, 0, 0));
    })
    .await;
}

#[tokio::test]
async fn a_product_that_is_set_up_again_keeps_its_units() {
    in_each_layout(async |wire, keys| {
        let (inventory, product) = stock(&wire, &keys, 5).await;
        inventory.reserve(&product, &id("ann"), units(2), LONG).await.unwrap();
        let again = inventory.set_up(&product, 500, Some(1)).await.unwrap();
        assert_eq!(again, SetUp::There(level(3, 2, 0)));
        // As somebody's own script would begin: a plain count, and nothing else.
        let plain = sku("PLAIN");
        wire.send(&["SET", &keys.inventory(&plain).free, "2"]).await;
        inventory.reserve(&plain, &id("ann"), units(2), LONG).await.unwrap();
        assert_eq!(inventory.level(&plain).await.unwrap(), level(0, 2, 0));
    })
    .await;
}

#[tokio::test]
async fn numbers_at_the_edge_are_refused_or_counted_exactly() {
    in_each_layout(async |wire, keys| {
        let (inventory, product) = stock(&wire, &keys, 0).await;
        let refused = inventory.reserve(&product, &id("a"), units(1), Duration::ZERO).await;
        assert!(matches!(refused, Err(ReserveError::OutOfStock { available: 0 })));
        inventory.restock(&product, &"e1".parse().unwrap(), u32::MAX).await.unwrap();
        assert_eq!(inventory.level(&product).await.unwrap().free, u64::from(u32::MAX));
        inventory.reserve(&product, &id("b"), units(99), Duration::MAX).await.unwrap();
        assert_eq!(inventory.level(&product).await.unwrap(), level(u64::from(u32::MAX) - 99, 99, 0));
        wire.send(&["SET", &keys.inventory(&product).free, "9007199254740800"]).await;
        let refused = inventory.restock(&product, &"e2".parse().unwrap(), 200).await;
        assert!(matches!(refused, Err(RestockError::TooMany(_))), "{refused:?}");
        for bad in ["-5", "1.5", "many", "9007199254740993"] {
            wire.send(&["SET", &keys.inventory(&product).free, bad]).await;
            let refused = inventory.level(&product).await;
            let malformed = matches!(refused, Err(InventoryError::Store(StoreError::Malformed { .. })));
            assert!(malformed, "{bad}: {refused:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_key_of_somebody_else_is_refused_before_anything_has_changed() {
    in_each_layout(async |wire, keys| {
        let (inventory, product) = stock(&wire, &keys, 2).await;
        inventory.set_up(&product, 0, Some(1)).await.unwrap();
        inventory.reserve(&product, &id("mine"), units(1), LONG).await.unwrap();
        let own = keys.inventory(&product);
        let mut others = vec![own.free, own.ledger, own.deadlines, own.settled];
        if keys.layout() == Layout::Standalone {
            others.extend([keys.inventory_updates(), keys.low_stock_alerts(), keys.inventory_due()]);
        } else {
            others.push(own.outbox);
        }
        for key in &others {
            let kept = format!("{key}:kept");
            wire.send(&["COPY", key, &kept]).await;
            wire.send(&["DEL", key]).await;
            wire.send(&["GEOADD", key, "1", "1", "x"]).await;
            if key.ends_with("deadlines") || key.ends_with("settled") || key.ends_with("alerts") {
                wire.send(&["DEL", key]).await;
                wire.send(&["SET", key, "theirs"]).await;
            }
            if key.ends_with("due") {
                wire.send(&["DEL", key]).await;
                wire.send(&["SET", key, "theirs"]).await;
                // So that the index is to be written at all.
                wire.send(&["HDEL", &keys.inventory(&product).ledger, "due"]).await;
            }
            let mut before = Vec::new();
            for other in &others {
                before.push(wire.send(&["DUMP", other]).await);
            }
            if key.ends_with("settled") {
                assert!(inventory.release(&product, &id("mine")).await.is_err(), "{key}");
            } else {
                let refused = inventory.reserve(&product, &id("new"), units(1), SHORT).await;
                assert!(refused.is_err(), "{key}");
            }
            for (other, before) in others.iter().zip(before) {
                assert_eq!(wire.send(&["DUMP", other]).await, before, "{key} was in the way of {other}");
            }
            wire.send(&["DEL", key]).await;
            wire.send(&["COPY", &kept, key]).await;
            wire.send(&["DEL", &kept]).await;
        }
        assert!(inventory.reserve(&product, &id("new"), units(1), LONG).await.is_ok());
    })
    .await;
}

#[tokio::test]
async fn each_operation_makes_the_round_trips_it_states() {
    in_each_layout(async |wire, keys| {
        let (inventory, product) = stock(&wire, &keys, 50).await;
        let work = async |name: &str| {
            let id = id(name);
            let reserve = wire.round_trips_of(inventory.reserve(&product, &id, units(1), LONG)).await;
            let extend = wire.round_trips_of(inventory.extend(&product, &id, LONG)).await;
            let confirm = wire.round_trips_of(inventory.confirm(&product, &id)).await;
            let release = wire.round_trips_of(inventory.release(&product, &id)).await;
            let level = wire.round_trips_of(inventory.level(&product)).await;
            let delivery = name.parse().unwrap();
            let restock = wire.round_trips_of(inventory.restock(&product, &delivery, 1)).await;
            [reserve, extend, confirm, release, level, restock]
        };
        // The server learns the scripts.
        work("first").await;
        assert_eq!(work("second").await, [1; 6]);
        inventory.sweep(&product).await.unwrap();
        assert_eq!(wire.round_trips_of(inventory.sweep(&product)).await, 1);
    })
    .await;
}
