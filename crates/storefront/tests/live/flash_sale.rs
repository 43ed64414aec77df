//! What a flash sale promises to one customer at a time.

use std::time::Duration;

use redis::Value;
use storefront::flash_sale::{
    BuyError, FlashSale, GiveBackError, LeaveError, NewSale, OpenError, Place, Purchase, Receipt,
};
use storefront::{CustomerId, OrderId, StoreError};

use crate::shop::{Wire, in_each_layout, units, until};

const HOUR: u64 = 3_600_000;

async fn plan(sales: &FlashSale<Wire>, stock: u32, cap: u32, places: u32) -> NewSale {
    let now = sales.now().await.unwrap();
    NewSale {
        name: "Black Friday".into(),
        product: "PROD123".parse().unwrap(),
        starts: now,
        ends: now + HOUR,
        units: stock,
        cap: units(cap),
        places,
    }
}

fn customer(name: &str) -> CustomerId {
    name.parse().unwrap()
}

fn order(name: &str) -> OrderId {
    name.parse().unwrap()
}

async fn buy(sales: &FlashSale<Wire>, who: &str, quantity: u32, what: &str) -> Result<Purchase, BuyError> {
    sales.buy(&customer(who), units(quantity), &order(what)).await
}

fn bought(units: u32, left: u32, yours: u32) -> Receipt {
    Receipt { units, left, yours }
}

fn place(number: u64, ahead: u64, what: &str, units: u32) -> Purchase {
    Purchase::Waiting(Place { number, ahead, order: order(what), units })
}

#[tokio::test]
async fn an_order_is_sold_once_and_answered_the_same_ever_after() {
    in_each_layout(async |wire, keys| {
        let sales = FlashSale::new(wire.clone(), keys.clone());
        sales.open(&plan(&sales, 5, 3, 0).await).await.unwrap();
        assert_eq!(buy(&sales, "ann", 2, "a").await.unwrap(), Purchase::Bought(bought(2, 3, 2)));
        assert_eq!(buy(&sales, "bob", 1, "a").await.unwrap(), Purchase::Bought(bought(1, 2, 1)));
        // Asked again, by whatever number of units: the order is what it was.
        for quantity in [2, 3, 99] {
            let again = buy(&sales, "ann", quantity, "a").await.unwrap();
            assert_eq!(again, Purchase::AlreadyBought(bought(2, 3, 2)));
        }
        let sale = sales.sale().await.unwrap().unwrap();
        assert_eq!((sale.left, sale.sold), (2, 3));
        assert!(matches!(buy(&sales, "ann", 2, "b").await, Err(BuyError::OverCap { have: 2, cap: 3 })));
        assert!(matches!(buy(&sales, "cas", 3, "c").await, Err(BuyError::SoldOut { left: 2 })));
        assert_eq!(buy(&sales, "cas", 2, "c").await.unwrap(), Purchase::Bought(bought(2, 0, 2)));
        assert!(matches!(buy(&sales, "dan", 1, "d").await, Err(BuyError::SoldOut { left: 0 })));
    })
    .await;
}

#[tokio::test]
async fn a_sale_begins_and_ends_by_the_clock_of_the_server() {
    in_each_layout(async |wire, keys| {
        let sales = FlashSale::new(wire.clone(), keys.clone());
        assert!(matches!(buy(&sales, "ann", 1, "a").await, Err(BuyError::NoSale)));
        let mut later = plan(&sales, 5, 3, 0).await;
        later.starts += HOUR / 2;
        sales.open(&later).await.unwrap();
        let Err(BuyError::NotStarted { starts_in }) = buy(&sales, "ann", 1, "a").await else {
            panic!("it has not begun");
        };
        assert!(starts_in <= Duration::from_mins(30) && starts_in > Duration::from_mins(25), "{starts_in:?}");

        // Somebody moves the times, as no test can wait for an hour.
        let key = keys.flash_sale().sale;
        wire.send(&["HSET", &key, "starts", "1"]).await;
        buy(&sales, "ann", 1, "a").await.unwrap();
        wire.send(&["HSET", &key, "ends", &sales.now().await.unwrap().to_string()]).await;
        assert!(matches!(buy(&sales, "bob", 1, "b").await, Err(BuyError::Over)));
        // Who has bought may still ask for his answer, and give back.
        let again = buy(&sales, "ann", 1, "a").await.unwrap();
        assert_eq!(again, Purchase::AlreadyBought(bought(1, 4, 1)));
        assert_eq!(sales.give_back(&customer("ann"), &order("a")).await.unwrap().units, 1);
        assert_eq!(sales.sale().await.unwrap().unwrap().left, 5);
    })
    .await;
}

#[tokio::test]
async fn a_sale_can_be_opened_again_but_not_over_another() {
    in_each_layout(async |wire, keys| {
        let sales = FlashSale::new(wire.clone(), keys.clone());
        let first = plan(&sales, 5, 3, 9).await;
        sales.open(&first).await.unwrap();
        buy(&sales, "ann", 1, "a").await.unwrap();
        sales.open(&first).await.unwrap();
        let sale = sales.sale().await.unwrap().unwrap();
        assert_eq!((sale.plan.clone(), sale.sold), (first.clone(), 1), "opening it again changes nothing");

        let second = NewSale { units: 7, ..first.clone() };
        assert!(matches!(sales.open(&second).await, Err(OpenError::Another { .. })));
        wire.send(&["HSET", &keys.flash_sale().sale, "ends", "1"]).await;
        sales.open(&second).await.unwrap();
        let sale = sales.sale().await.unwrap().unwrap();
        assert_eq!((sale.left, sale.sold), (7, 0), "nothing is left of the former");
        assert_eq!(buy(&sales, "ann", 1, "a").await.unwrap(), Purchase::Bought(bought(1, 6, 1)));

        let (starts, ends) = (second.starts, second.ends);
        for (starts, ends) in [(ends, ends), (ends, starts), (0, u64::MAX), (u64::MAX, u64::MAX)] {
            let never = sales.open(&NewSale { starts, ends, ..second.clone() }).await;
            assert!(matches!(never, Err(OpenError::Times { .. })), "{starts} {ends}");
        }
        let unnamed = NewSale { name: String::new(), ..second.clone() };
        assert!(matches!(sales.open(&unnamed).await, Err(OpenError::Name { .. })));
        wire.send(&["DEL", &keys.flash_sale().sale]).await;
        let past = NewSale { starts: 1, ends: 2, ..second };
        assert!(matches!(sales.open(&past).await, Err(OpenError::Over)));
    })
    .await;
}

#[tokio::test]
async fn who_comes_too_late_gets_a_number_and_the_first_gets_what_comes_back() {
    in_each_layout(async |wire, keys| {
        let sales = FlashSale::new(wire.clone(), keys.clone());
        sales.open(&plan(&sales, 4, 2, 3).await).await.unwrap();
        buy(&sales, "ann", 2, "a").await.unwrap();
        buy(&sales, "bob", 1, "b").await.unwrap();
        assert_eq!(buy(&sales, "cas", 2, "c").await.unwrap(), place(1, 0, "c", 2));
        // There is one unit, but cas was first.
        assert_eq!(buy(&sales, "dan", 1, "d").await.unwrap(), place(2, 1, "d", 1));
        assert_eq!(buy(&sales, "eve", 1, "e").await.unwrap(), place(3, 2, "e", 1));
        assert!(matches!(buy(&sales, "fay", 1, "f").await, Err(BuyError::SoldOut { left: 1 })), "it is full");
        // One place for each, whatever he asks for.
        assert_eq!(buy(&sales, "dan", 1, "d").await.unwrap(), place(2, 1, "d", 1));
        assert_eq!(buy(&sales, "dan", 1, "another").await.unwrap(), place(2, 1, "d", 1));
        assert_eq!(sales.place(&customer("eve")).await.unwrap().unwrap().ahead, 2);
        assert_eq!(sales.place(&customer("fay")).await.unwrap(), None);

        let back = sales.give_back(&customer("ann"), &order("a")).await.unwrap();
        let served: Vec<_> =
            back.served.iter().map(|served| (served.customer.as_str(), served.units)).collect();
        assert_eq!((back.units, served), (2, vec![("cas", 2), ("dan", 1)]));
        assert_eq!(
            sales.give_back(&customer("ann"), &order("a")).await.unwrap(),
            back,
            "the same answer, once"
        );
        assert!(matches!(buy(&sales, "ann", 2, "a").await, Err(BuyError::GivenBack { units: 2 })));
        assert_eq!(buy(&sales, "cas", 2, "c").await.unwrap(), Purchase::AlreadyBought(bought(2, 1, 2)));
        assert_eq!(sales.place(&customer("eve")).await.unwrap().unwrap().ahead, 0);

        // The number of who comes next is the next one, though others have left.
        assert_eq!(buy(&sales, "fay", 2, "f").await.unwrap(), place(4, 1, "f", 2));
        assert_eq!(sales.leave(&customer("eve")).await.unwrap(), []);
        assert!(matches!(sales.leave(&customer("eve")).await, Err(LeaveError::NotInLine)));
        let back = sales.give_back(&customer("bob"), &order("b")).await.unwrap();
        assert!(back.served.is_empty(), "fay waits for two");
        assert_eq!(buy(&sales, "gus", 1, "g").await.unwrap(), place(5, 1, "g", 1));
        let served = sales.leave(&customer("fay")).await.unwrap();
        assert_eq!((served[0].customer.as_str(), served.len()), ("gus", 1), "gus is content with the one");
        let sale = sales.sale().await.unwrap().unwrap();
        assert_eq!((sale.left, sale.sold, sale.numbers), (0, 4, 5));
        let unknown = sales.give_back(&customer("zoe"), &order("z")).await;
        assert!(matches!(unknown, Err(GiveBackError::Unknown(_))));
    })
    .await;
}

#[tokio::test]
async fn everything_ends_with_the_sale() {
    in_each_layout(async |wire, keys| {
        let sales = FlashSale::new(wire.clone(), keys.clone()).with_kept(Duration::from_mins(5));
        let sale = plan(&sales, 2, 2, 9).await;
        sales.open(&sale).await.unwrap();
        let gone = i64::try_from(sale.ends + 300_000).unwrap();
        // A key that moves takes along how long it has to live, not until when: some milliseconds are lost on the way.
        let ends = |at: &Value| matches!(at, Value::Int(at) if at.abs_diff(gone) < 10_000);
        let all_end = async |what: &str| {
            for key in keys.flash_sale().all() {
                let at = wire.send(&["PEXPIRETIME", key]).await;
                assert!(ends(&at) || at == Value::Int(-2), "{key} after {what}: {at:?}");
            }
        };
        // Keys come, are emptied, and come again.
        for round in 0..3 {
            buy(&sales, "ann", 2, &format!("a{round}")).await.unwrap();
            all_end("buying").await;
            buy(&sales, "bob", 2, &format!("b{round}")).await.unwrap();
            all_end("waiting").await;
            sales.give_back(&customer("ann"), &order(&format!("a{round}"))).await.unwrap();
            all_end("giving back").await;
            sales.give_back(&customer("bob"), &order(&format!("b{round}"))).await.unwrap();
            all_end("giving all back").await;
        }
        buy(&sales, "ann", 2, "last").await.unwrap();
        buy(&sales, "bob", 2, "waits").await.unwrap();
        for key in keys.flash_sale().all() {
            assert!(ends(&wire.send(&["PEXPIRETIME", key]).await), "{key}");
        }

        // The first who have bought are those who are served because somebody leaves.
        wire.send(&["DEL", &keys.flash_sale().sale]).await;
        sales.open(&NewSale { cap: units(5), ..sale.clone() }).await.unwrap();
        buy(&sales, "ann", 5, "a").await.unwrap();
        buy(&sales, "bob", 1, "b").await.unwrap();
        assert_eq!(sales.leave(&customer("ann")).await.unwrap().len(), 1);
        assert!(ends(&wire.send(&["PEXPIRETIME", &keys.flash_sale().bought]).await));

        let short = FlashSale::new(wire.clone(), keys.clone()).with_kept(Duration::ZERO);
        wire.send(&["DEL", &keys.flash_sale().sale]).await;
        // Again on a machine so slow that the sale is over before it begins.
        until("it is opened", async || {
            let now = short.now().await.unwrap();
            let opened = short.open(&NewSale { starts: now, ends: now + 200, ..sale.clone() }).await;
            assert!(matches!(opened, Ok(()) | Err(OpenError::Over)), "{opened:?}");
            opened.is_ok()
        })
        .await;
        until("the sale is gone", async || short.sale().await.unwrap().is_none()).await;
    })
    .await;
}

#[tokio::test]
async fn keys_of_somebody_else_are_refused_and_nothing_changes() {
    in_each_layout(async |wire, keys| {
        let sales = FlashSale::new(wire.clone(), keys.clone());
        let plan = plan(&sales, 2, 2, 9).await;
        for foreign in keys.flash_sale().all() {
            wire.send(&["DEL", &keys.flash_sale().sale]).await;
            sales.open(&plan).await.unwrap();
            buy(&sales, "ann", 2, "a").await.unwrap();
            buy(&sales, "bob", 2, "b").await.unwrap();
            wire.send(&["DEL", foreign]).await;
            wire.send(&["SET", foreign, "somebody's"]).await;
            let before = dumps(&wire, &keys.flash_sale().all()).await;
            buy(&sales, "cas", 2, "c").await.unwrap_err();
            sales.give_back(&customer("ann"), &order("a")).await.unwrap_err();
            sales.leave(&customer("bob")).await.unwrap_err();
            assert!(matches!(sales.open(&plan).await, Err(OpenError::Store(StoreError::WrongType { .. }))));
            assert_eq!(dumps(&wire, &keys.flash_sale().all()).await, before, "{foreign}");
            wire.send(&["DEL", foreign]).await;
        }
        wire.send(&["DEL", &keys.flash_sale().sale]).await;
        wire.send(&["HSET", &keys.flash_sale().sale, "starts", "soon", "ends", "later"]).await;
        let error = buy(&sales, "ann", 1, "x").await;
        assert!(matches!(error, Err(BuyError::Store(StoreError::Malformed { .. }))), "{error:?}");
        assert!(matches!(sales.sale().await, Err(StoreError::Malformed { .. })));
    })
    .await;
}

#[tokio::test]
async fn each_operation_takes_one_round_trip() {
    in_each_layout(async |wire, keys| {
        let sales = FlashSale::new(wire.clone(), keys.clone());
        let plan = plan(&sales, 2, 2, 9).await;
        let work = async |round: &str| {
            let (ann, bob) = (customer("ann"), customer("bob"));
            let order = order(round);
            [
                wire.round_trips_of(sales.open(&plan)).await,
                wire.round_trips_of(sales.buy(&ann, units(2), &order)).await,
                wire.round_trips_of(sales.buy(&bob, units(2), &order)).await,
                wire.round_trips_of(sales.place(&bob)).await,
                wire.round_trips_of(sales.give_back(&ann, &order)).await,
                wire.round_trips_of(sales.give_back(&bob, &order)).await,
                wire.round_trips_of(sales.leave(&bob)).await,
                wire.round_trips_of(sales.sale()).await,
            ]
        };
        // The server learns the scripts.
        work("first").await;
        assert_eq!(work("second").await, [1; 8]);
    })
    .await;
}

async fn dumps(wire: &Wire, keys: &[&str]) -> Vec<Value> {
    let mut dumps = Vec::new();
    for key in keys {
        dumps.push(wire.send(&["DUMP", key]).await);
    }
    dumps
}
