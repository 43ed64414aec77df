//! Stock: beside what one would write by hand, with fewer promises: no feed, no alert, no expiry, no retry window, no check of rights.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use patterns::inventory::Inventory;
use redis::Script;
use redis::aio::MultiplexedConnection;

use crate::measure::{Row, Side, compare};

const PRODUCT: &str = "PROD123";
const BY_HAND: [&str; 3] = ["stock", "stock:{stock}:ledger", "stock:{stock}:deadlines"];
const UNITS: u64 = 1_000_000_000;
const TEN_MINUTES: Duration = Duration::from_mins(10);

/// Holds units under an ID, once.
static RESERVE: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local held = redis.call('HGET', KEYS[2], ARGV[1])
if held then
  return {'HELD_BEFORE', held}
end
local free = tonumber(redis.call('GET', KEYS[1]) or '0')
local units = tonumber(ARGV[2])
if units > free then
  return {'OUT_OF_STOCK', free}
end
redis.call('DECRBY', KEYS[1], units)
redis.call('HSET', KEYS[2], ARGV[1], 'held ' .. units)
redis.call('ZADD', KEYS[3], now + ARGV[3], ARGV[1])
return {'HELD', free - units}
",
    )
});

/// Sells what is held under an ID, and counts held and sold units.
static CONFIRM: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
local row = redis.call('HMGET', KEYS[2], ARGV[1], 'held', 'sold')
local units = row[1] and string.match(row[1], '^held (%d+)')
if not units then
  return {'NOT_HELD', row[1]}
end
redis.call('ZREM', KEYS[3], ARGV[1])
redis.call('HSET', KEYS[2], ARGV[1], 'sold ' .. units, 'held', (row[2] or 0) - units, 'sold', (row[3] or 0) + units)
return {'SOLD', units}
",
    )
});

/// The rows of this pattern.
pub async fn rows(connection: &MultiplexedConnection) -> Vec<Row> {
    let inventory = Arc::new(Inventory::new(connection.clone(), ""));
    inventory.set_up(PRODUCT, UNITS, Some(5)).await.unwrap();
    let _: () =
        redis::cmd("SET").arg(BY_HAND[0]).arg(UNITS).query_async(&mut connection.clone()).await.unwrap();
    let name = "by hand, fewer promises";

    let ours = Side::script("reserve", |n| {
        let inventory = Arc::clone(&inventory);
        async move {
            let held = inventory.reserve(PRODUCT, &format!("buyer-{n}"), 2, TEN_MINUTES).await.unwrap();
            assert!(!held.again);
        }
    });
    let reserve =
        compare(connection, "inventory: reserve", 1.9, ours, by_hand(connection, name, &RESERVE, "HELD"))
            .await;

    let ours = Side::script("confirm", |n| {
        let inventory = Arc::clone(&inventory);
        async move {
            let sold = inventory.confirm(PRODUCT, &format!("buyer-{n}")).await.unwrap();
            assert_eq!((sold.units, sold.again), (2, false));
        }
    });
    let confirm =
        compare(connection, "inventory: confirm", 2.5, ours, by_hand(connection, name, &CONFIRM, "SOLD"))
            .await;
    vec![reserve, confirm]
}

fn by_hand<'a>(
    connection: &MultiplexedConnection,
    name: &'a str,
    script: &'static Script,
    outcome: &'static str,
) -> Side<'a> {
    let connection = connection.clone();
    Side::script(name, move |n| {
        let mut connection = connection.clone();
        async move {
            let mut call = script.prepare_invoke();
            for key in BY_HAND {
                call.key(key);
            }
            call.arg(format!("buyer-{n}")).arg(2).arg(600_000);
            let (answer, _): (String, u64) = call.invoke_async(&mut connection).await.unwrap();
            assert_eq!(answer, outcome);
        }
    })
}
