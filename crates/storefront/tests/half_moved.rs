//! What scripts do that empty a key while its slot is on its way: the key must not be touched again, since the server then
//! takes it for one that has moved, and the script fails after it has written.

#![allow(
    clippy::unwrap_used,
    reason = "clippy's exemption for tests does not reach what they share or await"
)]

mod shop;

use std::num::NonZeroU32;
use std::time::Duration;

use redis::Value;
use shop::moving::HalfMoved;
use shop::{Wire, in_every_shop_of, own_keys, sku, units};
use storefront::flash_sale::{FlashSale, NewSale};
use storefront::inventory::Level;
use storefront::limits::{Algorithm, Attempt, Limit, Limiter, LoginGuard, RecordedTime, Window};
use storefront::notifications::{Notifications, Sent};
use storefront::stores::{Area, Hours, LocalTime, Place, Store, Stores};
use storefront::{CustomerId, Inventory, ItemExpiry, Keys, Layout};

const LONG: Duration = Duration::from_mins(10);

async fn cluster() -> (Wire, Keys) {
    (Wire::cluster().await, own_keys(Layout::Cluster))
}

fn ann() -> CustomerId {
    "ann".parse().unwrap()
}

#[tokio::test]
async fn a_store_is_replaced() {
    let (wire, keys) = cluster().await;
    let stores = Stores::new(wire, keys.clone());
    let here = Place::new(10.0, 53.5).unwrap();
    let id = "harbour".parse().unwrap();
    let mut store =
        Store { id, name: "Old".into(), place: here, hours: Hours::daily("09:00-18:00").unwrap() };
    stores.put(&store).await.unwrap();
    let moving = HalfMoved::slots_of([keys.stores()]);
    store.name = "New".into();
    assert!(!stores.put(&store).await.unwrap(), "it was there");
    drop(moving);
    let noon = LocalTime::new(0, 12, 0).unwrap();
    let near = stores.near(here, Area::Circle { radius: 1e3 }, 1, noon).await.unwrap();
    assert_eq!(near[0].name, "New");
}

/// A sale of two units that the first customer has, and a line of two.
async fn sold_out() -> (Keys, FlashSale<Wire>) {
    let (wire, keys) = cluster().await;
    let sales = FlashSale::new(wire, keys.clone());
    let now = sales.now().await.unwrap();
    let (name, product) = ("Black Friday".into(), sku("PROD123"));
    let sale =
        NewSale { name, product, starts: now, ends: now + 3_600_000, units: 2, cap: units(2), places: 9 };
    sales.open(&sale).await.unwrap();
    sales.buy(&ann(), units(2), &"a".parse().unwrap()).await.unwrap();
    sales.buy(&"bob".parse().unwrap(), units(1), &"b".parse().unwrap()).await.unwrap();
    (keys, sales)
}

#[tokio::test]
async fn the_whole_line_is_served_with_what_the_only_buyer_gives_back() {
    let (keys, sales) = sold_out().await;
    let moving = HalfMoved::slots_of([keys.flash_sale().sale]);
    let gave = sales.give_back(&ann(), &"a".parse().unwrap()).await.unwrap();
    drop(moving);
    assert_eq!((gave.units, gave.served.len(), gave.served[0].units), (2, 1, 1));
    let sale = sales.sale().await.unwrap().unwrap();
    assert_eq!((sale.left, sale.sold), (1, 1));
    assert_eq!(sales.place(&"bob".parse().unwrap()).await.unwrap(), None);
}

#[tokio::test]
async fn the_last_in_line_leaves() {
    let (keys, sales) = sold_out().await;
    let cas = "cas".parse().unwrap();
    sales.buy(&cas, units(2), &"c".parse().unwrap()).await.unwrap();
    sales.give_back(&ann(), &"a".parse().unwrap()).await.unwrap();
    let sale = sales.sale().await.unwrap().unwrap();
    assert_eq!((sale.left, sale.sold), (1, 1), "bob is served, and one is not enough for cas");
    let moving = HalfMoved::slots_of([keys.flash_sale().sale]);
    assert_eq!(sales.leave(&cas).await.unwrap(), []);
    drop(moving);
    assert_eq!(sales.place(&cas).await.unwrap(), None);
}

#[tokio::test]
async fn everything_waiting_is_taken_and_the_last_one_waiting_makes_room() {
    for taking in [true, false] {
        let (wire, keys) = cluster().await;
        let notifications = Notifications::new(wire, keys.clone()).with_cap(2);
        notifications.send(&ann(), &"1".parse().unwrap(), "one").await.unwrap();
        notifications.take(&ann(), 1, LONG).await.unwrap();
        notifications.send(&ann(), &"2".parse().unwrap(), "two").await.unwrap();
        let moving = HalfMoved::slots_of([keys.notifications(&ann()).waiting]);
        if taking {
            assert_eq!(notifications.take(&ann(), 9, LONG).await.unwrap()[0].text, "two");
        } else {
            let sent = notifications.send(&ann(), &"3".parse().unwrap(), "three").await.unwrap();
            assert_eq!(sent, Sent::New { unread: 2, dropped: 1 });
        }
        drop(moving);
        let counts = notifications.counts(&ann()).await.unwrap();
        assert_eq!((counts.unread, counts.dropped), (2, u64::from(!taking)));
    }
}

#[tokio::test]
async fn the_last_hold_expires_before_a_new_one_and_before_a_sweep() {
    for sweeping in [true, false] {
        let (wire, keys) = cluster().await;
        let inventory = Inventory::new(wire, keys.clone());
        let product = sku("PROD123");
        inventory.set_up(&product, 5, None).await.unwrap();
        inventory.release(&product, &"nobody".parse().unwrap()).await.unwrap();
        inventory
            .reserve(&product, &"ann".parse().unwrap(), units(2), Duration::from_millis(1))
            .await
            .unwrap();
        tokio::time::sleep(Duration::from_millis(20)).await;
        let moving = HalfMoved::slots_of([keys.inventory(&product).free]);
        let expected = if sweeping {
            assert_eq!(inventory.sweep(&product).await.map(|swept| swept.returned).unwrap_or_default(), 2);
            Level { free: 5, held: 0, sold: 0 }
        } else {
            inventory.reserve(&product, &"bob".parse().unwrap(), units(1), LONG).await.unwrap();
            Level { free: 4, held: 1, sold: 0 }
        };
        drop(moving);
        assert_eq!(inventory.level(&product).await.unwrap(), expected);
    }
}

#[tokio::test]
async fn a_log_of_which_everything_is_over_admits_again() {
    let (wire, keys) = cluster().await;
    let window = Window::new("moment", Duration::from_millis(5)).unwrap();
    let limit = Limit::new(2, window).unwrap();
    let limiter = Limiter::new(wire.clone(), keys, limit, Algorithm::SlidingLog).unwrap();
    let caller = "key".parse().unwrap();
    let _ = limiter.admit_many(&caller, NonZeroU32::new(2).unwrap()).await.unwrap();
    // Its end is a millisecond after that of the window: so that it is met for sure, it gets a later one.
    let key = limiter.key_of(&caller);
    wire.send(&["ZADD", &key, "1", "long over"]).await;
    wire.send(&["PERSIST", &key]).await;
    tokio::time::sleep(Duration::from_millis(20)).await;
    let moving = HalfMoved::slots_of([key]);
    let _ = limiter.admit(&caller).await.unwrap();
    drop(moving);
}

#[tokio::test]
async fn a_recorded_window_is_over_and_the_next_begins() {
    let (wire, keys) = cluster().await;
    let limit = Limit::new(1, Window::new("moment", Duration::from_mins(1)).unwrap()).unwrap();
    let time = RecordedTime::default();
    let limiter =
        Limiter::new(wire, keys, limit, Algorithm::FixedWindow).unwrap().on_recorded_time(time.clone());
    let caller = "key".parse().unwrap();
    assert!(limiter.admit(&caller).await.unwrap().admitted);
    time.set(Duration::from_secs(61));
    let moving = HalfMoved::slots_of([limiter.key_of(&caller)]);
    assert!(limiter.admit(&caller).await.unwrap().admitted);
    assert!(!limiter.admit(&caller).await.unwrap().admitted);
    drop(moving);
}

#[tokio::test]
async fn the_only_product_gets_another_name() {
    in_every_shop_of(Layout::Cluster, async |shop| {
        let mut product = shop.catalogue.get(&shop.product("a", "1").await).await.unwrap().unwrap();
        let moving = HalfMoved::slots_of([shop.keys.skus()]);
        product.name = "Another".parse().unwrap();
        shop.catalogue.put(&product).await.unwrap();
        drop(moving);
        assert!(shop.catalogue.find("a").await.unwrap().is_some_and(|found| found == product), "by SKU");
        assert_eq!(shop.catalogue.find("Another").await.unwrap(), Some(product));
    })
    .await;
}

#[tokio::test]
async fn the_last_line_with_a_deadline_leaves_a_cart() {
    in_every_shop_of(Layout::Cluster, async |shop| {
        if shop.cart.item_expiry() == ItemExpiry::FieldTtl {
            // Such a cart has no deadlines, and its scripts wait until the slot has arrived.
            return;
        }
        let user = shop.user(7).await;
        let (a, b) = (shop.product("a", "1").await, shop.product("b", "1").await);
        for all in [true, false] {
            shop.cart.add(&user, &a, units(2), Some(LONG)).await.unwrap();
            if !all {
                shop.cart.add(&user, &b, units(2), None).await.unwrap();
            }
            let moving = HalfMoved::slots_of([shop.cart_key(&user)]);
            shop.cart.remove(&user, &a, None).await.unwrap();
            drop(moving);
            assert_eq!(shop.units(&user, &a).await, 0, "{}", shop.kind);
            assert_eq!(shop.cart.view(&user).await.unwrap().lines.len(), usize::from(!all), "{}", shop.kind);
        }
    })
    .await;
}

#[tokio::test]
async fn a_cart_is_viewed_whose_last_line_is_over() {
    in_every_shop_of(Layout::Cluster, async |shop| {
        if shop.cart.item_expiry() == ItemExpiry::FieldTtl {
            return;
        }
        // Not the user of the test above: all keys of a user are in one slot, behind whatever prefix.
        let (user, a) = (shop.user(8).await, shop.product("a", "1").await);
        shop.cart.add(&user, &a, units(2), Some(Duration::from_millis(1))).await.unwrap();
        tokio::time::sleep(Duration::from_millis(20)).await;
        let moving = HalfMoved::slots_of([shop.cart_key(&user)]);
        let view = shop.cart.view(&user).await.unwrap();
        drop(moving);
        assert_eq!((view.lines.len(), view.expires_in), (0, None), "{}", shop.kind);
    })
    .await;
}

/// The server sees the block when it looks for the keys of the script, and the script, which begins a moment later, does not:
/// that is met about once in forty times. The attempt begins again, and waits until the slot has arrived.
#[tokio::test]
async fn a_pause_ends_between_the_servers_look_at_the_keys_and_the_script() {
    let (wire, keys) = cluster().await;
    let address = "203.0.113.7".parse().unwrap();
    let (failed, block) = (keys.failed_login(address), keys.blocked_ip(address));
    // Not counted by HalfMoved, which takes every script that misses a key for one that has emptied it.
    let guard = LoginGuard::new(shop::bare_connection().await, keys);
    for _ in 0..200 {
        wire.send(&["SET", &failed, "5"]).await;
        wire.send(&["SET", &block, "5"]).await;
        let moving = HalfMoved::slots_of([&block]);
        wire.send(&["PEXPIRE", &block, "8"]).await;
        let attempts = async {
            loop {
                if let Attempt::Allowed { left, .. } = guard.attempt(address, None).await.unwrap() {
                    return left;
                }
            }
        };
        let arrival = async {
            tokio::time::sleep(Duration::from_millis(12)).await;
            drop(moving);
        };
        assert_eq!(tokio::join!(attempts, arrival).0, 0);
        assert_eq!(wire.send(&["GET", &failed]).await, Value::BulkString(b"6".to_vec()));
    }
}
