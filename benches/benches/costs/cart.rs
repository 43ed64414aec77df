//! Adding to a cart, beside what one writes by hand for the same reply and message: limits, the price seen, sums, and PUBLISH. It
//! does not count once, expires no lines, loses its sums with a key, and a user with fewer rights leaves half of its writes.

use patterns::cart::{Cart, MAX_LINES, MAX_UNITS};
use patterns::money::Cents;
use redis::Script;
use redis::aio::MultiplexedConnection;

use crate::measure::{Row, Side, compare};

const BY_HAND: &str = r"
local lines, had = redis.call('HLEN', KEYS[1]), tonumber(redis.call('HGET', KEYS[1], ARGV[1]) or 0)
if had + ARGV[2] > tonumber(ARGV[4]) then
  return {'LINE_LIMIT', had}
elseif had == 0 then
  lines = lines + 1
  if lines > tonumber(ARGV[5]) then
    return {'CART_FULL'}
  end
end
local seen = tonumber(redis.call('HGET', KEYS[2], ARGV[1]) or 0)
local quantity = redis.call('HINCRBY', KEYS[1], ARGV[1], ARGV[2])
local units = redis.call('HINCRBY', KEYS[2], ':units', ARGV[2])
local cents = redis.call('HINCRBY', KEYS[2], ':cents', quantity * ARGV[3] - had * seen)
redis.call('HSET', KEYS[2], ARGV[1], ARGV[3])
redis.call('PEXPIRE', KEYS[1], ARGV[6])
redis.call('PEXPIRE', KEYS[2], ARGV[6])
redis.call('PUBLISH', ARGV[7], cjson.encode({
  event = 'added', owner = ARGV[8], sku = ARGV[1], change = tonumber(ARGV[2]),
  quantity = quantity, lines = lines, units = units, total_cents = cents}))
return {'ADDED', quantity, lines, units, cents}
";

/// Units that a line gets before the next cart is used.
const ADDS: usize = 50;
const TTL_MS: u32 = 1_800_000;

pub async fn rows(connection: &MultiplexedConnection) -> Vec<Row> {
    let mut rows = Vec::new();
    for lines in [1, 20, MAX_LINES] {
        rows.push(row(connection, lines).await);
    }
    rows
}

async fn row(connection: &MultiplexedConnection, lines: usize) -> Row {
    let cart = &Cart::new(connection.clone(), &format!("ours{lines}:"));
    let by_hand = &Script::new(BY_HAND);
    let price = Cents::new(1_999).unwrap();
    let which = move |call: usize| {
        let (owner, sku) = (call / (ADDS * lines), call % lines);
        (owner.to_string(), format!("sku{sku}"))
    };
    let ours = async move |owner: String, sku: String| {
        let added = cart.add(owner.as_str(), &sku, 1, price).await.unwrap();
        (added.quantity, added.cart.lines, added.cart.seen_total.unwrap().get())
    };
    let theirs = async move |owner: String, sku: String| {
        let mut call = by_hand.key(format!("hand{lines}:cart:{owner}"));
        call.key(format!("hand{lines}:cart:{owner}:prices")).arg(sku).arg(1).arg(price.get());
        call.arg(MAX_UNITS)
            .arg(MAX_LINES)
            .arg(TTL_MS)
            .arg(format!("hand{lines}:cart_updates:{owner}"))
            .arg(owner);
        let (outcome, quantity, lines, units, cents): (String, u32, usize, i64, i64) =
            call.invoke_async(&mut connection.clone()).await.unwrap();
        assert_eq!((outcome.as_str(), cents), ("ADDED", units * price.get()));
        (quantity, lines, cents)
    };
    // Every cart has all its lines when the clock starts.
    for owner in 0..=10_000 / (ADDS * lines) {
        for sku in 0..lines {
            ours(owner.to_string(), format!("sku{sku}")).await;
            theirs(owner.to_string(), format!("sku{sku}")).await;
        }
    }
    let expected = move |call: usize| {
        let added = call % (ADDS * lines);
        let units = i64::try_from(lines + added + 1).unwrap();
        (u32::try_from(added / lines).unwrap() + 2, lines, units * price.get())
    };
    compare(
        connection,
        &format!("cart: add, {lines} lines"),
        1.6,
        Side::script("add", move |call| {
            let (owner, sku) = which(call);
            async move { assert_eq!(ours(owner, sku).await, expected(call)) }
        }),
        Side::script("by hand: limits, price seen, sums, PUBLISH", move |call| {
            let (owner, sku) = which(call);
            async move { assert_eq!(theirs(owner, sku).await, expected(call)) }
        }),
    )
    .await
}
