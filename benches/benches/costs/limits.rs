//! Limiters, admitting: beside what one would write by hand, with the same answers.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use patterns::fixed_window::FixedWindowAlgorithm;
use patterns::limit::{Algorithm, IfUnreachable, Limit, Limiter};
use patterns::sliding_counter::SlidingCounterAlgorithm;
use patterns::token_bucket::TokenBucketAlgorithm;
use redis::Script;
use redis::aio::MultiplexedConnection;

use crate::measure::{Row, Side, compare};

const QUOTA: u32 = 1_000_000;
const HOUR: Duration = Duration::from_hours(1);
const CALLERS: usize = 100;

/// A bucket as redis_rate keeps it: the generic cell rate algorithm in seconds, as floating-point numbers.
static GCRA: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
local key, burst, rate, period, cost = KEYS[1], ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4])
local interval = period / rate
local increment, tolerance = interval * cost, interval * burst
local clock = redis.call('TIME')
local now = (clock[1] - 1483228800) + (clock[2] / 1000000)
local arrival = redis.call('GET', key)
if arrival then arrival = tonumber(arrival) else arrival = now end
arrival = math.max(arrival, now)
local next_arrival = arrival + increment
local spare = now - (next_arrival - tolerance)
local remaining = spare / interval
if remaining < 0 then
  return {0, 0, tostring(-spare), tostring(arrival - now)}
end
local reset = next_arrival - now
if reset > 0 then
  redis.call('SET', key, next_arrival, 'EX', math.ceil(reset))
end
return {cost, remaining, tostring(-1), tostring(reset)}
",
    )
});

/// Replies admitted, remaining, and the ms after which to retry.
static FIXED_WINDOW: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
local cost, quota = tonumber(ARGV[1]), tonumber(ARGV[2])
local count = tonumber(redis.call('GET', KEYS[1]) or 0)
if count + cost > quota then
  return {0, quota - count, redis.call('PTTL', KEYS[1])}
end
if count == 0 then
  redis.call('SET', KEYS[1], cost, 'PX', ARGV[3])
else
  redis.call('INCRBY', KEYS[1], cost)
end
return {1, quota - count - cost, 0}
",
    )
});

/// The same for two windows, each a counter of its own.
static SLIDING_COUNTER: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
local cost, quota, window = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local elapsed = now % window
local start = now - elapsed
local values = redis.call('HMGET', KEYS[1], 'start', 'previous', 'current')
local began, previous, current = tonumber(values[1] or 0), tonumber(values[2] or 0), tonumber(values[3] or 0)
if began + window == start then
  previous, current = current, 0
elseif began ~= start then
  previous, current = 0, 0
end
local used = previous * (window - elapsed) / window + current
if used + cost > quota then
  local wait = window - elapsed
  if current + cost <= quota then
    wait = wait - math.floor((quota - current - cost) * window / previous)
  end
  return {0, math.floor(quota - used), wait}
end
redis.call('HSET', KEYS[1], 'start', start, 'previous', previous, 'current', current + cost)
redis.call('PEXPIRE', KEYS[1], 2 * window)
return {1, math.floor(quota - used - cost), 0}
",
    )
});

pub async fn rows(connection: &MultiplexedConnection) -> Vec<Row> {
    let window = HOUR.as_millis().to_string();
    let (quota, seconds) = (QUOTA.to_string(), HOUR.as_secs().to_string());
    let by_hand = ["1", &quota, &window];
    vec![
        compare(
            connection,
            "token bucket, admitted",
            1.0,
            ours::<TokenBucketAlgorithm>(connection, "bucket"),
            peer(connection, "redis_rate", &GCRA, "their-bucket", &[&quota, &quota, &seconds, "1"]),
        )
        .await,
        compare(
            connection,
            "fixed window, admitted",
            1.5,
            ours::<FixedWindowAlgorithm>(connection, "window"),
            peer(connection, "script: GET, SET or INCRBY", &FIXED_WINDOW, "their-window", &by_hand),
        )
        .await,
        compare(
            connection,
            "sliding counter, admitted",
            1.5,
            ours::<SlidingCounterAlgorithm>(connection, "counter"),
            peer(connection, "script: HMGET, HSET, PEXPIRE", &SLIDING_COUNTER, "their-counter", &by_hand),
        )
        .await,
    ]
}

fn ours<'a, A: Algorithm>(connection: &MultiplexedConnection, name: &'a str) -> Side<'a> {
    let limits = [Limit::new(name, QUOTA, HOUR)];
    let limiter = Limiter::<_, A>::new(connection.clone(), "", &limits, IfUnreachable::Refuse).unwrap();
    let limiter = Arc::new(limiter);
    Side::script("ours", move |call| {
        let limiter = Arc::clone(&limiter);
        async move {
            let decision = limiter.admit(&format!("caller{}", call % CALLERS)).await.unwrap();
            assert!(decision.admitted && decision.remaining >= QUOTA - 20_000, "{decision:?}");
        }
    })
}

fn peer<'a>(
    connection: &'a MultiplexedConnection,
    name: &'a str,
    script: &'static Script,
    key: &'a str,
    arguments: &'a [&'a str],
) -> Side<'a> {
    Side::script(name, move |call| async move {
        let mut invocation = script.key(format!("{key}:{}", call % CALLERS));
        for argument in arguments {
            invocation.arg(argument);
        }
        let answer: Vec<f64> = invocation.invoke_async(&mut connection.clone()).await.unwrap();
        assert!(answer[0] > 0.5 && answer[1] >= f64::from(QUOTA - 20_000), "{answer:?}");
    })
}
