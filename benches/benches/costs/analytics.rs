use std::collections::BTreeMap;
use std::sync::LazyLock;

use patterns::active_users::ActiveUsers;
use patterns::analytics::Analytics;
use patterns::bought_together::BoughtTogether;
use patterns::money::Cents;
use patterns::popular_products::PopularProducts;
use patterns::weekly_metrics::WeeklyMetrics;
use redis::Script;
use redis::aio::MultiplexedConnection;

use crate::measure::{Row, Side, compare, median};

/// Once while the day is open, with a bound. It says nothing of a lost key, of money beyond 2^53, or of refused commands.
static VIEW_BY_HAND: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local closes = tonumber(redis.call('HGET', KEYS[1], 'closes'))
if closes and closes <= now then return 'TOO_LATE' end
if redis.call('SCARD', KEYS[2]) >= tonumber(ARGV[3]) then return 'FULL' end
if redis.call('SADD', KEYS[2], ARGV[1]) == 0 then return 'DUPLICATE' end
redis.call('HINCRBY', KEYS[1], 'page_views', 1)
redis.call('PFADD', KEYS[3], ARGV[2])
if not closes then
  redis.call('HSET', KEYS[1], 'closes', now + ARGV[4])
  for i = 1, 3 do redis.call('PEXPIRE', KEYS[i], ARGV[5]) end
end
return 'COUNTED'
",
    )
});
/// Forward decay without a bound, and with sums that overflow some day.
static DECAY_BY_HAND: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        "local time = redis.call('TIME')
         return redis.call('ZINCRBY', KEYS[1], 2 ^ ((time[1] - ARGV[2]) / 604800), ARGV[1])",
    )
});

const DAY: &str = "2024-01-01";
const PRODUCTS: usize = 100_000;

/// What counting costs beside scripts by hand, and how long the longest step holds the server.
pub async fn rows(connection: &MultiplexedConnection) -> Vec<Row> {
    vec![page_view(connection).await, popular_view(connection).await, longest_step(connection).await]
}

async fn page_view(connection: &MultiplexedConnection) -> Row {
    let analytics = &Analytics::new(connection.clone(), "costs:");
    let ours = Side::script("page_view", move |n| async move {
        let recorded = analytics.page_view(&format!("event{n}"), DAY, &format!("user{}", n % 100)).await;
        assert_eq!(recorded.unwrap(), patterns::analytics::Recorded::Counted);
    });
    let peer = Side::script("by hand, with window and bound", move |n| {
        let mut connection = connection.clone();
        async move {
            let mut call = VIEW_BY_HAND.key("costs:{hand}:metrics");
            call.key("costs:{hand}:ids").key("costs:{hand}:visitors");
            call.arg(format!("event{n}")).arg(format!("user{}", n % 100));
            call.arg(10_000_000).arg(259_200_000_u64).arg(34_560_000_000_u64);
            assert_eq!(call.invoke_async::<String>(&mut connection).await.unwrap(), "COUNTED");
        }
    });
    compare(connection, "analytics: page view, once", 2.5, ours, peer).await
}

async fn popular_view(connection: &MultiplexedConnection) -> Row {
    let popular = &PopularProducts::new(connection.clone(), "costs:");
    let ours = Side::script("viewed", move |n| async move {
        popular.viewed(&format!("P{}", n % 1_000), None).await.unwrap();
    });
    let peer = Side::script("ZINCRBY by a weight in a script", move |n| {
        let mut connection = connection.clone();
        async move {
            let mut call = DECAY_BY_HAND.key("costs:hand:popular");
            call.arg(format!("P{}", n % 1_000)).arg(1_704_067_200);
            let views: f64 = call.invoke_async(&mut connection).await.unwrap();
            assert!(views > 0.0);
        }
    });
    compare(connection, "popular products: view, fading", 3.0, ours, peer).await
}

/// Everything that could hold the server, at 100,000 products and users, by its slow log.
async fn longest_step(connection: &MultiplexedConnection) -> Row {
    let (prefix, mut redis) = ("costs:large:", connection.clone());
    let analytics = Analytics::new(connection.clone(), prefix);
    let popular = PopularProducts::new(connection.clone(), prefix).with_max_products(PRODUCTS);
    let together = BoughtTogether::new(connection.clone(), prefix);
    let active = ActiveUsers::new(connection.clone(), prefix);
    let days: Vec<String> = (1..=7).map(|day| format!("2024-01-0{day}")).collect();
    let days: Vec<&str> = days.iter().map(String::as_str).collect();
    let users: Vec<u64> = (0..PRODUCTS as u64).collect();
    let mut large = vec![popular.key().unwrap()];
    for day in &days[..2] {
        large.push(analytics.products_key(day).unwrap());
    }
    for day in &days {
        active.add(day, &users).await.unwrap();
    }
    let products: Vec<usize> = (0..PRODUCTS * 11 / 10).collect();
    for key in &large {
        for batch in products.chunks(10_000) {
            let mut add = redis::cmd("ZADD");
            add.arg(key.as_str());
            for number in batch {
                add.arg(number).arg(format!("P{number}"));
            }
            add.exec_async(&mut redis).await.unwrap();
        }
    }
    let config = async |option: &str, value: &str| {
        let mut set = redis::cmd("CONFIG");
        set.arg("SET").arg(option).arg(value).exec_async(&mut connection.clone()).await.unwrap();
    };
    redis::cmd("SLOWLOG").arg("RESET").exec_async(&mut redis).await.unwrap();
    config("slowlog-max-len", "100000").await;
    config("slowlog-log-slower-than", "100").await;
    let lines: Vec<String> = (0..100).map(|number| format!("P{}", number * 1_000)).collect();
    let lines: Vec<(&str, Cents)> = lines.iter().map(|sku| (sku.as_str(), Cents::MAX_PRICE)).collect();
    let bought: Vec<&str> = lines[..20].iter().map(|(sku, _)| *sku).collect();
    for number in 0..50 {
        let order = format!("order{number}");
        popular.viewed(&format!("NEW{number}"), None).await.unwrap();
        analytics.order(&order, days[0], "user123", &lines).await.unwrap();
        together.count(&order, &bought).await.unwrap();
        popular.top(usize::MAX).await.unwrap();
        analytics.top(days[0], usize::MAX).await.unwrap();
    }
    let weekly = WeeklyMetrics::new(connection.clone(), prefix);
    for _ in 0..3 {
        together.with_all(&bought, 10).await.unwrap();
        assert_eq!(weekly.roll_up("2024-W01", &days).await.unwrap().get("orders"), 50);
        let retention = active.retention(days[0], &days[1..]).await.unwrap();
        assert_eq!(retention.returned, [PRODUCTS as u64; 6]);
    }
    config("slowlog-log-slower-than", "10000").await;
    // The median of each kind of step: whatever else runs on this machine interrupts the server, too.
    let mut kinds = BTreeMap::<Vec<Vec<u8>>, Vec<f64>>::new();
    for (_, _, micros, mut words, _, _) in log(&mut redis).await {
        let script = words[0].to_ascii_uppercase().starts_with(b"EVAL");
        words.truncate(if script { 2 } else { 1 });
        kinds.entry(words).or_default().push(micros);
    }
    Row {
        what: "analytics, popular: longest at 100,000".to_owned(),
        ours: kinds.into_values().map(median).fold(0.0, f64::max),
        peer: 5_000.0,
        peer_name: "5 ms, the most a step may take".to_owned(),
        limit: 1.0,
    }
}

type Entry = (u64, u64, f64, Vec<Vec<u8>>, redis::Value, redis::Value);

async fn log(redis: &mut MultiplexedConnection) -> Vec<Entry> {
    redis::cmd("SLOWLOG").arg("GET").arg(-1).query_async(redis).await.unwrap()
}
