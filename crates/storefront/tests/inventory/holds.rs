//! Holds end: they return exactly once, whoever looks first, and a sweeper looks in time.

use std::time::{Duration, Instant};

use redis::FromRedisValue;
use storefront::inventory::{DEFAULT_MEMORY, Extended, Sweeper};
use storefront::{Inventory, Layout, ReservationId, ReserveError, SettleError, Sku};

use crate::shop::{self, Wire, in_each_layout, sku, units, until};
use crate::support::{LONG, SHORT, id, level, plain_count, stock};

#[expect(clippy::print_stdout, reason = "the figures of a test that passes, with --nocapture")]
fn tell(what: &str) {
    println!("{what}");
}

#[tokio::test]
async fn expired_holds_return_exactly_once_whoever_looks_first() {
    in_each_layout(async |wire, keys| {
        let (inventory, product) = stock(&wire, &keys, 10).await;
        for n in 0..5 {
            inventory.reserve(&product, &id(&format!("r{n}")), units(1), SHORT).await.unwrap();
        }
        until("the holds have expired", async || inventory.level(&product).await.unwrap().held == 0).await;
        for _ in 0..3 {
            assert_eq!(inventory.level(&product).await.unwrap(), level(10, 0, 0));
            inventory.sweep(&product).await.unwrap();
        }
        let late = inventory.confirm(&product, &id("r0")).await;
        assert!(matches!(late, Err(SettleError::Expired)), "{late:?}");
        let late = inventory.extend(&product, &id("r1"), LONG).await;
        assert!(matches!(late, Err(SettleError::Expired)), "{late:?}");
        let late = inventory.reserve(&product, &id("r2"), units(1), LONG).await;
        assert!(matches!(late, Err(ReserveError::Settled(SettleError::Expired))), "{late:?}");
        let released = inventory.release(&product, &id("r3")).await.unwrap();
        assert!(released.again, "it is free already");
        assert_eq!(inventory.level(&product).await.unwrap(), level(10, 0, 0));
        // Only who asks for it gets an expired hold anew, and only while there is enough.
        assert!(!inventory.confirm_late(&product, &id("r4")).await.unwrap().again);
        inventory.reserve(&product, &id("ann"), units(9), LONG).await.unwrap();
        let late = inventory.confirm_late(&product, &id("r3")).await;
        assert!(matches!(late, Err(SettleError::OutOfStock { available: 0 })), "{late:?}");
        assert_eq!(inventory.level(&product).await.unwrap(), level(0, 9, 1));
    })
    .await;
}

#[tokio::test]
async fn the_next_buyer_gets_what_has_expired() {
    in_each_layout(async |wire, keys| {
        let (inventory, product) = stock(&wire, &keys, 1).await;
        inventory.reserve(&product, &id("ann"), units(1), SHORT).await.unwrap();
        until("bob gets it", async || inventory.reserve(&product, &id("bob"), units(1), LONG).await.is_ok())
            .await;
        assert_eq!(inventory.level(&product).await.unwrap(), level(0, 1, 0));
        assert!(matches!(inventory.confirm(&product, &id("ann")).await, Err(SettleError::Expired)));
    })
    .await;
}

#[tokio::test]
async fn an_extended_hold_outlives_its_first_deadline_and_is_never_shortened() {
    in_each_layout(async |wire, keys| {
        let (inventory, product) = stock(&wire, &keys, 10).await;
        let first = SHORT * 20;
        let (ann, longer) = extended_in_time(&inventory, &product, first).await;
        // It ends no earlier than the first deadline of the other.
        inventory.reserve(&product, &id("marker"), units(1), first).await.unwrap();
        let same = inventory.extend(&product, &ann, SHORT).await.unwrap();
        assert_eq!((longer.until_ms, same.units), (same.until_ms, 2));
        until("the marker has expired", async || inventory.level(&product).await.unwrap().held == 2).await;
        inventory.confirm(&product, &ann).await.unwrap();
    })
    .await;
}

/// Two units held for a short time, then for a long one.
async fn extended_in_time(
    inventory: &Inventory<Wire>,
    product: &Sku,
    first: Duration,
) -> (ReservationId, Extended) {
    for number in 0.. {
        let (ann, begun) = (id(&format!("ann{number}")), Instant::now());
        inventory.reserve(product, &ann, units(2), first).await.unwrap();
        match inventory.extend(product, &ann, LONG).await {
            Ok(longer) => return (ann, longer),
            // The machine stood still for the whole first time: begin again with another id, as this one is spent.
            Err(SettleError::Expired) if begun.elapsed() >= first => {}
            Err(error) => panic!("{error}"),
        }
    }
    unreachable!("it is tried until it is in time")
}

#[tokio::test]
async fn a_sweeper_makes_the_plain_count_right_within_a_second_of_the_deadline() {
    in_each_layout(async |wire, keys| {
        let inventory = Inventory::new(wire.clone(), keys.clone());
        let products: Vec<Sku> = (0..40).map(|n| sku(&format!("P{n}"))).collect();
        for product in &products {
            inventory.set_up(product, 10, None).await.unwrap();
        }
        // The end of each sweep. A hold whose deadline one of them has just missed is returned by the next, however slow the
        // machine: no later than from the end before to the end after.
        let (ends, mut sweeps) = tokio::sync::mpsc::unbounded_channel();
        let mut ended = vec![Instant::now()];
        let sweeper = tokio::spawn(Sweeper::new(inventory.clone()).run(tokio::time::sleep, move |swept| {
            assert!(swept.is_ok());
            ends.send(Instant::now()).unwrap();
        }));
        let mut deadlines = Vec::new();
        for product in &products {
            let held = inventory.reserve(product, &id("ann"), units(4), SHORT * 5).await.unwrap();
            deadlines.push(held.until_ms);
        }
        until("all plain counts are full again", async || {
            let mut full = true;
            for product in &products {
                full &= plain_count(&wire, &keys, product).await == 10;
            }
            full
        })
        .await;
        sweeper.abort();
        while let Some(end) = sweeps.recv().await {
            ended.push(end);
        }
        ended.push(Instant::now());
        let longest = ended.windows(3).map(|ends| ends[2] - ends[0]).max().unwrap_or_default();
        let mut latest = 0.0_f64;
        for (product, deadline) in products.iter().zip(deadlines) {
            let record = wire.send(&["HGET", &keys.inventory(product).ledger, "r:ann"]).await;
            assert_eq!(String::from_redis_value(record).unwrap(), "expired 4");
            // The server's own record of when it happened.
            let settled = wire.send(&["ZSCORE", &keys.inventory(product).settled, "r:ann"]).await;
            let settled = f64::from_redis_value(settled).unwrap();
            let late = settled - DEFAULT_MEMORY.as_millis() as f64 - deadline as f64;
            assert!(
                (0.0..1_000.0).contains(&late) || late <= longest.as_millis() as f64 + 50.0,
                "{late} ms late"
            );
            latest = latest.max(late);
        }
        tell(&format!(
            "{:?}: of {} holds the latest returned {latest} ms late",
            keys.layout(),
            products.len()
        ));
    })
    .await;
}

#[tokio::test]
async fn many_holds_that_expire_together_return_in_steps_of_bounded_length() {
    in_each_layout(async |wire, keys| {
        let (inventory, product) = stock(&wire, &keys, 1_000).await;
        let keys_of = keys.inventory(&product);
        // Held for long, then all due at once.
        let numbers: Vec<u32> = (0..700).collect();
        for some in numbers.chunks(50) {
            let holds = some.iter().map(async |n| {
                inventory.reserve(&product, &id(&format!("r{n}")), units(1), LONG).await.unwrap();
            });
            futures_util::future::join_all(holds).await;
        }
        let mut due = redis::cmd("ZADD");
        due.arg(&keys_of.deadlines);
        for n in &numbers {
            due.arg(1).arg(format!("r:r{n}"));
        }
        due.exec_async(&mut wire.clone()).await.unwrap();
        assert_eq!(inventory.level(&product).await.unwrap(), level(1_000, 0, 0));
    })
    .await;
}

#[tokio::test]
async fn settled_ids_are_forgotten_after_their_time_and_nothing_else_is() {
    in_each_layout(async |wire, keys| {
        let (inventory, product) = stock(&wire, &keys, 100).await;
        inventory.reserve(&product, &id("held"), units(1), LONG).await.unwrap();
        let forgetful = inventory.clone().with_memory(SHORT);
        for n in 0..40 {
            let id = id(&format!("r{n}"));
            forgetful.reserve(&product, &id, units(1), LONG).await.unwrap();
            forgetful.confirm(&product, &id).await.unwrap();
        }
        until("all are forgotten", async || {
            forgetful.sweep_all().await.unwrap();
            wire.send(&["ZCARD", &keys.inventory(&product).settled]).await == redis::Value::Int(0)
        })
        .await;
        assert!(matches!(inventory.confirm(&product, &id("r1")).await, Err(SettleError::Unknown)));
        assert_eq!(inventory.level(&product).await.unwrap(), level(59, 1, 40));
        assert!(inventory.confirm(&product, &id("held")).await.is_ok());
    })
    .await;
}

#[tokio::test]
async fn a_product_that_cannot_be_swept_does_not_keep_others_from_it() {
    in_each_layout(async |wire, keys| {
        let inventory = Inventory::new(wire.clone(), keys.clone());
        let (broken, product) = (sku("A"), sku("B"));
        for one in [&broken, &product] {
            inventory.set_up(one, 5, None).await.unwrap();
            inventory.reserve(one, &id("ann"), units(2), SHORT).await.unwrap();
        }
        wire.send(&["SET", &keys.inventory(&broken).free, "somebody else's"]).await;
        wire.send(&["ZADD", &keys.inventory_due(), "0", "no SKU at all"]).await;
        let mut no_text = redis::cmd("ZADD");
        no_text.arg(keys.inventory_due()).arg(0).arg(b"\xff").exec_async(&mut wire.clone()).await.unwrap();
        until("the other is swept", async || {
            assert!(inventory.sweep_all().await.is_err(), "it is told");
            plain_count(&wire, &keys, &product).await == 5
        })
        .await;
    })
    .await;
}

#[tokio::test]
async fn a_cluster_sweeps_every_product_however_many_there_are() {
    let (wire, keys) = (Wire::cluster().await, shop::own_keys(Layout::Cluster));
    let (inventory, last) = stock(&wire, &keys, 5).await;
    inventory.reserve(&last, &id("ann"), units(2), SHORT).await.unwrap();
    // Ten thousand that come first, and have no stock any more.
    let mut add = redis::cmd("ZADD");
    add.arg(keys.inventory_due());
    for n in 0..10_000 {
        add.arg(0).arg(format!("A{n}"));
    }
    add.exec_async(&mut wire.clone()).await.unwrap();
    until("the last is swept", async || {
        inventory.sweep_all().await.unwrap();
        plain_count(&wire, &keys, &last).await == 5
    })
    .await;
}
