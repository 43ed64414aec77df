//! Carts that slide and lines that leave on their own, by field TTL and by deadline set alike.

use std::time::Duration;

use redis::Value;
use storefront::{CartView, RemoveError};

use crate::shop::{in_every_shop, sku, units, until};

const SOON: Duration = Duration::from_millis(150);

#[tokio::test]
async fn a_change_and_a_view_let_the_cart_live_on_and_counting_does_not() {
    in_every_shop(async |shop| {
        let shop = shop.with_ttl(Duration::from_mins(10));
        let (user, mug) = (shop.user(1).await, shop.product("sku123", "1").await);
        let keys = shop.keys.cart(&user, shop.cart.representation());
        // Something older with little time left, set by hand so that nobody has to wait for it.
        let age = async || {
            for key in [&keys.quantities, &keys.prices, &keys.deadlines] {
                shop.send(&["PEXPIRE", key, "60000"]).await;
            }
        };
        let young = async || {
            let mut ttls = Vec::new();
            for key in [&keys.quantities, &keys.prices] {
                ttls.push(shop.send(&["PTTL", key]).await);
            }
            ttls.iter().all(|ttl| matches!(ttl, Value::Int(ms) if (60_001..=600_000).contains(ms)))
        };
        shop.cart.add(&user, &mug, units(5), None).await.unwrap();
        assert!(young().await);
        age().await;
        shop.cart.contents(&user).await.unwrap();
        assert!(!young().await, "counting is not shopping");
        // Redis 7.0 reads the clock again for PTTL, so a millisecond may be gone by then.
        let expires_in = shop.cart.view(&user).await.unwrap().expires_in.unwrap();
        assert!(
            expires_in > Duration::from_mins(9) && expires_in <= Duration::from_mins(10),
            "{expires_in:?}"
        );
        assert!(young().await);
        age().await;
        shop.cart.remove(&user, &mug, Some(units(1))).await.unwrap();
        assert!(young().await);
        age().await;
        shop.cart.remove(&user, &sku("sku456"), None).await.unwrap_err();
        assert!(!young().await, "a refusal changes nothing");
    })
    .await;
}

#[tokio::test]
async fn an_abandoned_cart_is_gone_with_all_its_keys() {
    in_every_shop(async |shop| {
        let shop = shop.with_ttl(SOON);
        let (user, mug) = (shop.user(1).await, shop.product("sku123", "1").await);
        shop.cart.add(&user, &mug, units(5), Some(Duration::from_mins(1))).await.unwrap();
        until("the cart has expired", async || shop.cart.contents(&user).await.unwrap().lines == 0).await;
        for key in shop.keys.all_of_cart(&user) {
            // Redis 7.0 reads the clock again for each PEXPIRE of a script, so another key may live a millisecond longer.
            until(&format!("{key} is gone"), async || shop.send(&["EXISTS", &key]).await == Value::Int(0))
                .await;
        }
    })
    .await;
}

#[tokio::test]
async fn an_expired_line_counts_nowhere() {
    in_every_shop(async |shop| {
        let (user, mug) = (shop.user(1).await, shop.product("sku123", "1").await);
        let lasting = shop.product("sku456", "2").await;
        shop.cart.add(&user, &mug, units(5), Some(SOON)).await.unwrap();
        shop.cart.add(&user, &lasting, units(1), None).await.unwrap();
        until("the line has expired", async || shop.cart.contents(&user).await.unwrap().lines == 1).await;

        assert_eq!(shop.cart.contents(&user).await.unwrap().seen_total.to_string(), "2.00", "{}", shop.kind);
        let error = shop.cart.remove(&user, &mug, None).await.unwrap_err();
        assert!(matches!(error, RemoveError::NotInCart(_)), "{error:?}");
        let view = shop.cart.view(&user).await.unwrap();
        assert_eq!((view.lines.len(), view.total.to_string().as_str()), (1, "2.00"));
        // The units that have expired do not come back with new ones, nor does their deadline.
        let added = shop.cart.add(&user, &mug, units(2), None).await.unwrap();
        assert_eq!((added.quantity, added.cart.units), (2, 3), "{}", shop.kind);
        assert_eq!(shop.cart.view(&user).await.unwrap().lines[0].expires_in, None);
    })
    .await;
}

#[tokio::test]
async fn a_line_with_a_deadline_never_looks_like_one_without() {
    in_every_shop(async |shop| {
        let (user, mug) = (shop.user(1).await, shop.product("sku123", "1").await);
        for _ in 0..50 {
            shop.cart.add(&user, &mug, units(1), Some(Duration::from_millis(5))).await.unwrap();
            // Without a pause, so that the very millisecond of the deadline is met.
            loop {
                let view = shop.cart.view(&user).await.unwrap();
                assert!(view.lines.iter().all(|line| line.expires_in.is_some()), "{}: {view:?}", shop.kind);
                if view.lines.is_empty() {
                    break;
                }
            }
        }
    })
    .await;
}

#[tokio::test]
async fn an_expired_line_makes_room_in_a_full_cart() {
    in_every_shop(async |shop| {
        let user = shop.user(1).await;
        for line in 0..100 {
            let product = shop.product(&format!("sku{line}"), "1").await;
            let ttl = (line == 99).then_some(SOON);
            shop.cart.add(&user, &product, units(1), ttl).await.unwrap();
        }
        let one_more = shop.product("sku100", "1").await;
        until("the line has expired", async || shop.cart.add(&user, &one_more, units(1), None).await.is_ok())
            .await;
        let view = shop.cart.view(&user).await.unwrap();
        assert_eq!(view.lines.len(), 100, "{}", shop.kind);
        assert!(view.lines.iter().all(|line| line.sku.as_str() != "sku99"));
    })
    .await;
}

#[tokio::test]
async fn adding_more_keeps_a_deadline_unless_it_brings_a_new_one() {
    in_every_shop(async |shop| {
        let (user, mug) = (shop.user(1).await, shop.product("sku123", "1").await);
        let (minute, hour) = (Duration::from_mins(1), Duration::from_hours(1));
        let left = |view: CartView| view.lines[0].expires_in;
        shop.cart.add(&user, &mug, units(3), Some(minute)).await.unwrap();
        shop.cart.add(&user, &mug, units(1), None).await.unwrap();
        shop.cart.remove(&user, &mug, Some(units(1))).await.unwrap();
        let expires_in = left(shop.cart.view(&user).await.unwrap());
        assert!(expires_in.is_some_and(|left| left <= minute), "{} {expires_in:?}", shop.kind);
        shop.cart.add(&user, &mug, units(1), Some(hour)).await.unwrap();
        let expires_in = left(shop.cart.view(&user).await.unwrap());
        assert!(expires_in.is_some_and(|left| minute < left && left <= hour), "{} {expires_in:?}", shop.kind);
        // A line put in again is a new line.
        shop.cart.remove(&user, &mug, None).await.unwrap();
        shop.cart.add(&user, &mug, units(1), None).await.unwrap();
        assert_eq!(left(shop.cart.view(&user).await.unwrap()), None, "{}", shop.kind);
    })
    .await;
}

#[tokio::test]
async fn the_longest_and_the_shortest_ttl_are_taken() {
    in_every_shop(async |shop| {
        let (user, mug) = (shop.user(1).await, shop.product("sku123", "1").await);
        let shop = shop.with_ttl(Duration::MAX);
        shop.cart.add(&user, &mug, units(1), Some(Duration::MAX)).await.unwrap();
        let year = Duration::from_hours(365 * 24);
        assert_eq!(shop.cart.view(&user).await.unwrap().expires_in, Some(year));
        shop.cart.add(&user, &mug, units(1), Some(Duration::ZERO)).await.unwrap();
        until("the line has expired", async || shop.units(&user, &mug).await == 0).await;
    })
    .await;
}
