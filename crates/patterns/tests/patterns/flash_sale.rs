use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use lab_server::Replicated;
use lab_testing::faults::lossy_proxy;
use lab_testing::slots::{HalfMovedSlots, MovingSlots};
use lab_testing::{TestConnection, prefix, until};
use patterns::flash_sale::{
    FlashSale, FlashSaleError, GaveBack, Lost, MAX_CAP, MAX_ORDERS, Place, Plan, Purchase, Receipt,
};
use patterns::script::StoreError;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::{connections, everywhere};

const HOUR: u64 = 3_600_000;
const SALE: &str = "current";

async fn plan(sales: &FlashSale<TestConnection>, units: u32, cap: u32, places: u32) -> Plan {
    let now = sales.now().await.unwrap();
    let (name, product) = ("Black Friday".into(), "PROD123".into());
    Plan { name, product, starts: now, ends: now + HOUR, units, cap, places }
}

async fn opened(sales: &FlashSale<TestConnection>, units: u32, cap: u32, places: u32) -> Plan {
    let plan = plan(sales, units, cap, places).await;
    sales.open(SALE, &plan).await.unwrap();
    plan
}

fn place(number: u64, ahead: u64, order: &str, units: u32) -> Purchase {
    Purchase::Waiting(Place { number, ahead, order: order.into(), units })
}

/// What the keys hold. (DUMP has the fields of a large Hash in any order.)
async fn contents(connection: &TestConnection, keys: &[String]) -> Vec<String> {
    let mut contents = Vec::new();
    for key in keys {
        contents.push(match connection.send::<String>(&["TYPE", key]).await.as_str() {
            "hash" => {
                let fields: BTreeMap<String, String> = connection.send(&["HGETALL", key]).await;
                format!("{fields:?}")
            }
            "zset" => format!("{:?}", connection.send::<Vec<String>>(&["ZRANGE", key, "0", "-1"]).await),
            _ => connection.send(&["GET", key]).await,
        });
    }
    contents
}

#[test]
fn an_order_is_sold_once_and_answered_the_same_ever_after() {
    everywhere(async |connection, prefix| {
        let sales = FlashSale::new(connection, &prefix);
        opened(&sales, 5, 3, 0).await;
        let (ann, bob, cas) = ("ann@example.com", "2001:db8::1", "{c} %:*");
        let receipt = Receipt { units: 2, left: 3, yours: 2 };
        assert_eq!(sales.buy(SALE, ann, 2, "a:1").await.unwrap(), Purchase::Bought(receipt));
        assert_matches!(
            sales.buy(SALE, bob, 1, "a:1").await.unwrap(),
            Purchase::Bought(_),
            "bob's own order"
        );
        for units in [2, 3, 99] {
            assert_eq!(sales.buy(SALE, ann, units, "a:1").await.unwrap(), Purchase::AlreadyBought(receipt));
        }
        let sale = sales.sale(SALE).await.unwrap().unwrap();
        assert_eq!((sale.left, sale.sold), (2, 3));
        assert_matches!(sales.buy(SALE, ann, 2, "b").await, Err(FlashSaleError::OverCap { have: 2, cap: 3 }));
        assert_matches!(sales.buy(SALE, cas, 3, "c").await, Err(FlashSaleError::SoldOut { left: 2 }));
        sales.buy(SALE, cas, 2, "c").await.unwrap();

        let back = sales.give_back(SALE, ann, "a:1").await.unwrap();
        assert_eq!(back, GaveBack { units: 2, served: vec![] });
        assert_eq!(sales.give_back(SALE, ann, "a:1").await.unwrap(), back, "the units come back once");
        assert_matches!(sales.buy(SALE, ann, 2, "a:1").await, Err(FlashSaleError::GivenBack { units: 2 }));
        assert_matches!(sales.give_back(SALE, ann, "z").await, Err(FlashSaleError::UnknownOrder));
        let sale = sales.sale(SALE).await.unwrap().unwrap();
        assert_eq!((sale.left, sale.sold), (2, 3));
    });
}

#[test]
fn sales_run_side_by_side_each_within_its_time() {
    everywhere(async |connection, prefix| {
        let sales = FlashSale::new(connection.clone(), &prefix);
        let plan = opened(&sales, 1, 1, 0).await;
        let later = Plan { starts: plan.starts + HOUR, ends: plan.ends + HOUR, units: 9, ..plan.clone() };
        sales.open("later", &later).await.unwrap();
        assert_matches!(sales.buy("none", "ann", 1, "a").await, Err(FlashSaleError::NoSale));
        assert_eq!(sales.sale("none").await.unwrap(), None);
        let early = sales.buy("later", "ann", 1, "a").await;
        let hour = Duration::from_millis(HOUR);
        assert_matches!(early, Err(FlashSaleError::NotStarted { starts_in }) if starts_in <= hour);
        sales.buy(SALE, "ann", 1, "a").await.unwrap();
        assert_eq!(sales.sale("later").await.unwrap().unwrap().left, 9);

        // The end passes.
        let [key, bought, _] = sales.keys(SALE).unwrap();
        let _: () = connection.send(&["HSET", &key, "ends", "1"]).await;
        assert_matches!(sales.buy(SALE, "bob", 1, "b").await, Err(FlashSaleError::Over));
        let again = sales.buy(SALE, "ann", 1, "a").await.unwrap();
        assert_matches!(again, Purchase::AlreadyBought(_), "a lost answer can still be asked for");
        assert_eq!(sales.give_back(SALE, "ann", "a").await.unwrap().units, 1);

        // Now another can be opened, and nothing is left of the former.
        let second = Plan { units: 7, ..plan.clone() };
        sales.open(SALE, &second).await.unwrap();
        let purchase = sales.buy(SALE, "ann", 1, "a").await.unwrap();
        assert_eq!(purchase, Purchase::Bought(Receipt { units: 1, left: 6, yours: 1 }));
        assert!(connection.send::<i64>(&["PTTL", &bought]).await > 0);
        assert!(sales.close(SALE).await.unwrap() && !sales.close(SALE).await.unwrap());
        assert_eq!(sales.sale(SALE).await.unwrap(), None);
    });
}

#[test]
fn a_sale_can_be_opened_again_but_not_over_another() {
    everywhere(async |connection, prefix| {
        let sales = FlashSale::new(connection, &prefix);
        let first = opened(&sales, 5, 3, 9).await;
        sales.buy(SALE, "ann", 1, "a").await.unwrap();
        sales.open(SALE, &first).await.unwrap();
        let sale = sales.sale(SALE).await.unwrap().unwrap();
        assert_eq!((&sale.plan, sale.sold), (&first, 1), "opening it again changes nothing");
        let another = sales.open(SALE, &Plan { units: 7, ..first.clone() }).await;
        assert_matches!(another, Err(FlashSaleError::Another { .. }));

        let (starts, ends) = (first.starts, first.ends);
        for (starts, ends) in [(ends, ends), (ends, starts), (0, u64::MAX), (u64::MAX, u64::MAX)] {
            let never = sales.open("x", &Plan { starts, ends, ..first.clone() }).await;
            assert_matches!(never, Err(FlashSaleError::Times { .. }), "{starts} {ends}");
        }
        let over = sales.open("x", &Plan { starts: 1, ends: 2, ..first.clone() }).await;
        assert_matches!(over, Err(FlashSaleError::Over));
        for cap in [0, MAX_CAP + 1] {
            let refused = sales.open("x", &Plan { cap, ..first.clone() }).await;
            assert_matches!(refused, Err(FlashSaleError::Units { .. }));
            assert_matches!(sales.buy(SALE, "ann", cap, "b").await, Err(FlashSaleError::Units { .. }));
        }
        let unnamed = sales.open("x", &Plan { name: String::new(), ..first.clone() }).await;
        assert_matches!(unnamed, Err(FlashSaleError::Name { bytes: 0 }));
        assert_matches!(sales.buy(SALE, "", 1, "a").await, Err(FlashSaleError::Store(StoreError::Key(_))));
    });
}

#[test]
fn the_waitlist_is_served_in_order() {
    everywhere(async |connection, prefix| {
        let sales = FlashSale::new(connection, &prefix);
        let buy = async |who, units, order| sales.buy(SALE, who, units, order).await;
        opened(&sales, 4, 2, 3).await;
        buy("ann", 2, "a").await.unwrap();
        buy("bob", 1, "b").await.unwrap();
        assert_eq!(buy("c:s", 2, "c c").await.unwrap(), place(1, 0, "c c", 2));
        // One unit is left, but c:s was first.
        assert_eq!(buy("dan", 1, "d").await.unwrap(), place(2, 1, "d", 1));
        assert_eq!(buy("eve", 1, "e").await.unwrap(), place(3, 2, "e", 1));
        assert_matches!(buy("fay", 1, "f").await, Err(FlashSaleError::SoldOut { left: 1 }), "it is full");
        // One place for each customer, whatever the order.
        assert_eq!(buy("dan", 1, "d").await.unwrap(), place(2, 1, "d", 1));
        assert_eq!(buy("dan", 2, "another").await.unwrap(), place(2, 1, "d", 1));
        assert_eq!(sales.place(SALE, "eve").await.unwrap().unwrap().ahead, 2);
        assert_eq!(sales.place(SALE, "fay").await.unwrap(), None);
        let bought = async |who| sales.bought(SALE, who).await.map(|bought| (bought.units, bought.orders));
        assert_eq!(bought("ann").await.unwrap(), (2, 1));
        assert_eq!(bought("c:s").await.unwrap(), (0, 0), "who waits has nothing yet");
        assert_eq!(bought("nobody").await.unwrap(), (0, 0));
        bought("").await.unwrap_err();

        let back = sales.give_back(SALE, "ann", "a").await.unwrap();
        let served: Vec<_> =
            back.served.iter().map(|s| (s.customer.as_str(), s.order.as_str(), s.units)).collect();
        assert_eq!((back.units, served), (2, vec![("c:s", "c c", 2), ("dan", "d", 1)]));
        assert_eq!(sales.give_back(SALE, "ann", "a").await.unwrap(), back, "the same answer");
        let receipt = Receipt { units: 2, left: 1, yours: 2 };
        assert_eq!(buy("c:s", 2, "c c").await.unwrap(), Purchase::AlreadyBought(receipt));
        assert_eq!((bought("ann").await.unwrap(), bought("c:s").await.unwrap()), ((0, 1), (2, 1)));

        // Numbers go on, though others have left.
        assert_eq!(buy("fay", 2, "f").await.unwrap(), place(4, 1, "f", 2));
        assert_eq!(sales.leave(SALE, "eve").await.unwrap(), []);
        assert_matches!(sales.leave(SALE, "eve").await, Err(FlashSaleError::NotWaiting));
        let back = sales.give_back(SALE, "bob", "b").await.unwrap();
        assert!(back.served.is_empty(), "fay waits for two");
        assert_eq!(buy("gus", 1, "g").await.unwrap(), place(5, 1, "g", 1));
        let served = sales.leave(SALE, "fay").await.unwrap();
        assert_eq!((served[0].customer.as_str(), served.len()), ("gus", 1), "the one unit is enough for gus");
        let sale = sales.sale(SALE).await.unwrap().unwrap();
        assert_eq!((sale.left, sale.sold, sale.waiting, sale.numbers), (0, 4, 0, 5));

        // A customer who waits for more can be served with what he gives back himself.
        assert_eq!(buy("gus", 1, "more").await.unwrap(), place(6, 0, "more", 1));
        let back = sales.give_back(SALE, "gus", "g").await.unwrap();
        assert_eq!((back.served[0].customer.as_str(), back.served[0].order.as_str()), ("gus", "more"));
        assert_matches!(buy("gus", 2, "x").await, Err(FlashSaleError::OverCap { have: 1, cap: 2 }));
    });
}

#[test]
fn everything_ends_with_the_sale() {
    everywhere(async |connection, prefix| {
        let sales = FlashSale::new(connection.clone(), &prefix).with_kept(Duration::from_mins(5));
        let plan = opened(&sales, 2, 2, 9).await;
        let keys = sales.keys(SALE).unwrap();
        // A key that moves takes along how long it has to live, so some milliseconds are lost on the way.
        let ends = async |key: &str| {
            let at: i64 = connection.send(&["PEXPIRETIME", key]).await;
            at == -2 || at.abs_diff(i64::try_from(plan.ends + 300_000).unwrap()) < 10_000
        };
        for round in 0..3 {
            let order = round.to_string();
            sales.buy(SALE, "ann", 2, &order).await.unwrap();
            sales.buy(SALE, "bob", 2, &order).await.unwrap();
            sales.give_back(SALE, "ann", &order).await.unwrap();
            sales.give_back(SALE, "bob", &order).await.unwrap();
            for key in &keys {
                assert!(ends(key).await, "{key}");
            }
        }
        sales.buy(SALE, "ann", 2, "last").await.unwrap();
        sales.buy(SALE, "bob", 2, "waits").await.unwrap();
        for key in &keys {
            assert!(ends(key).await && connection.send::<bool>(&["EXISTS", key]).await, "{key}");
        }

        let short = FlashSale::new(connection.clone(), &prefix).with_kept(Duration::ZERO);
        // Again on a machine so slow that the sale is over before it begins.
        until("it is opened", async || {
            let now = short.now().await.unwrap();
            let opened = short.open("short", &Plan { starts: now, ends: now + 200, ..plan.clone() }).await;
            assert_matches!(opened, Ok(()) | Err(FlashSaleError::Over));
            opened.is_ok()
        })
        .await;
        until("the sale is gone", async || short.sale("short").await.unwrap().is_none()).await;
    });
}

#[tokio::test]
async fn a_customer_cannot_fill_the_memory_with_orders() {
    let (connection, prefix) = (TestConnection::server().await, prefix());
    let sales = FlashSale::new(connection, &prefix);
    opened(&sales, 5, 1, 0).await;
    for order in 0..MAX_ORDERS {
        sales.buy(SALE, "ann", 1, &order.to_string()).await.unwrap();
        sales.give_back(SALE, "ann", &order.to_string()).await.unwrap();
    }
    assert_matches!(sales.buy(SALE, "ann", 1, "one more").await, Err(FlashSaleError::TooManyOrders));
}

#[test]
fn foreign_keys_are_refused_and_nothing_changes() {
    everywhere(async |connection, prefix| {
        let sales = FlashSale::new(connection.clone(), &prefix);
        let keys = sales.keys(SALE).unwrap();
        for foreign in &keys {
            sales.close(SALE).await.unwrap();
            let plan = opened(&sales, 2, 2, 9).await;
            sales.buy(SALE, "ann", 2, "a").await.unwrap();
            sales.buy(SALE, "bob", 2, "b").await.unwrap();
            let _: () = connection.send(&["SET", foreign, "foreign"]).await;
            let before = contents(&connection, &keys).await;
            sales.buy(SALE, "cas", 2, "c").await.unwrap_err();
            sales.give_back(SALE, "ann", "a").await.unwrap_err();
            sales.leave(SALE, "bob").await.unwrap_err();
            sales.close(SALE).await.unwrap_err();
            let error = sales.open(SALE, &plan).await;
            assert_matches!(error, Err(FlashSaleError::Store(StoreError::WrongType(_))));
            assert_eq!(contents(&connection, &keys).await, before, "{foreign}");
            let _: () = connection.send(&["DEL", foreign]).await;
        }
        let _: () =
            connection.send(&["HSET", &keys[0], "left", "1", "starts", "soon", "ends", "later"]).await;
        sales.buy(SALE, "ann", 1, "x").await.unwrap_err();
        assert_matches!(sales.sale(SALE).await, Err(StoreError::Malformed(_)));
    });
}

#[test]
fn a_lost_key_is_noticed_and_repaired_and_never_breaks_the_cap() {
    everywhere(async |connection, prefix| {
        let sales = FlashSale::new(connection.clone(), &prefix);
        let plan = opened(&sales, 3, 2, 600).await;
        let keys = sales.keys(SALE).unwrap();
        sales.buy(SALE, "ann", 2, "a").await.unwrap();
        sales.buy(SALE, "bob", 1, "b").await.unwrap();
        for number in 0..550 {
            sales.buy(SALE, &format!("late{number}"), 1, "o").await.unwrap();
        }
        let all_refuse = async |lost: Lost| {
            let is = |error: &FlashSaleError| matches!(error, FlashSaleError::Damaged(what) if *what == lost);
            assert!(is(&sales.buy(SALE, "cas", 1, "c").await.unwrap_err()));
            assert!(is(&sales.give_back(SALE, "ann", "a").await.unwrap_err()));
            assert!(is(&sales.leave(SALE, "late3").await.unwrap_err()));
        };

        let waitlist: Vec<String> = connection.send(&["ZRANGE", &keys[2], "0", "-1"]).await;
        let _: () = connection.send(&["DEL", &keys[2]]).await;
        all_refuse(Lost::Waitlist).await;
        sales.repair(SALE).await.unwrap();
        sales.repair(SALE).await.unwrap();
        assert_eq!(connection.send::<Vec<String>>(&["ZRANGE", &keys[2], "0", "-1"]).await, waitlist);
        assert!(connection.send::<i64>(&["PTTL", &keys[2]]).await > 0);

        let before = sales.sale(SALE).await.unwrap();
        let _: () = connection.send(&["DEL", &keys[0]]).await;
        all_refuse(Lost::Sale).await;
        let another = sales.open(SALE, &Plan { units: 50, ..plan.clone() }).await;
        assert_matches!(another, Err(FlashSaleError::Another { .. }), "no new units over old purchases");
        sales.open(SALE, &plan).await.unwrap();
        assert_eq!(sales.sale(SALE).await.unwrap(), before);
        assert_eq!(sales.place(SALE, "late549").await.unwrap().unwrap().ahead, 549);
        let served = sales.give_back(SALE, "ann", "a").await.unwrap().served;
        assert_eq!(served.iter().map(|served| served.number).collect::<Vec<_>>(), [1, 2]);

        let _: () = connection.send(&["DEL", &keys[1]]).await;
        all_refuse(Lost::Purchases).await;
        assert_matches!(sales.open(SALE, &plan).await, Err(FlashSaleError::Damaged(Lost::Purchases)));
        assert!(sales.close(SALE).await.unwrap());
        sales.open(SALE, &Plan { units: 1, ..plan }).await.unwrap();
    });
}

#[tokio::test]
async fn when_memory_is_full_nothing_is_half_bought_and_units_come_back() {
    let server = lab_server::Server::start().unwrap();
    let connection = TestConnection::to_server(&server).await;
    let sales = FlashSale::new(connection.clone(), "");
    opened(&sales, 2, 2, 9).await;
    sales.buy(SALE, "ann", 1, "a").await.unwrap();
    sales.buy(SALE, "bob", 2, "b").await.unwrap();
    let keys = sales.keys(SALE).unwrap();
    let _: () = connection.send(&["CONFIG", "SET", "maxmemory", "1"]).await;
    let before = contents(&connection, &keys).await;
    sales.buy(SALE, "cas", 1, "c").await.unwrap_err();
    assert_eq!(contents(&connection, &keys).await, before, "refused as a whole");
    assert_eq!(sales.leave(SALE, "bob").await.unwrap(), []);
    assert_eq!(sales.give_back(SALE, "ann", "a").await.unwrap().units, 1);
    let sale = sales.sale(SALE).await.unwrap().unwrap();
    assert_eq!((sale.left, sale.sold, sale.waiting), (2, 0, 0));
    assert!(sales.close(SALE).await.unwrap());
}

#[test]
fn each_call_is_one_round_trip() {
    everywhere(async |connection, prefix| {
        let sales = FlashSale::new(connection.clone(), &prefix);
        let plan = plan(&sales, 2, 2, 9).await;
        let order = "o1";
        let round_trips = [
            connection.round_trips_of(sales.open(SALE, &plan)).await,
            connection.round_trips_of(sales.buy(SALE, "ann", 2, order)).await,
            connection.round_trips_of(sales.buy(SALE, "bob", 2, order)).await,
            connection.round_trips_of(sales.place(SALE, "bob")).await,
            connection.round_trips_of(sales.bought(SALE, "bob")).await,
            connection.round_trips_of(sales.give_back(SALE, "ann", order)).await,
            connection.round_trips_of(sales.give_back(SALE, "bob", order)).await,
            connection.round_trips_of(sales.leave(SALE, "bob")).await,
            connection.round_trips_of(sales.sale(SALE)).await,
        ];
        assert_eq!(round_trips, [1; 9]);
    });
}

/// In the turmoil of a cluster, the client now and then loses an answer without an error.
const IMPATIENT: Duration = Duration::from_millis(700);

/// Asks until there is an answer, always with the same order. `None` is a refusal.
async fn buy(sales: &FlashSale<TestConnection>, customer: &str, units: u32, order: &str) -> Option<Purchase> {
    loop {
        match timeout(IMPATIENT, sales.buy(SALE, customer, units, order)).await {
            Ok(Ok(purchase)) => return Some(purchase),
            Ok(Err(FlashSaleError::SoldOut { .. } | FlashSaleError::OverCap { .. })) => return None,
            Ok(Err(error)) => assert_matches!(error, FlashSaleError::Store(_)),
            Err(_) => {}
        }
    }
}

async fn give_back(sales: &FlashSale<TestConnection>, customer: &str, order: &str) -> GaveBack {
    loop {
        match timeout(IMPATIENT, sales.give_back(SALE, customer, order)).await {
            Ok(Ok(back)) => return back,
            Ok(Err(error)) => assert_matches!(error, FlashSaleError::Store(_)),
            Err(_) => {}
        }
    }
}

/// What each customer has by their entries, after all totals agree.
async fn shares(sales: &FlashSale<TestConnection>, connection: &TestConnection) -> BTreeMap<String, u32> {
    let sale = sales.sale(SALE).await.unwrap().unwrap();
    let [_, bought, _] = sales.keys(SALE).unwrap();
    let all: BTreeMap<String, String> = connection.send(&["HGETALL", &bought]).await;
    let first = |text: &str| text.split(':').next().unwrap().parse::<u32>();
    let shares: BTreeMap<String, u32> = all
        .iter()
        .filter(|(field, _)| !field.contains(':'))
        .map(|(field, entry)| (field.clone(), first(entry).unwrap()))
        .collect();
    let receipts = all.iter().filter(|(field, _)| field.contains(':') && !field.starts_with(':'));
    let receipts: u32 = receipts.filter_map(|(_, receipt)| first(receipt).ok()).sum();
    assert_eq!(sale.left + sale.sold, sale.plan.units, "what is left and what is sold");
    assert_eq!(shares.values().sum::<u32>(), sale.sold, "what the customers have");
    assert_eq!(receipts, sale.sold, "what the receipts say");
    assert!(shares.values().all(|have| *have <= sale.plan.cap), "{shares:?}");
    shares
}

/// 60 customers with two tabs each ask for 1 to 3 units, three times; then each of the receipts is found, once.
async fn crowd(connections: &[TestConnection], direct: &TestConnection, prefix: &str) {
    let sales = FlashSale::new(direct.clone(), prefix);
    opened(&sales, 100, 3, 0).await;
    let at_a_time = Arc::new(Semaphore::new(4 * connections.len()));
    let mut tabs = JoinSet::new();
    for tab in 0..120 {
        let sales = FlashSale::new(connections[tab % connections.len()].clone(), prefix);
        let at_a_time = Arc::clone(&at_a_time);
        tabs.spawn(async move {
            let mut receipts = Vec::new();
            for attempt in 0..3 {
                let _turn = at_a_time.acquire().await.unwrap();
                let (units, order) =
                    (u32::try_from((tab * 7 + attempt * 5) % 3).unwrap() + 1, format!("{tab}-{attempt}"));
                match buy(&sales, &format!("user{}", tab / 2), units, &order).await {
                    Some(Purchase::Bought(receipt) | Purchase::AlreadyBought(receipt)) => {
                        receipts.push(receipt);
                    }
                    Some(waits) => panic!("there is no waitlist: {waits:?}"),
                    None => {}
                }
            }
            receipts
        });
    }
    let mut receipts: Vec<Receipt> = tabs.join_all().await.into_iter().flatten().collect();
    shares(&sales, direct).await;
    receipts.sort_by_key(|receipt| std::cmp::Reverse(receipt.left));
    let mut left = 100;
    for receipt in receipts {
        assert_eq!(receipt.left, left - receipt.units, "each purchase begins where the one before it ended");
        left = receipt.left;
    }
    assert_eq!(left, 0, "the customers wanted more");
}

/// Ten units are sold out at once; 40 customers wait, and then all ten come back.
async fn wait_and_be_served(connections: &[TestConnection], direct: &TestConnection, prefix: &str) {
    let sales = FlashSale::new(direct.clone(), prefix);
    opened(&sales, 10, 3, 1_000).await;
    for number in 0..10 {
        buy(&sales, &format!("user{number}"), 1, "only").await.unwrap();
    }
    // Everybody comes twice, so that a second place would be noticed.
    let mut arriving = JoinSet::new();
    for number in (10..50).chain(10..50) {
        let sales = FlashSale::new(connections[number % connections.len()].clone(), prefix);
        arriving.spawn(async move { (number, buy(&sales, &format!("user{number}"), 1, "only").await) });
    }
    let mut places = BTreeMap::new();
    for (number, purchase) in arriving.join_all().await {
        let Some(Purchase::Waiting(place)) = purchase else { panic!("{purchase:?}") };
        assert_eq!(*places.entry(number).or_insert(place.number), place.number, "one place for each");
    }
    assert_eq!(places.values().copied().collect::<BTreeSet<_>>(), (1..=40).collect(), "without gaps");

    // Everybody who bought gives back, twice and at once.
    let mut giving = JoinSet::new();
    for number in (0..10).chain(0..10) {
        let sales = FlashSale::new(connections[number % connections.len()].clone(), prefix);
        giving.spawn(async move { (number, give_back(&sales, &format!("user{number}"), "only").await) });
    }
    let mut backs = BTreeMap::new();
    for (number, back) in giving.join_all().await {
        assert_eq!(*backs.entry(number).or_insert_with(|| back.clone()), back, "the same answer again");
    }
    let served: Vec<u64> = backs.values().flat_map(|back| &back.served).map(|served| served.number).collect();
    assert_eq!(served.len(), 10, "each unit went to one customer");
    assert_eq!(served.into_iter().collect::<BTreeSet<_>>(), (1..=10).collect(), "to the first");
    let shares = shares(&sales, direct).await;
    for (number, place) in places {
        assert_eq!(shares[&format!("user{number}")], u32::from(place <= 10), "number {place}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn exactly_the_units_are_sold_and_the_first_are_served_though_answers_get_lost() {
    let direct = TestConnection::server().await;
    let proxy = lossy_proxy(lab_testing::server(), 13);
    for _ in 0..3 {
        let connections = connections(4, async || TestConnection::reconnecting(&proxy.url()).await).await;
        crowd(&connections, &direct, &prefix()).await;
        wait_and_be_served(&connections, &direct, &prefix()).await;
    }
    assert!(proxy.cuts() > 10, "only {} answers were lost", proxy.cuts());
}

#[tokio::test(flavor = "multi_thread")]
async fn exactly_the_units_are_sold_and_the_first_are_served_while_slots_move() {
    let connections = connections(4, TestConnection::cluster).await;
    for work in 0..2 {
        let prefix = prefix();
        let moving = MovingSlots::of(FlashSale::new(connections[0].clone(), &prefix).keys(SALE).unwrap());
        if work == 0 {
            crowd(&connections, &connections[0], &prefix).await;
        } else {
            wait_and_be_served(&connections, &connections[0], &prefix).await;
        }
        assert!(moving.end() > 1);
    }
}

/// While its slot is on its way, a script that touches a key which it has emptied fails in its middle.
#[tokio::test(flavor = "multi_thread")]
async fn the_last_who_wait_are_served_and_leave_while_their_slot_is_on_its_way() {
    for leaving in [false, true] {
        let sales = FlashSale::new(TestConnection::cluster().await, &prefix());
        opened(&sales, 2, 2, 9).await;
        sales.buy(SALE, "ann", 2, "a").await.unwrap();
        sales.buy(SALE, "bob", 1, "b").await.unwrap();
        let keys = sales.keys(SALE).unwrap();
        let moving = HalfMovedSlots::of([&keys[0]]);
        let served = if leaving {
            sales.leave(SALE, "bob").await.unwrap().len()
        } else {
            sales.give_back(SALE, "ann", "a").await.unwrap().served.len()
        };
        drop(moving);
        assert_eq!(served, usize::from(!leaving));
        let sale = sales.sale(SALE).await.unwrap().unwrap();
        assert_eq!((sale.left, sale.sold, sale.waiting), if leaving { (0, 2, 0) } else { (1, 1, 0) });
        assert_eq!(sales.place(SALE, "bob").await.unwrap(), None);
    }
}

#[tokio::test]
async fn a_purchase_waits_for_the_replica_also_when_another_connection_repeats_it() {
    let group = Replicated::start(1).unwrap();
    let (replica, brief) = (&group.replicas[0], Duration::from_millis(50));
    let sales = |connection| FlashSale::new(connection, "").with_replicas(1, brief);
    let first = sales(TestConnection::to_server(&group.primary).await);
    opened(&first, 1, 1, 1).await;
    until("the replica has the sale", async || first.buy(SALE, "ann", 1, "a").await.is_ok()).await;

    replica.pause().unwrap();
    for (customer, order) in [("ann", "a"), ("bob", "b"), ("bob", "b")] {
        // A connection that has written nothing: WAIT says something only about what its own connection has written.
        let again = sales(TestConnection::to_server(&group.primary).await);
        let answer = again.buy(SALE, customer, 1, order).await;
        assert_matches!(answer, Err(FlashSaleError::NotReplicated { replicas: 0 }));
    }
    replica.resume().unwrap();
    until("the replica has caught up", async || {
        matches!(first.buy(SALE, "ann", 1, "a").await, Ok(Purchase::AlreadyBought(_)))
    })
    .await;
    assert_matches!(first.buy(SALE, "bob", 1, "b").await, Ok(Purchase::Waiting(_)));
}
