//! The usual reservation takes a short way through its script: it must leave what the general one leaves.

use std::collections::BTreeMap;
use std::time::Duration;

use redis::{FromRedisValue, Value};
use storefront::inventory::{Level, StockUpdate};
use storefront::{Inventory, Keys, Layout, ReservationId, Sku};

use crate::shop::{Wire, in_each_layout, sku, units, until};

const LONG: Duration = Duration::from_mins(10);
const SHORT: Duration = Duration::from_millis(30);

fn id(number: u32) -> ReservationId {
    format!("r{number}").parse().unwrap()
}

async fn stock(wire: &Wire, keys: &Keys, first: u32, low_at: Option<u32>) -> (Inventory<Wire>, Sku) {
    let (inventory, product) = (Inventory::new(wire.clone(), keys.clone()), sku("PROD123"));
    inventory.set_up(&product, first, low_at).await.unwrap();
    (inventory, product)
}

#[tokio::test]
async fn every_hold_is_recorded_dated_and_told_whichever_way_it_went() {
    in_each_layout(async |wire, keys| {
        let (inventory, product) = stock(&wire, &keys, 1_000, Some(10)).await;
        let mut till = BTreeMap::new();
        for number in 1..=100 {
            let held = inventory.reserve(&product, &id(number), units(2), LONG).await.unwrap();
            assert_eq!((held.free, held.again), (1_000 - 2 * u64::from(number), false));
            till.insert(format!("r:{}", id(number)), held.until_ms);
            // The same id again changes nothing.
            let again = inventory.reserve(&product, &id(number), units(2), LONG).await.unwrap();
            assert_eq!((again.free, again.until_ms, again.again), (held.free, held.until_ms, true));
        }
        let own = keys.inventory(&product);
        let ledger = wire.send(&["HGETALL", &own.ledger]).await;
        let ledger = BTreeMap::<String, String>::from_redis_value(ledger).unwrap();
        let records = ledger.iter().filter(|(field, _)| field.starts_with("r:"));
        let recorded: Vec<_> = records.map(|(field, record)| (field.clone(), record.clone())).collect();
        let promised: Vec<_> =
            till.iter().map(|(field, till)| (field.clone(), format!("held 2 {till}"))).collect();
        assert_eq!(recorded, promised);
        assert!(ledger.keys().all(|field| field.starts_with("r:") || !field.contains(':')), "{ledger:?}");
        let dated = wire.send(&["ZRANGE", &own.deadlines, "0", "-1", "WITHSCORES"]).await;
        let dated = Vec::<(String, u64)>::from_redis_value(dated).unwrap();
        assert_eq!(dated.into_iter().collect::<BTreeMap<_, _>>(), till);

        inventory.sweep(&product).await.unwrap();
        let told = wire.send(&["LRANGE", &keys.inventory_updates(), "0", "-1"]).await;
        let told = Vec::<Vec<u8>>::from_redis_value(told).unwrap();
        for (n, entry) in told.iter().rev().enumerate().skip(1) {
            let update = StockUpdate::parse(entry).unwrap();
            let (n, taken) = (n as u64, 2 * n as u64);
            assert_eq!((update.n, update.event.as_str(), update.units), (n + 1, "held", 2));
            assert_eq!((update.free, update.held, update.sold), (1_000 - taken, taken, 0));
            assert_eq!((update.id, update.product), (format!("r{n}"), product.clone()));
            assert_eq!((update.at_ms + 600_000, update.alert), (till[&format!("r:r{n}")], None));
        }
        assert_eq!(told.len(), 101, "the first tells of the stock itself");
        assert_eq!(inventory.level(&product).await.unwrap(), Level { free: 800, held: 200, sold: 0 });
    })
    .await;
}

#[tokio::test]
async fn a_short_hold_after_long_ones_expires_in_its_time() {
    in_each_layout(async |wire, keys| {
        let (inventory, product) = stock(&wire, &keys, 100, None).await;
        for number in 1..=5 {
            inventory.reserve(&product, &id(number), units(1), LONG).await.unwrap();
        }
        let short = inventory.reserve(&product, &id(6), units(90), SHORT).await.unwrap();
        until("its time is over", async || {
            let time = wire.send(&["TIME"]).await;
            let (seconds, micros) = <(u64, u64)>::from_redis_value(time).unwrap();
            seconds * 1000 + micros / 1000 > short.until_ms
        })
        .await;
        // Nobody sweeps, and enough would be free without it: whoever comes next returns what has expired all the same.
        let held = inventory.reserve(&product, &id(7), units(1), LONG).await.unwrap();
        assert_eq!(held.free, 94);
        assert_eq!(inventory.level(&product).await.unwrap(), Level { free: 94, held: 6, sold: 0 });
    })
    .await;
}

#[tokio::test]
async fn a_key_of_somebody_else_is_left_alone_and_nothing_has_changed() {
    in_each_layout(async |wire, keys| {
        let (inventory, product) = stock(&wire, &keys, 1_000, None).await;
        for number in 1..=3 {
            inventory.reserve(&product, &id(number), units(1), LONG).await.unwrap();
        }
        let own = keys.inventory(&product);
        let news = match keys.layout() {
            Layout::Standalone => keys.inventory_updates(),
            Layout::Cluster => own.outbox,
        };
        let all = [own.free, own.ledger, own.deadlines, news];
        for key in &all {
            let kept = wire.send(&["DUMP", key]).await;
            let Value::BulkString(_) = kept else { panic!("{kept:?}") };
            let aside = format!("{key}:kept");
            wire.send(&["COPY", key, &aside]).await;
            wire.send(&["DEL", key]).await;
            wire.send(&["PFADD", key, "theirs"]).await;
            let before = dumps(&wire, &all).await;
            let refused = inventory.reserve(&product, &id(4), units(1), LONG).await;
            assert!(refused.is_err(), "{key}");
            assert_eq!(dumps(&wire, &all).await, before, "{key}");
            wire.send(&["DEL", key]).await;
            wire.send(&["COPY", &aside, key]).await;
        }
        let held = inventory.reserve(&product, &id(4), units(1), LONG).await.unwrap();
        assert_eq!((held.free, held.again), (996, false));
    })
    .await;
}

async fn dumps(wire: &Wire, keys: &[String]) -> Vec<Value> {
    let mut dumps = Vec::new();
    for key in keys {
        dumps.push(wire.send(&["DUMP", key]).await);
    }
    dumps
}
