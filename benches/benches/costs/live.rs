//! Flash sale, stock feed, and stores, beside the shortest scripts that do the same with fewer promises.

use patterns::flash_sale::{FlashSale, MAX_CAP, Plan, Purchase};
use patterns::script::{Reply, Script};
use patterns::stock_feed::StockFeed;
use patterns::stores::{Area, Hours, LocalTime, Place, Store, Stores};
use redis::aio::MultiplexedConnection;

use crate::measure::{Row, Side, compare};

/// It sells within the time and the cap and gives the same answer again. It has no waitlist, does not notice a lost key, and does
/// not ask for its user's rights.
static BUY_BY_HAND: Script = Script::new(
    "buy by hand",
    "local answered = redis.call('HMGET', KEYS[2], ARGV[1], ARGV[2])
if answered[2] then
  return {'ANSWERED', answered[2]}
end
local sale = redis.call('HMGET', KEYS[1], 'left', 'sold', 'starts', 'ends', 'cap')
local time = redis.call('TIME')
local now, units, have = time[1] * 1000 + math.floor(time[2] / 1000), tonumber(ARGV[3]), tonumber(answered[1] or 0)
if now < tonumber(sale[3]) or now >= tonumber(sale[4]) then
  return {'OVER'}
elseif have + units > tonumber(sale[5]) then
  return {'OVER_CAP', have}
elseif tonumber(sale[1]) < units then
  return {'SOLD_OUT', sale[1]}
end
local left = sale[1] - units
redis.call('HSET', KEYS[1], 'left', left, 'sold', sale[2] + units)
redis.call('HSET', KEYS[2], ARGV[1], have + units, ARGV[2], units .. ':' .. left .. ':' .. have + units)
return {'BOUGHT', left, have + units}
",
    &[],
);

/// It counts instead of noticing a server that forgot, and does not ask for its user's rights.
static SET_BY_HAND: Script = Script::new(
    "set by hand",
    "local version = redis.call('HINCRBY', KEYS[1], 'version', 1)
redis.call('HSET', KEYS[1], 'level', ARGV[1])
redis.call('PUBLISH', ARGV[2], '{\"sku\":' .. ARGV[3] .. ',\"level\":' .. ARGV[1] .. ',\"version\":' .. version .. '}')
return {'SET', version}
",
    &[],
);

pub async fn rows(connection: &MultiplexedConnection) -> Vec<Row> {
    vec![buy(connection).await, set(connection).await, near(connection).await]
}

async fn buy(connection: &MultiplexedConnection) -> Row {
    let sales = FlashSale::new(connection.clone(), "costs:");
    let now = sales.now().await.unwrap();
    let plan = Plan {
        name: "Costs".into(),
        product: "PROD123".into(),
        starts: now,
        ends: now + 3_600_000,
        units: u32::MAX,
        cap: MAX_CAP,
        places: 1_000,
    };
    sales.open("ours", &plan).await.unwrap();
    sales.open("by hand", &plan).await.unwrap();
    let keys = sales.keys("by hand").unwrap();
    let ours = Side::script("FlashSale::buy", |call| {
        let sales = sales.clone();
        async move {
            let bought = sales.buy("ours", &format!("user{call}"), 1, "order-1").await.unwrap();
            assert!(matches!(bought, Purchase::Bought(receipt) if receipt.yours == 1));
        }
    });
    let peer = Side::script("by hand, without a waitlist", |call| {
        let script = BUY_BY_HAND.call(&keys[..2]).arg(format!("user{call}"));
        let script = script.arg(format!("user{call}:order-1")).arg(1);
        async move {
            let mut bought: Reply = script.run(connection).await.unwrap();
            assert_eq!(bought.outcome, "BOUGHT");
            assert!(bought.next::<u64>().unwrap() > 0 && bought.next::<u64>().unwrap() == 1);
        }
    });
    compare(connection, "flash sale: buy", 2.0, ours, peer).await
}

async fn set(connection: &MultiplexedConnection) -> Row {
    let feed = StockFeed::new(connection.clone(), "costs:");
    let (key, channel) = (feed.key("by hand").unwrap(), feed.channel("by hand").unwrap());
    let ours = Side::script("StockFeed::set", |_| {
        let feed = feed.clone();
        async move { assert!(feed.set("PROD123", 7).await.unwrap().version > 0) }
    });
    let peer = Side::script("by hand, with a counter", |_| {
        let script = SET_BY_HAND.call(&[key.as_str()]).arg(7).arg(&channel).arg("\"by hand\"");
        async move {
            let mut set: Reply = script.run(connection).await.unwrap();
            assert!(set.next::<u64>().unwrap() > 0);
        }
    });
    compare(connection, "stock feed: set", 2.0, ours, peer).await
}

async fn near(connection: &MultiplexedConnection) -> Row {
    let stores = Stores::new(connection.clone(), "costs:");
    for number in 0..100_u32 {
        let store = Store {
            id: format!("store{number}"),
            name: "A store".into(),
            place: Place::new(f64::from(number % 10), f64::from(number / 10)).unwrap(),
            hours: Hours::daily("09:00-18:00").unwrap(),
        };
        stores.put(&store).await.unwrap();
    }
    let [map, details] = stores.keys().unwrap();
    let (here, noon) = (Place::new(5.0, 5.0).unwrap(), LocalTime::new(0, 12, 0).unwrap());
    let ours = Side::script("Stores::near", |_| {
        let stores = stores.clone();
        async move {
            let near = stores.near(here, Area::Circle { radius: 130_000.0 }, 10, noon).await.unwrap();
            assert_eq!((near.len(), near[0].id.as_str()), (5, "store55"));
        }
    });
    let peer = Side::new("GEOSEARCH, then HMGET: two round trips", &["geosearch", "hmget"], |_| {
        let (map, details) = (map.clone(), details.clone());
        async move {
            let mut search = redis::cmd("GEOSEARCH");
            search.arg(map).arg(&["FROMLONLAT", "5", "5", "BYRADIUS", "130000", "m", "ASC", "COUNT", "10"]);
            search.arg("WITHDIST");
            let mut connection = connection.clone();
            let found: Vec<(String, f64)> = search.query_async(&mut connection).await.unwrap();
            let ids: Vec<String> = found.into_iter().map(|(id, _)| id).collect();
            let read = redis::cmd("HMGET").arg(details).arg(&ids).take();
            let details: Vec<String> = read.query_async(&mut connection).await.unwrap();
            assert_eq!((details.len(), ids[0].as_str()), (5, "store55"));
        }
    });
    compare(connection, "stores: the 5 near of 100", 5.0, ours, peer).await
}
