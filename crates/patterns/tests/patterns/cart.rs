use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::StreamExt;
use lab_testing::faults::lossy_proxy;
use lab_testing::slots::MovingSlots;
use lab_testing::{TestConnection, next_of, prefix, until};
use patterns::cart::{
    Applied, Cart, CartError, CartUpdate, Change, Contents, Item, Left, LeftBehind, LineState, MAX_LINES,
    Merged, Owner, Representation,
};
use patterns::money::Cents;
use patterns::script::StoreError;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use tokio::task::JoinSet;

use crate::everywhere;

const SOON: Duration = Duration::from_millis(150);
const GUEST: Owner = Owner::Guest("abc123");

type TestCart = Cart<TestConnection>;

/// Both representations, everywhere.
fn in_every_cart<F: Future<Output = ()>>(test: impl Fn(TestCart, TestConnection) -> F) {
    everywhere(async |connection, prefix| {
        for representation in [Representation::Hash, Representation::SortedSet] {
            let cart = Cart::new(connection.clone(), &prefix).with_representation(representation);
            test(cart, connection.clone()).await;
        }
    });
}

fn cents(text: &str) -> Cents {
    text.parse().unwrap()
}

async fn units(cart: &TestCart, owner: Owner<'_>, sku: &str) -> u32 {
    let lines = cart.view(owner).await.unwrap().lines;
    lines.iter().find(|line| line.sku == sku).map_or(0, |line| line.quantity)
}

async fn total(cart: &TestCart, owner: Owner<'_>) -> Option<String> {
    cart.contents(owner).await.unwrap().seen_total.map(|total| total.to_string())
}

/// As another program would write it.
async fn write_line(cart: &TestCart, connection: &TestConnection, sku: &str, quantity: &str) {
    let [key, ..] = cart.keys("1").unwrap();
    let _: i64 = if is_hash(cart) {
        connection.send(&["HSET", &key, sku, quantity]).await
    } else {
        connection.send(&["ZADD", &key, quantity, sku]).await
    };
}

fn is_hash(cart: &TestCart) -> bool {
    !cart.keys("1").unwrap()[0].ends_with(":by_quantity")
}

#[test]
fn units_are_added_removed_and_set() {
    in_every_cart(async |cart, connection| {
        cart.add("1", "sku123", 2, cents("19.99")).await.unwrap();
        let added = cart.add("1", "sku123", 3, cents("19.99")).await.unwrap();
        let contents = Contents { lines: 1, units: 5, seen_total: Some(cents("99.95")) };
        assert_eq!((added.change, added.quantity, added.cart), (3, 5, contents));

        let removed = cart.remove("1", "sku123", Some(2)).await.unwrap();
        assert_eq!((removed.change, removed.quantity, removed.cart.units), (-2, 3, 3));
        let error = cart.remove("1", "sku123", Some(4)).await.unwrap_err();
        assert_eq!(error.to_string(), "only 3 of sku123 in the cart, 4 cannot be removed");

        for (quantity, change) in [(7, 4), (1, -6), (1, 0)] {
            let set = cart.set_quantity("1", "sku123", quantity).await.unwrap();
            assert_eq!((set.change, set.quantity, set.cart.units), (change, quantity, u64::from(quantity)));
        }
        assert_eq!(total(&cart, "1".into()).await.unwrap(), "19.99");
        assert_matches!(cart.set_quantity("1", "sku456", 1).await, Err(CartError::NotInCart(_)));

        assert_eq!(cart.remove("1", "sku123", None).await.unwrap().change, -1);
        let error = cart.remove("1", "sku123", None).await.unwrap_err();
        assert_eq!(error.to_string(), "sku123 is not in the cart");
        assert_eq!(cart.set_quantity("1", "sku123", 0).await.unwrap().cart.units, 0);
        for key in cart.keys("1").unwrap() {
            assert_eq!(connection.send::<i64>(&["EXISTS", &key]).await, 0, "{key}");
        }
        for quantity in [0, 100] {
            assert_matches!(cart.add("1", "sku123", quantity, cents("1")).await, Err(CartError::Quantity(_)));
            assert!(cart.remove("1", "sku123", Some(quantity)).await.is_err());
        }
    });
}

#[test]
fn every_id_and_sku_works_and_none_meets_another() {
    in_every_cart(async |cart, _| {
        let long = "é".repeat(256);
        let owners = ["1", "ann@example.com", "guest:1", "user:guest%3A1", "a:b", "{1}", "*", " ", &long];
        let skus = ["sku123", "", " ", " :", "  x", " x", "x", ":x", "lines", "{a}", "é", &long];
        for (number, owner) in owners.iter().enumerate() {
            for (sku, quantity) in skus.iter().filter(|sku| !sku.is_empty()).zip(1..) {
                cart.add(*owner, sku, quantity, cents("0.01")).await.unwrap();
            }
            cart.remove(*owner, "x", None).await.unwrap();
            let view = cart.view(*owner).await.unwrap();
            assert_eq!(view.lines.len(), 10, "{number}");
            assert!(view.lines.iter().all(|line| line.seen_price == Some(cents("0.01"))), "{view:?}");
        }
        assert!(cart.view(Owner::Guest("1")).await.unwrap().lines.is_empty());
        for refused in ["", &"a".repeat(513)] {
            assert_matches!(
                cart.add("1", refused, 1, Cents::ZERO).await,
                Err(CartError::Store(StoreError::Key(_)))
            );
            assert_matches!(cart.view(refused).await, Err(StoreError::Key(_)));
        }
    });
}

#[tokio::test]
async fn users_and_guests_have_carts_of_their_own() {
    let cart = Cart::new(TestConnection::server().await, "shop:");
    for (owner, key) in [
        (Owner::User("1"), "shop:cart:1"),
        (Owner::Guest("1"), "shop:cart:guest:1"),
        (Owner::User("guest:1"), "shop:cart:user:guest%3A1"),
        (Owner::User("user:guest%3A1"), "shop:cart:user:guest%253A1"),
        (Owner::User("ann@example.com"), "shop:cart:ann@example.com"),
    ] {
        assert_eq!(cart.key(owner).unwrap().as_str(), key);
    }
    assert_eq!(cart.keys("1").unwrap()[1], "shop:cart:{shop:cart:1}:prices");
    assert_eq!(cart.channel("1").unwrap(), "shop:cart_updates:1");
    assert_eq!(cart.channel(Owner::Guest("1")).unwrap(), "shop:cart_updates:guest:1");
}

#[test]
fn limits_hold_and_the_largest_cart_is_exact() {
    in_every_cart(async |cart, _| {
        for line in 0..MAX_LINES {
            cart.add("1", &format!("sku{line}"), 99, Cents::MAX_PRICE).await.unwrap();
        }
        let error = cart.add("1", "sku0", 1, cents("1")).await.unwrap_err();
        assert_matches!(error, CartError::LineLimit { have: 99, asked: 1, .. });
        assert_matches!(cart.add("1", "sku100", 1, cents("1")).await, Err(CartError::CartFull));
        let too_high = Cents::new(Cents::MAX_PRICE.get() + 1).unwrap();
        assert_matches!(cart.add("2", "a", 1, too_high).await, Err(CartError::PriceTooHigh(_)));

        let largest = Cents::new(100 * 99 * 1_000_000_000).unwrap();
        assert_eq!(cart.contents("1").await.unwrap().seen_total, Some(largest));
        assert_eq!(
            cart.view("1").await.unwrap().at_prices(|_| Some(Cents::MAX_PRICE)).unwrap().total,
            largest
        );
        cart.remove("1", "sku0", None).await.unwrap();
        assert_eq!(cart.add("1", "sku100", 1, cents("1")).await.unwrap().cart.lines, 100);
    });
}

#[test]
fn totals_equal_the_sum_in_128_bits() {
    let price = prop_oneof![0..=Cents::MAX_PRICE.get(), 0..=100_i64];
    // A price, units to add, and units to set afterward.
    let changes = prop::collection::vec((0..6_usize, price, 1..=9_u32, prop::option::of(0..=99_u32)), 0..12);
    let result = TestRunner::new(lab_testing::cases(12)).run(&changes, |changes| {
        in_every_cart(async |cart, _| {
            let mut exact: BTreeMap<String, (i128, i128)> = BTreeMap::new();
            for (product, price, add, set) in &changes {
                let sku = format!("sku{product}");
                let added = cart.add("1", &sku, *add, Cents::new(*price).unwrap()).await;
                let line = exact.entry(sku.clone()).or_default();
                if added.is_ok() {
                    *line = (line.0 + i128::from(*add), i128::from(*price));
                }
                if let Some(set) = set {
                    cart.set_quantity("1", &sku, *set).await.unwrap();
                    line.0 = i128::from(*set);
                }
            }
            let sum: i128 = exact.values().map(|(units, price)| units * price).sum();
            let lines = exact.values().filter(|(units, _)| *units > 0).count();
            let contents = cart.contents("1").await.unwrap();
            assert_eq!(
                (contents.lines, contents.seen_total.map(|it| i128::from(it.get()))),
                (lines, Some(sum))
            );
            let view = cart.view("1").await.unwrap();
            let seen: BTreeMap<_, _> =
                view.lines.iter().map(|line| (line.sku.clone(), line.seen_price)).collect();
            let total = view.at_prices(|sku| seen[sku]).unwrap().total;
            assert_eq!(i128::from(total.get()), sum);
        });
        Ok(())
    });
    assert_eq!(result, Ok(()));
}

#[test]
fn prices_seen_are_compared_with_todays() {
    in_every_cart(async |cart, _| {
        for (sku, price) in [("gone", "1.10"), ("dearer", "2.20"), ("same", "0")] {
            cart.add("1", sku, 3, cents(price)).await.unwrap();
        }
        let today = |sku: &str| match sku {
            "dearer" => Some(cents("2.50")),
            "same" => Some(cents("0")),
            _ => None,
        };
        let view = cart.view("1").await.unwrap().at_prices(today).unwrap();
        let states: Vec<_> = view.lines.iter().map(|line| (line.line.sku.as_str(), line.state)).collect();
        let was = cents("2.20");
        let changed = LineState::PriceChanged { was };
        assert_eq!(
            states,
            [("dearer", changed), ("gone", LineState::NoLongerSold), ("same", LineState::OnSale)]
        );
        assert_eq!((view.total, view.lines[1].line_total), (cents("7.50"), None));

        // Adding again shows the customer the new price.
        cart.add("1", "dearer", 1, cents("2.50")).await.unwrap();
        assert_eq!(total(&cart, "1".into()).await.unwrap(), "13.30");
        let dear = |_: &str| Cents::new(i64::MAX / 3);
        assert_matches!(cart.view("1").await.unwrap().at_prices(dear), Err(CartError::TotalTooLarge));
    });
}

#[test]
fn clearing_empties_one_cart_only() {
    in_every_cart(async |cart, _| {
        cart.add("1", "sku123", 5, cents("1")).await.unwrap();
        cart.add(Owner::Guest("1"), "sku123", 7, cents("1")).await.unwrap();
        let cleared = cart.clear("1").await.unwrap();
        assert_eq!((cleared.lines, cleared.units), (1, 5));
        assert_eq!(cart.clear("1").await.unwrap().units, 0);
        assert_eq!(cart.contents("1").await.unwrap().units, 0);
        assert_eq!(units(&cart, Owner::Guest("1"), "sku123").await, 7);
        assert_eq!(cart.add("1", "sku123", 1, cents("1")).await.unwrap().cart.units, 1);
    });
}

#[test]
fn a_request_counts_once_however_late_it_comes() {
    in_every_cart(async |cart, _| {
        let mug = Item::new("mug", 60, cents("2")).with_request_id("click 1");
        let first = cart.add_item("1", &mug).await.unwrap();
        assert_eq!(cart.add_item("1", &mug).await.unwrap(), first, "and is not refused by the limit");
        for click in 0..200 {
            let id = format!("other {click}");
            let item = Item::new("cup", 1, cents("1")).with_request_id(&id);
            cart.add_item("1", &item).await.unwrap();
            cart.set_quantity("1", "cup", 0).await.unwrap();
        }
        assert_eq!(cart.add_item("1", &mug).await.unwrap().quantity, 60);

        // Neither an empty cart nor a cleared one forgets it.
        let cup = Item::new("cup", 1, cents("1")).with_request_id("click 2");
        cart.add_item("1", &cup).await.unwrap();
        cart.clear("1").await.unwrap();
        cart.add_item("1", &cup).await.unwrap();
        assert_eq!(cart.contents("1").await.unwrap().units, 0);
        let plate = Item::new("plate", 1, cents("1")).with_request_id("click 3");
        cart.add_item("1", &plate).await.unwrap();
        cart.remove("1", "plate", None).await.unwrap();
        cart.add_item("1", &plate).await.unwrap();
        assert_eq!(cart.contents("1").await.unwrap().units, 0);
        // A cart of its own remembers its own.
        assert_eq!(cart.add_item("2", &cup).await.unwrap().cart.units, 1);
    });
}

#[test]
fn changes_that_are_sent_twice_count_once() {
    in_every_cart(async |cart, connection| {
        let [key, ..] = cart.keys("1").unwrap();
        let twice = connection.clone().sending_twice();
        let prefix = key[..key.find("cart").unwrap()].to_owned();
        let form = if is_hash(&cart) { Representation::Hash } else { Representation::SortedSet };
        let again = Cart::new(twice, &prefix).with_representation(form);
        for _ in 0..20 {
            let added = again.add("1", "a", 2, cents("1")).await.unwrap();
            let removed = again.remove("1", "a", Some(1)).await.unwrap();
            assert_eq!((added.change, added.quantity, removed.change, removed.quantity), (2, 2, -1, 1));
            assert_eq!(again.remove("1", "a", None).await.unwrap().change, -1);
        }
        again.add(GUEST, "a", 2, cents("1")).await.unwrap();
        assert_eq!(again.take(GUEST, "ORD-1", &[("a", 1)]).await.unwrap(), 1);
        again.merge("abc123", "1").await.unwrap();
        assert_eq!(units(&cart, "1".into(), "a").await, 1);
    });
}

#[test]
fn an_order_takes_out_what_it_bought_once() {
    in_every_cart(async |cart, _| {
        cart.add("1", "a", 3, cents("1")).await.unwrap();
        cart.add("1", "b", 2, cents("2")).await.unwrap();
        assert_eq!(cart.take("1", "ORD:1", &[("a", 2), ("b", 1), ("b", 1), ("c", 9)]).await.unwrap(), 4);
        cart.add("1", "b", 1, cents("2")).await.unwrap();
        assert_eq!(cart.take("1", "ORD:1", &[("a", 2), ("b", 2)]).await.unwrap(), 4, "as the first time");
        assert_eq!((units(&cart, "1".into(), "a").await, units(&cart, "1".into(), "b").await), (1, 1));
        assert_eq!(total(&cart, "1".into()).await.unwrap(), "3.00");
        assert_eq!(cart.take("1", "ORD:2", &[("a", 1), ("b", 9)]).await.unwrap(), 2);
        assert_eq!(cart.contents("1").await.unwrap().units, 0);
        assert_eq!(cart.add("1", "a", 1, cents("1")).await.unwrap().cart.lines, 1);
    });
}

#[test]
fn a_change_and_a_view_let_the_cart_live_on() {
    in_every_cart(async |cart, connection| {
        let cart = cart.with_ttl(Duration::from_mins(10));
        let keys = cart.keys("1").unwrap();
        cart.add_item("1", &Item::new("a", 5, cents("1")).with_ttl(Duration::from_hours(1))).await.unwrap();
        // Something older with little time left, set by hand so that the test need not wait for it.
        let age = async || {
            for key in &keys[..3] {
                let _: i64 = connection.send(&["PEXPIRE", key, "60000"]).await;
            }
        };
        let young = async || {
            let mut young = true;
            for key in &keys[..3] {
                young &= (60_001..=600_000).contains(&connection.send::<i64>(&["PTTL", key]).await);
            }
            young
        };
        assert!(young().await);
        age().await;
        cart.contents("1").await.unwrap();
        cart.remove("1", "b", None).await.unwrap_err();
        assert!(!young().await, "counting changes nothing, and neither does a refusal");
        assert_eq!(cart.view("1").await.unwrap().expires_in, Some(Duration::from_mins(10)));
        assert!(young().await);
        age().await;
        cart.remove("1", "a", Some(1)).await.unwrap();
        assert!(young().await);
        age().await;
        cart.add("1", "a", 1, cents("1")).await.unwrap();
        assert!(young().await);
    });
}

#[test]
fn an_abandoned_cart_is_gone_with_all_its_keys() {
    in_every_cart(async |cart, connection| {
        let cart = cart.with_ttl(SOON);
        cart.add_item("1", &Item::new("a", 5, cents("1")).with_ttl(Duration::from_mins(1))).await.unwrap();
        for key in cart.keys("1").unwrap() {
            until(&format!("{key} is gone"), async || connection.send::<i64>(&["EXISTS", &key]).await == 0)
                .await;
        }
        assert_eq!(cart.view("1").await.unwrap().expires_in, None);
        assert_eq!(cart.add("1", "b", 1, cents("1")).await.unwrap().cart.units, 1);
    });
}

#[test]
fn an_expired_line_counts_nowhere() {
    in_every_cart(async |cart, _| {
        cart.add_item("1", &Item::new("a", 5, cents("1")).with_ttl(SOON)).await.unwrap();
        cart.add("1", "b", 1, cents("2")).await.unwrap();
        until("the line has expired", async || cart.view("1").await.unwrap().lines.len() == 1).await;
        assert_eq!(total(&cart, "1".into()).await.unwrap(), "2.00");
        assert_matches!(cart.remove("1", "a", None).await, Err(CartError::NotInCart(_)));
        // Units that have expired do not come back with new ones, and neither does their deadline.
        let added = cart.add("1", "a", 2, cents("1")).await.unwrap();
        assert_eq!((added.quantity, added.cart.units), (2, 3));
        assert_eq!(cart.view("1").await.unwrap().lines[0].expires_in, None);
    });
}

#[test]
fn an_expired_line_makes_room_in_a_full_cart() {
    in_every_cart(async |cart, _| {
        cart.add_item("1", &Item::new("brief", 1, cents("1")).with_ttl(SOON)).await.unwrap();
        for line in 1..MAX_LINES {
            cart.add("1", &format!("sku{line}"), 1, cents("1")).await.unwrap();
        }
        until("there is room", async || cart.add("1", "late", 1, cents("1")).await.is_ok()).await;
        assert_eq!(cart.contents("1").await.unwrap().lines, MAX_LINES);
    });
}

#[test]
fn a_deadline_belongs_to_a_line() {
    in_every_cart(async |cart, _| {
        let (minute, hour) = (Duration::from_mins(1), Duration::from_hours(1));
        let left = async || cart.view("1").await.unwrap().lines[0].expires_in;
        cart.add_item("1", &Item::new("a", 3, cents("1")).with_ttl(minute)).await.unwrap();
        cart.add("1", "a", 1, cents("1")).await.unwrap();
        cart.remove("1", "a", Some(1)).await.unwrap();
        assert!(left().await.is_some_and(|left| left <= minute), "more units keep it");
        cart.add_item("1", &Item::new("a", 3, cents("1")).with_ttl(hour)).await.unwrap();
        assert!(left().await.is_some_and(|left| left > minute), "a new one replaces it");
        cart.remove("1", "a", None).await.unwrap();
        cart.add("1", "a", 1, cents("1")).await.unwrap();
        assert_eq!(left().await, None, "a line that is put in again is a new line");

        let cart = cart.clone().with_ttl(Duration::MAX);
        cart.add_item("1", &Item::new("a", 1, cents("1")).with_ttl(Duration::MAX)).await.unwrap();
        assert_eq!(cart.view("1").await.unwrap().expires_in, Some(Duration::from_hours(365 * 24)));
        cart.add_item("1", &Item::new("a", 1, cents("1")).with_ttl(Duration::ZERO)).await.unwrap();
        until("the line has expired", async || units(&cart, "1".into(), "a").await == 0).await;
    });
}

/// A guest with 3 of `a` and 4 of `b`.
async fn visit(cart: &TestCart) {
    cart.add(GUEST, "a", 3, cents("1.00")).await.unwrap();
    cart.add(GUEST, "b", 4, cents("2.00")).await.unwrap();
}

async fn both(cart: &TestCart, owner: Owner<'_>) -> [u32; 2] {
    [units(cart, owner, "a").await, units(cart, owner, "b").await]
}

fn moved(lines: &[(&str, u32)]) -> Merged {
    Merged { moved: lines.iter().map(|(sku, units)| ((*sku).to_owned(), *units)).collect(), left: Vec::new() }
}

#[test]
fn a_login_moves_the_guests_cart_once() {
    in_every_cart(async |cart, _| {
        visit(&cart).await;
        cart.add("1", "b", 10, cents("5.00")).await.unwrap();
        assert_eq!(cart.merge("abc123", "1").await.unwrap(), moved(&[("a", 3), ("b", 4)]));
        assert_eq!(cart.merge("abc123", "1").await.unwrap(), Merged::default());
        assert_eq!((both(&cart, "1".into()).await, both(&cart, GUEST).await), ([3, 14], [0, 0]));
        assert_eq!(total(&cart, "1".into()).await.unwrap(), "73.00", "a line that is there keeps its price");

        // The same visit again is another visit.
        visit(&cart).await;
        assert_eq!(cart.merge("abc123", "1").await.unwrap(), moved(&[("a", 3), ("b", 4)]));
        assert_eq!(both(&cart, "1".into()).await, [6, 18]);
    });
}

#[test]
fn what_does_not_fit_stays_with_the_guest() {
    in_every_cart(async |cart, _| {
        visit(&cart).await;
        cart.add("1", "a", 97, cents("1")).await.unwrap();
        for line in 1..MAX_LINES {
            cart.add("1", &format!("x{line}"), 1, cents("1")).await.unwrap();
        }
        let merged = cart.merge("abc123", "1").await.unwrap();
        let left = |sku: &str, quantity, why| Left { sku: sku.to_owned(), quantity, why };
        assert_eq!(merged.moved, [("a".to_owned(), 2)]);
        assert_eq!(merged.left, [left("a", 1, LeftBehind::LineLimit), left("b", 4, LeftBehind::CartFull)]);
        assert_eq!((both(&cart, "1".into()).await, both(&cart, GUEST).await), ([99, 0], [1, 4]));
        assert_eq!(cart.merge("abc123", "1").await.unwrap().left.len(), 2, "nothing has changed since");

        // As soon as there is room, the rest can follow.
        cart.clear("1").await.unwrap();
        assert_eq!(cart.merge("abc123", "1").await.unwrap(), moved(&[("a", 1), ("b", 4)]));
        assert_eq!((both(&cart, "1".into()).await, both(&cart, GUEST).await), ([1, 4], [0, 0]));
        assert_eq!(total(&cart, "1".into()).await.unwrap(), "9.00");
    });
}

#[test]
fn deadlines_and_prices_seen_move_along() {
    in_every_cart(async |cart, _| {
        let (minute, hour) = (Duration::from_mins(1), Duration::from_hours(1));
        let item = |sku, ttl| Item::new(sku, 1, cents("1.00")).with_ttl(ttl);
        for (owner, item) in [
            (GUEST, item("both", minute)),
            ("1".into(), item("both", hour)),
            (GUEST, item("guest", minute)),
            (GUEST, item("kept", minute)),
        ] {
            cart.add_item(owner, &item).await.unwrap();
        }
        cart.add("1", "kept", 1, cents("9.00")).await.unwrap();
        cart.merge("abc123", "1").await.unwrap();
        let lines = cart.view("1").await.unwrap().lines;
        assert!(lines[0].expires_in.unwrap() > minute, "the later one: {lines:?}");
        assert!(lines[1].expires_in.unwrap() <= minute && lines[1].seen_price == Some(cents("1.00")));
        assert_eq!((lines[2].expires_in, lines[2].seen_price), (None, Some(cents("9.00"))));
    });
}

#[test]
fn a_merge_that_is_cut_off_anywhere_loses_and_doubles_nothing() {
    in_every_cart(async |cart, _| {
        visit(&cart).await;
        cart.add("1", "a", 98, cents("1")).await.unwrap();
        // Cut off after the claim; the guest shops on; another user's login finishes it first.
        cart.claim("abc123", "1").await.unwrap().unwrap();
        assert_eq!(both(&cart, GUEST).await, [0, 0]);
        cart.add(GUEST, "b", 1, cents("1")).await.unwrap();
        assert_eq!(cart.merge("abc123", "2").await.unwrap(), moved(&[("a", 2), ("b", 1)]));
        assert_eq!((both(&cart, "1".into()).await, both(&cart, "2".into()).await), ([99, 4], [2, 1]));

        // Cut off after applying.
        visit(&cart).await;
        let claim = cart.claim("abc123", "1").await.unwrap().unwrap();
        cart.apply(&claim).await.unwrap();
        cart.merge("abc123", "1").await.unwrap();
        assert_eq!((both(&cart, "1".into()).await, both(&cart, GUEST).await), ([99, 8], [3, 0]));

        // Every step again, out of order, by a client that was stalled.
        let claim = cart.claim("abc123", "1").await.unwrap().unwrap();
        let applied = cart.apply(&claim).await.unwrap();
        cart.finish(&claim, &applied).await.unwrap();
        cart.remove("1", "a", Some(10)).await.unwrap();
        let repeated = cart.apply(&claim).await.unwrap();
        assert_matches!(&repeated, Applied::Merged(merged) if merged.moved.is_empty());
        cart.claim("abc123", "1").await.unwrap().unwrap();
        cart.finish(&claim, &repeated).await.unwrap();
        cart.merge("abc123", "1").await.unwrap();
        assert_eq!((both(&cart, "1".into()).await, both(&cart, GUEST).await), ([92, 8], [0, 0]));
    });
}

#[test]
fn a_claim_that_a_failover_forgets_is_not_merged_twice() {
    in_every_cart(async |cart, connection| {
        visit(&cart).await;
        let keys = cart.keys(GUEST).unwrap();
        let mut before = Vec::new();
        for key in &keys[..2] {
            before.push((key, connection.send::<Vec<u8>>(&["DUMP", key]).await));
        }
        cart.merge("abc123", "1").await.unwrap();
        // The guest's node is as it was before the claim; the user's node has not lost anything.
        for (key, value) in before {
            let mut restore = redis::cmd("RESTORE");
            restore.arg(key).arg(0).arg(value).arg("REPLACE");
            restore.exec_async(&mut connection.clone()).await.unwrap();
        }
        assert_eq!(both(&cart, GUEST).await, [3, 4]);
        cart.merge("abc123", "1").await.unwrap();
        assert_eq!((both(&cart, "1".into()).await, both(&cart, GUEST).await), ([3, 4], [0, 0]));
    });
}

#[test]
fn a_merge_into_a_cart_of_another_type_gives_everything_back() {
    in_every_cart(async |cart, connection| {
        visit(&cart).await;
        let [key, ..] = cart.keys("1").unwrap();
        let _: () = connection.send(&["SET", &key, "mine"]).await;
        assert_matches!(cart.merge("abc123", "1").await, Err(StoreError::WrongType(_)));
        assert_eq!(connection.send::<String>(&["GET", &key]).await, "mine");
        assert_eq!(both(&cart, GUEST).await, [3, 4]);

        // Refused for one client is refused for all, also when the cart is set right before the lines are back.
        let claim = cart.claim("abc123", "1").await.unwrap().unwrap();
        let refused = cart.apply(&claim).await.unwrap();
        let _: i64 = connection.send(&["DEL", &key]).await;
        let late = cart.apply(&claim).await.unwrap();
        assert_matches!((&refused, &late), (Applied::Refused(_), Applied::Refused(_)));
        cart.finish(&claim, &refused).await.unwrap();
        assert_eq!(both(&cart, GUEST).await, [3, 4]);
        cart.merge("abc123", "1").await.unwrap();
        assert_eq!(both(&cart, "1".into()).await, [3, 4]);
    });
}

#[test]
fn a_line_that_expires_on_its_way_is_gone() {
    in_every_cart(async |cart, _| {
        visit(&cart).await;
        cart.add_item(GUEST, &Item::new("c", 1, cents("1")).with_ttl(SOON)).await.unwrap();
        let claim = cart.claim("abc123", "1").await.unwrap().unwrap();
        cart.add_item("1", &Item::new("c", 1, cents("1")).with_ttl(SOON)).await.unwrap();
        until("the later deadline has passed", async || units(&cart, "1".into(), "c").await == 0).await;
        cart.apply(&claim).await.unwrap();
        assert_eq!(units(&cart, "1".into(), "c").await, 0);
        assert_eq!(both(&cart, "1".into()).await, [3, 4]);
    });
}

#[test]
fn every_key_expires() {
    in_every_cart(async |cart, connection| {
        visit(&cart).await;
        cart.add_item(GUEST, &Item::new("a", 1, cents("1")).with_ttl(SOON * 100)).await.unwrap();
        cart.add("2", "a", 1, cents("1")).await.unwrap();
        cart.remove("2", "a", None).await.unwrap();
        cart.claim("abc123", "1").await.unwrap();
        cart.merge("abc123", "1").await.unwrap();
        visit(&cart).await;
        cart.claim("abc123", "1").await.unwrap();
        cart.take("1", "ORD-1", &[("a", 1)]).await.unwrap();
        let [key, ..] = cart.keys("1").unwrap();
        let keys = connection.keys(&format!("{}*", &key[..key.find("cart").unwrap()])).await;
        assert!(keys.len() >= 8, "{keys:?}");
        for key in keys {
            let ttl: i64 = connection.send(&["PTTL", &key]).await;
            assert!((1..=88_200_000).contains(&ttl), "{key}: {ttl}");
        }
    });
}

#[test]
fn a_lost_key_corrupts_no_total_and_makes_no_cart_immortal() {
    in_every_cart(async |cart, connection| {
        let [key, prices, deadlines, _] = cart.keys("1").unwrap();
        let fill = async |ttl| {
            cart.clear("1").await.unwrap();
            cart.add("1", "a", 3, cents("1.00")).await.unwrap();
            cart.add_item("1", &Item::new("b", 4, cents("2.00")).with_ttl(ttl)).await.unwrap();
        };
        let hour = Duration::from_hours(1);

        fill(hour).await;
        let _: i64 = connection.send(&["DEL", &prices]).await;
        let unknown = Contents { lines: 2, units: 7, seen_total: None };
        assert_eq!(cart.contents("1").await.unwrap(), unknown);
        assert_eq!(cart.view("1").await.unwrap().lines[0].seen_price, None);
        assert_eq!(cart.add("1", "a", 1, cents("1.50")).await.unwrap().cart.seen_total, None);
        cart.remove("1", "b", None).await.unwrap();
        assert_eq!(total(&cart, "1".into()).await.unwrap(), "6.00", "known again once every line is priced");

        // The cart is empty, and what belonged to it does not come back.
        fill(hour).await;
        let _: i64 = connection.send(&["DEL", &key]).await;
        assert_eq!(cart.contents("1").await.unwrap().units, 0);
        let added = cart.add("1", "b", 1, cents("9.00")).await.unwrap();
        assert_eq!(added.cart, Contents { lines: 1, units: 1, seen_total: Some(cents("9.00")) });
        assert_eq!(cart.view("1").await.unwrap().lines[0].expires_in, None);
        for key in [&key, &prices] {
            assert!(connection.send::<i64>(&["PTTL", key]).await > 0, "{key}");
        }

        fill(hour).await;
        let _: i64 = connection.send(&["DEL", &key]).await;
        let _: i64 = connection.send(&["DEL", &prices]).await;
        cart.add("1", "b", 1, cents("9.00")).await.unwrap();
        assert_eq!(cart.view("1").await.unwrap().lines[0].expires_in, None, "nor does a deadline");

        // The line stays as long as the cart.
        fill(SOON * 10).await;
        let _: i64 = connection.send(&["DEL", &deadlines]).await;
        assert_eq!(cart.view("1").await.unwrap().lines.len(), 2);
        tokio::time::sleep(SOON * 10).await;
        assert_eq!(
            cart.contents("1").await.unwrap(),
            Contents { lines: 2, units: 7, seen_total: Some(cents("11")) }
        );
        assert_eq!(cart.add("1", "b", 1, cents("2.00")).await.unwrap().quantity, 5);
    });
}

#[test]
fn a_cart_that_another_program_wrote_works_and_gets_a_ttl() {
    in_every_cart(async |cart, connection| {
        write_line(&cart, &connection, "sku123", "2").await;
        let view = cart.view("1").await.unwrap().at_prices(|_| Some(cents("19.99"))).unwrap();
        assert_eq!((view.lines[0].state, view.total), (LineState::OnSale, cents("39.98")));
        write_line(&cart, &connection, "sku456", "1").await;
        assert_eq!(cart.contents("1").await.unwrap(), Contents { lines: 2, units: 3, seen_total: None });
        assert_eq!(cart.add("1", "sku123", 1, cents("20")).await.unwrap().quantity, 3);
        for key in &cart.keys("1").unwrap()[..2] {
            assert!(connection.send::<i64>(&["PTTL", key]).await > 0, "{key}");
        }

        // Another quantity is noticed by the next view.
        cart.clear("1").await.unwrap();
        cart.add("1", "sku123", 2, cents("1")).await.unwrap();
        write_line(&cart, &connection, "sku123", "7").await;
        assert_eq!(units(&cart, "1".into(), "sku123").await, 7);
        let contents = Contents { lines: 1, units: 7, seen_total: Some(cents("7")) };
        assert_eq!(cart.contents("1").await.unwrap(), contents);
    });
}

#[test]
fn what_is_no_quantity_is_an_error_that_names_it_and_can_be_cleared() {
    in_every_cart(async |cart, connection| {
        let bad: &[&str] =
            if is_hash(&cart) { &["1e3", "-1", "0", "two", "1.5", ""] } else { &["-1", "0", "1.5", "inf"] };
        for quantity in bad {
            write_line(&cart, &connection, "sku\x1b[2J", quantity).await;
            let error = cart.add("1", "sku\x1b[2J", 1, cents("1")).await.unwrap_err();
            let CartError::Store(StoreError::Malformed(text)) = &error else { panic!("{quantity}: {error}") };
            assert!(text.contains(&cart.keys("1").unwrap()[0]) && !text.contains('\x1b'), "{text}");
            assert_matches!(cart.view("1").await, Err(StoreError::Malformed(_)), "{quantity}");
            assert_matches!(cart.contents("1").await, Err(StoreError::Malformed(_)), "{quantity}");
            cart.clear("1").await.unwrap();
            assert_eq!(cart.contents("1").await.unwrap().lines, 0);
        }
    });
}

#[test]
fn a_key_of_another_type_is_named_and_left_alone() {
    in_every_cart(async |cart, connection| {
        for key in &cart.keys("1").unwrap()[..3] {
            cart.clear("1").await.unwrap();
            cart.add("1", "a", 1, cents("1")).await.unwrap();
            let _: i64 = connection.send(&["DEL", key]).await;
            let _: () = connection.send(&["SET", key, "mine"]).await;
            let item =
                Item::new("a", 1, cents("1")).with_ttl(Duration::from_mins(1)).with_request_id("refused");
            let errors = [
                cart.add_item("1", &item).await.unwrap_err().to_string(),
                cart.clear("1").await.unwrap_err().to_string(),
                cart.view("1").await.unwrap_err().to_string(),
            ];
            for error in errors {
                assert!(error.contains(key.as_str()) && error.contains("another type"), "{error}");
            }
            assert_eq!(connection.send::<String>(&["GET", key]).await, "mine");
            let prefix = &key[..key.find("cart").unwrap()];
            assert_eq!(
                connection.keys(&format!("{prefix}*request:refused")).await,
                [""; 0],
                "nothing was counted"
            );
            let _: i64 = connection.send(&["DEL", key]).await;
        }
    });
}

#[tokio::test]
async fn a_user_without_channels_changes_nothing() {
    let server = lab_server::Server::start().unwrap();
    let admin = TestConnection::to_server(&server).await;
    let acl = ["ACL", "SETUSER", "clerk", "on", "nopass", "~*", "+@all", "resetchannels"];
    let _: () = admin.send(&acl).await;
    let clerk = TestConnection::to_url(&format!("redis://clerk:any@127.0.0.1:{}/", server.port())).await;
    for representation in [Representation::Hash, Representation::SortedSet] {
        let watched = Cart::new(admin.clone(), "").with_representation(representation);
        watched.add("1", "a", 2, cents("1")).await.unwrap();
        let cart = Cart::new(clerk.clone(), "").with_representation(representation);
        let errors = [
            cart.add("1", "a", 1, cents("1")).await.unwrap_err().to_string(),
            cart.remove("1", "a", None).await.unwrap_err().to_string(),
            cart.clear("1").await.unwrap_err().to_string(),
            cart.take("1", "ORD-1", &[("a", 1)]).await.unwrap_err().to_string(),
        ];
        for error in errors {
            assert!(
                error.contains("publish on cart_updates:1") && error.contains("nothing was changed"),
                "{error}"
            );
        }
        assert_eq!(watched.contents("1").await.unwrap().units, 2);
    }
}

#[tokio::test]
async fn when_memory_is_full_nothing_is_added_and_everything_else_works() {
    let server = lab_server::Server::start().unwrap();
    let connection = TestConnection::to_server(&server).await;
    for representation in [Representation::Hash, Representation::SortedSet] {
        let cart = Cart::new(connection.clone(), "").with_representation(representation);
        cart.add_item("1", &Item::new("a", 3, cents("1")).with_ttl(Duration::from_mins(1))).await.unwrap();
        cart.add("1", "b", 3, cents("1")).await.unwrap();
        cart.add("2", "a", 3, cents("1")).await.unwrap();
        let _: () = connection.send(&["CONFIG", "SET", "maxmemory", "1"]).await;
        for sku in ["a", "c"] {
            let error = cart.add("1", sku, 1, cents("1")).await.unwrap_err().to_string();
            assert!(error.contains("maxmemory") || error.contains("OOM"), "{error}");
        }
        assert!(cart.set_quantity("1", "a", 5).await.is_err());
        assert_eq!(cart.contents("1").await.unwrap().units, 6);
        assert_eq!(cart.set_quantity("1", "a", 2).await.unwrap().cart.units, 5);
        assert_eq!(cart.remove("1", "a", Some(1)).await.unwrap().cart.units, 4);
        assert_eq!(cart.take("1", "ORD-1", &[("b", 1)]).await.unwrap(), 1);
        assert_eq!(cart.remove("1", "a", None).await.unwrap().cart.units, 2);
        assert_eq!(cart.view("1").await.unwrap().lines.len(), 1);
        assert_eq!(cart.take("1", "ORD-2", &[("b", 2)]).await.unwrap(), 2);
        assert_eq!(cart.clear("2").await.unwrap().units, 3);
        let _: () = connection.send(&["CONFIG", "SET", "maxmemory", "0"]).await;
    }
}

#[test]
fn every_change_is_published_with_the_new_total() {
    in_every_cart(async |cart, connection| {
        let mut of_user = subscribe(&cart, &connection, "1".into()).await;
        let mut of_guest = subscribe(&cart, &connection, GUEST).await;
        cart.add("1", "a", 3, cents("1.50")).await.unwrap();
        cart.remove("1", "a", Some(2)).await.unwrap();
        cart.view("1").await.unwrap();
        cart.remove("1", "b", None).await.unwrap_err();
        cart.add("1", "a", 99, cents("1.50")).await.unwrap_err();
        cart.add(GUEST, "b", 4, cents("2.00")).await.unwrap();
        cart.merge("abc123", "1").await.unwrap();
        cart.remove("1", "a", None).await.unwrap();
        cart.set_quantity("1", "b", 5).await.unwrap();
        cart.take("1", "ORD-1", &[("b", 2)]).await.unwrap();
        cart.clear("1").await.unwrap();
        cart.clear("1").await.unwrap();
        cart.add("1", "b", 1, cents("2.00")).await.unwrap();

        let published = [
            (Change::Added, Some("a"), 3, 3, 1, 3, "4.50"),
            (Change::Removed, Some("a"), -2, 1, 1, 1, "1.50"),
            (Change::Merged, None, 4, 0, 2, 5, "9.50"),
            (Change::Removed, Some("a"), -1, 0, 1, 4, "8.00"),
            (Change::Set, Some("b"), 1, 5, 1, 5, "10.00"),
            (Change::Ordered, None, -2, 0, 1, 3, "6.00"),
            (Change::Cleared, None, -3, 0, 0, 0, "0.00"),
            (Change::Added, Some("b"), 1, 1, 1, 1, "2.00"),
        ];
        let mut published: Vec<_> = published
            .into_iter()
            .map(|(event, sku, change, quantity, lines, units, total)| CartUpdate {
                event,
                owner: "1".to_owned(),
                sku: sku.map(str::to_owned),
                change,
                quantity,
                lines,
                units,
                total: Some(cents(total)),
            })
            .collect();
        let mut heard = Vec::new();
        for update in &published {
            heard.push(next_of(&mut of_user, &format!("{update:?}")).await);
        }
        if lab_testing::slots::move_in_all_tests() {
            // While the slot moves, two nodes publish, and what one says can overtake what the other said before.
            heard.sort_by_key(|update| format!("{update:?}"));
            published.sort_by_key(|update| format!("{update:?}"));
        }
        assert_eq!(heard, published);
        let added = next_of(&mut of_guest, "what the guest added").await;
        assert_eq!((added.event, added.owner.as_str(), added.units), (Change::Added, "guest:abc123", 4));
        let merged = next_of(&mut of_guest, "that the cart was merged").await;
        assert_eq!((merged.event, merged.change, merged.lines), (Change::Merged, -4, 0));
    });
}

/// Everything that is published about one cart from now on.
async fn subscribe(
    cart: &TestCart,
    connection: &TestConnection,
    owner: Owner<'_>,
) -> impl futures_util::Stream<Item = CartUpdate> + Unpin {
    let server =
        if connection.is_cluster() { &lab_testing::cluster().nodes()[0] } else { lab_testing::server() };
    let mut pubsub = server.client().get_async_pubsub().await.unwrap();
    pubsub.subscribe(cart.channel(owner).unwrap()).await.unwrap();
    Box::pin(pubsub.into_on_message().map(|message| CartUpdate::parse(message.get_payload_bytes()).unwrap()))
}

#[test]
fn each_call_is_one_round_trip_and_a_merge_is_three() {
    in_every_cart(async |cart, connection| {
        cart.add("1", "a", 9, cents("1")).await.unwrap();
        assert_eq!(connection.round_trips_of(cart.add("1", "a", 1, cents("1"))).await, 1);
        assert_eq!(connection.round_trips_of(cart.add("new", "a", 1, cents("1"))).await, 1);
        assert_eq!(connection.round_trips_of(cart.set_quantity("1", "a", 3)).await, 1);
        assert_eq!(connection.round_trips_of(cart.remove("1", "a", Some(1))).await, 1);
        assert_eq!(connection.round_trips_of(cart.contents("1")).await, 1);
        assert_eq!(connection.round_trips_of(cart.view("1")).await, 1);
        assert_eq!(connection.round_trips_of(cart.take("1", "ORD-2", &[("a", 1)])).await, 1);
        assert_eq!(connection.round_trips_of(cart.merge("abc123", "1")).await, 1, "there is nothing to move");
        visit(&cart).await;
        assert_eq!(connection.round_trips_of(cart.merge("abc123", "1")).await, 3);
    });
}

#[test]
fn one_cart_under_64_clients_equals_the_ledger() {
    in_every_cart(async |cart, _| {
        let mut clients = JoinSet::new();
        for client in 0..64_u32 {
            let cart = cart.clone();
            clients.spawn(async move {
                let mut ledger = [0_i64; 3];
                for round in 0..6 {
                    // The amounts differ, so that one client's loss is not another's gain.
                    let which = (client + round) as usize % 3;
                    let (sku, more, fewer) = (
                        ["a", "b", "c"][which],
                        1 + (client * 7 + round * 3) % 5,
                        1 + (client * 5 + round) % 4,
                    );
                    match cart.add("1", sku, more, Cents::new(100).unwrap()).await {
                        Ok(added) => ledger[which] += i64::from(added.change),
                        Err(CartError::LineLimit { .. }) => {}
                        Err(error) => panic!("{error}"),
                    }
                    match cart.remove("1", sku, Some(fewer)).await {
                        Ok(removed) => ledger[which] += i64::from(removed.change),
                        Err(CartError::NotInCart(_) | CartError::OnlyInCart { .. }) => {}
                        Err(error) => panic!("{error}"),
                    }
                }
                ledger
            });
        }
        let mut ledger = [0; 3];
        for changes in clients.join_all().await {
            ledger.iter_mut().zip(changes).for_each(|(sum, change)| *sum += change);
        }
        let contents = cart.contents("1").await.unwrap();
        assert_eq!(i64::try_from(contents.units).unwrap(), ledger.iter().sum::<i64>());
        assert_eq!(contents.seen_total, Cents::new(100 * ledger.iter().sum::<i64>()));
        for (sku, sum) in ["a", "b", "c"].into_iter().zip(ledger) {
            assert_eq!(i64::from(units(&cart, "1".into(), sku).await), sum, "{sku}");
        }
    });
}

#[test]
fn merges_racing_adds_and_removals_keep_every_unit() {
    in_every_cart(async |cart, _| {
        let mut clients = JoinSet::new();
        for client in 0..24 {
            let cart = cart.clone();
            clients.spawn(async move {
                let mut sum = 0;
                for round in 0..6 {
                    let changed = match client % 4 {
                        0 => {
                            cart.merge("abc123", "1").await.unwrap();
                            continue;
                        }
                        1 => cart.remove("1", "a", Some(2)).await,
                        2 => cart.remove(GUEST, "a", Some(1)).await,
                        _ => cart.add(GUEST, "a", 1 + round % 3, cents("1")).await,
                    };
                    match changed {
                        Ok(changed) => sum += changed.change,
                        Err(CartError::Store(error)) => panic!("{error}"),
                        Err(_) => {}
                    }
                }
                sum
            });
        }
        let ledger: i32 = clients.join_all().await.into_iter().sum();
        cart.merge("abc123", "1").await.unwrap();
        let both = units(&cart, "1".into(), "a").await + units(&cart, GUEST, "a").await;
        assert_eq!(both, u32::try_from(ledger).unwrap());
    });
}

#[test]
fn adds_racing_an_expiry_count_either_before_or_after_it() {
    in_every_cart(async |cart, _| {
        cart.add_item("1", &Item::new("a", 1, cents("1")).with_ttl(SOON)).await.unwrap();
        let mut clients = JoinSet::new();
        for _ in 0..16 {
            let cart = cart.clone();
            clients.spawn(async move {
                let mut quantities = vec![cart.add("1", "a", 1, cents("1")).await.unwrap().quantity];
                until("the first line has expired", async || {
                    let view = cart.view("1").await.unwrap();
                    view.lines.first().is_none_or(|line| line.expires_in.is_none())
                })
                .await;
                quantities.push(cart.add("1", "a", 1, cents("1")).await.unwrap().quantity);
                quantities
            });
        }
        let mut acknowledged: Vec<u32> = clients.join_all().await.into_iter().flatten().collect();
        let live = units(&cart, "1".into(), "a").await;
        // The second line counts up from 1 to what is there now, the first from 2 (after its first unit) to where it expired.
        let mut expected: Vec<u32> = (1..=live).collect();
        expected.extend(2..2 + u32::try_from(acknowledged.len()).unwrap() - live);
        acknowledged.sort_unstable();
        expected.sort_unstable();
        assert_eq!(acknowledged, expected);
        assert!(live >= 16, "each client added once after the expiry");
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn retries_over_a_connection_that_is_cut_count_once() {
    let proxy = lossy_proxy(lab_testing::server(), 7);
    let cart = Cart::new(TestConnection::reconnecting(&proxy.url()).await, &prefix());
    let mut clients = JoinSet::new();
    for client in 0..8 {
        let cart = cart.clone();
        clients.spawn(async move {
            for click in 0..10 {
                let id = format!("{client}-{click}");
                let item = Item::new("a", 1, Cents::ZERO).with_request_id(&id);
                while cart.add_item("1", &item).await.is_err() {}
            }
        });
    }
    clients.join_all().await;
    assert!(proxy.cuts() > 0);
    until("the connection is back", async || {
        cart.contents("1").await.is_ok_and(|contents| {
            assert_eq!(contents.units, 80);
            true
        })
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn carts_stay_right_while_their_slots_move() {
    let cart = Cart::new(TestConnection::to_cluster(lab_testing::cluster()).await, &prefix());
    let moving = MovingSlots::of([cart.key("1").unwrap().as_str(), cart.key(GUEST).unwrap().as_str()]);
    let mut clients = JoinSet::new();
    for _ in 0..9 {
        let cart = cart.clone();
        clients.spawn(async move {
            for _ in 0..10 {
                cart.add("1", "a", 2, cents("1")).await.unwrap();
                cart.remove("1", "a", Some(1)).await.unwrap();
                cart.add(GUEST, "a", 1, cents("1")).await.unwrap();
                cart.remove("1", "a", Some(1)).await.unwrap();
                cart.merge("abc123", "1").await.unwrap();
                // Whoever merged it, the unit is in this cart now.
                cart.remove("1", "a", Some(1)).await.unwrap();
            }
        });
    }
    clients.join_all().await;
    let moves = moving.end();
    cart.merge("abc123", "1").await.unwrap();
    assert_eq!(cart.contents("1").await.unwrap().units, 0, "{moves} moves");
}
