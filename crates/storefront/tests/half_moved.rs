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
use storefront::inventory::Level;
use storefront::limits::{Algorithm, Attempt, Limit, Limiter, LoginGuard, RecordedTime, Window};
use storefront::recommendations::RecentViews;
use storefront::{CustomerId, Inventory, ItemExpiry, Keys, Layout};

const LONG: Duration = Duration::from_mins(10);

async fn cluster() -> (Wire, Keys) {
    (Wire::cluster().await, own_keys(Layout::Cluster))
}

fn ann() -> CustomerId {
    "ann".parse().unwrap()
}

#[tokio::test]
async fn the_only_view_is_seen_again() {
    let (wire, keys) = cluster().await;
    let views = RecentViews::new(wire, keys.clone());
    views.viewed(&ann(), &sku("a")).await.unwrap();
    let moving = HalfMoved::slots_of([keys.recent_views(&ann())]);
    views.viewed(&ann(), &sku("a")).await.unwrap();
    drop(moving);
    assert_eq!(views.of(&ann(), 9).await.unwrap(), [sku("a")]);
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
