//! A guest logs in: nothing is lost, nothing doubled, limits hold, and a crash between two steps changes none of it.

use std::time::Duration;

use redis::Value;
use storefront::cart::merge::claim::Applied;
use storefront::{CartError, CartOwner, Layout, Left, LeftBehind, Merged, StoreError};

use crate::shop::{Shop, guest, in_every_shop, in_every_shop_of, sku, units, until, user_id};

/// A user and a guest, who has 3 of `a` and 4 of `b`.
async fn login(shop: &Shop) -> (CartOwner, CartOwner) {
    let (user, guest): (_, CartOwner) = (shop.user(1).await, guest("abc123").into());
    let (a, b) = (shop.product("a", "1.00").await, shop.product("b", "2.00").await);
    shop.cart.add(&guest, &a, units(3), None).await.unwrap();
    shop.cart.add(&guest, &b, units(4), None).await.unwrap();
    (user, guest)
}

/// The units of `a` and `b` in a cart.
async fn both(shop: &Shop, owner: &CartOwner) -> [u32; 2] {
    [shop.units(owner, &sku("a")).await, shop.units(owner, &sku("b")).await]
}

#[tokio::test]
async fn units_of_both_carts_are_summed() {
    in_every_shop(async |shop| {
        let (user, guest_cart) = login(&shop).await;
        shop.cart.add(&user, &sku("b"), units(10), None).await.unwrap();
        let merged = shop.cart.merge(&guest("abc123"), user_id(&user)).await.unwrap();
        assert_eq!(merged.moved, [(sku("a"), 3), (sku("b"), 4)], "{}", shop.kind);
        assert_eq!(merged.left, []);
        assert_eq!(both(&shop, &user).await, [3, 14]);
        assert_eq!(shop.cart.contents(&guest_cart).await.unwrap().lines, 0);
    })
    .await;
}

#[tokio::test]
async fn a_second_merge_doubles_nothing() {
    in_every_shop(async |shop| {
        let (user, _) = login(&shop).await;
        shop.cart.merge(&guest("abc123"), user_id(&user)).await.unwrap();
        let again = shop.cart.merge(&guest("abc123"), user_id(&user)).await.unwrap();
        assert_eq!(again, Merged::default(), "{}", shop.kind);
        assert_eq!(both(&shop, &user).await, [3, 4]);
    })
    .await;
}

#[tokio::test]
async fn two_logins_at_once_merge_once() {
    in_every_shop(async |shop| {
        let (user, guest_cart) = login(&shop).await;
        let merges = (0..8).map(|_| {
            let (shop, id) = (shop.clone(), user_id(&user));
            tokio::spawn(async move { shop.cart.merge(&guest("abc123"), id).await.unwrap() })
        });
        for merge in merges.collect::<Vec<_>>() {
            merge.await.unwrap();
        }
        assert_eq!(both(&shop, &user).await, [3, 4], "{}", shop.kind);
        assert_eq!(both(&shop, &guest_cart).await, [0, 0], "{}", shop.kind);
    })
    .await;
}

#[tokio::test]
async fn what_does_not_fit_a_line_stays_with_the_guest() {
    in_every_shop(async |shop| {
        let (user, guest_cart) = login(&shop).await;
        shop.cart.add(&user, &sku("a"), units(97), None).await.unwrap();
        let merged = shop.cart.merge(&guest("abc123"), user_id(&user)).await.unwrap();
        assert_eq!(merged.moved, [(sku("a"), 2), (sku("b"), 4)], "{}", shop.kind);
        assert_eq!(merged.left, [Left { sku: sku("a"), quantity: 1, why: LeftBehind::LineLimit }]);
        assert_eq!(both(&shop, &user).await, [99, 4]);
        assert_eq!(both(&shop, &guest_cart).await, [1, 0]);

        // As soon as there is room the rest can follow.
        shop.cart.remove(&user, &sku("a"), None).await.unwrap();
        shop.cart.merge(&guest("abc123"), user_id(&user)).await.unwrap();
        assert_eq!(both(&shop, &user).await, [1, 4]);
        assert_eq!(both(&shop, &guest_cart).await, [0, 0]);
    })
    .await;
}

#[tokio::test]
async fn what_does_not_fit_the_cart_stays_with_the_guest() {
    in_every_shop(async |shop| {
        let (user, guest_cart) = login(&shop).await;
        for line in 0..99 {
            let product = shop.product(&format!("x{line}"), "1").await;
            shop.cart.add(&user, &product, units(1), None).await.unwrap();
        }
        let merged = shop.cart.merge(&guest("abc123"), user_id(&user)).await.unwrap();
        assert_eq!(merged.moved, [(sku("a"), 3)], "{}", shop.kind);
        assert_eq!(merged.left, [Left { sku: sku("b"), quantity: 4, why: LeftBehind::CartFull }]);
        assert_eq!(shop.cart.contents(&user).await.unwrap().lines, 100);
        assert_eq!(both(&shop, &guest_cart).await, [0, 4]);
    })
    .await;
}

#[tokio::test]
async fn deadlines_and_seen_prices_travel_along() {
    in_every_shop(async |shop| {
        let (user, guest_cart) = login(&shop).await;
        let (minute, hour) = (Duration::from_mins(1), Duration::from_hours(1));
        let c = shop.product("c", "3.00").await;
        shop.cart.add(&guest_cart, &sku("a"), units(1), Some(minute)).await.unwrap();
        shop.cart.add(&guest_cart, &c, units(1), Some(minute)).await.unwrap();
        shop.cart.add(&user, &c, units(1), Some(hour)).await.unwrap();
        shop.product("a", "1.50").await;
        shop.cart.merge(&guest("abc123"), user_id(&user)).await.unwrap();
        let view = shop.cart.view(&user).await.unwrap();
        let [a, b, c] = view.lines.as_slice() else { panic!("three lines, not {view:?}") };
        assert_eq!(a.seen_price, "1.00".parse().ok(), "{}", shop.kind);
        assert!(a.expires_in.unwrap() <= minute);
        assert_eq!(b.expires_in, None);
        // Nothing leaves earlier than was promised for either.
        assert!(c.expires_in.unwrap() > minute);
    })
    .await;
}

#[tokio::test]
async fn merging_into_a_user_who_does_not_exist_leaves_the_guest_cart() {
    in_every_shop(async |shop| {
        let (_, guest_cart) = login(&shop).await;
        for session in ["abc123", "empty"] {
            let error = shop.cart.merge(&guest(session), "9".parse().unwrap()).await.unwrap_err();
            assert!(matches!(error, CartError::UnknownUser(id) if id.get() == 9), "{error:?}");
        }
        assert_eq!(both(&shop, &guest_cart).await, [3, 4], "{}", shop.kind);
    })
    .await;
}

#[tokio::test]
async fn merging_into_a_cart_of_another_type_leaves_the_guest_cart() {
    in_every_shop(async |shop| {
        let (user, guest_cart) = login(&shop).await;
        let key = shop.cart_key(&user);
        shop.send(&["SET", &key, "somebody else's"]).await;
        let error = shop.cart.merge(&guest("abc123"), user_id(&user)).await.unwrap_err();
        assert!(matches!(error, CartError::Store(StoreError::WrongType { .. })), "{error:?}");
        assert_eq!(shop.send(&["GET", &key]).await, Value::BulkString(b"somebody else's".into()));
        assert_eq!(both(&shop, &guest_cart).await, [3, 4], "{}", shop.kind);

        shop.send(&["DEL", &key]).await;
        shop.cart.merge(&guest("abc123"), user_id(&user)).await.unwrap();
        assert_eq!(both(&shop, &user).await, [3, 4], "{}", shop.kind);
    })
    .await;
}

#[tokio::test]
async fn a_crash_between_any_two_steps_loses_and_doubles_nothing() {
    in_every_shop_of(Layout::Cluster, async |shop| {
        let (user, guest_cart) = login(&shop).await;
        let (session, id) = (guest("abc123"), user_id(&user));
        shop.cart.add(&user, &sku("a"), units(98), None).await.unwrap();

        // Cut off after the claim; the guest shops on; the next login carries everything on.
        shop.cart.claim_guest(&session, id).await.unwrap().unwrap();
        assert_eq!(both(&shop, &guest_cart).await, [0, 0]);
        shop.cart.add(&guest_cart, &sku("b"), units(1), None).await.unwrap();
        let merged = shop.cart.merge(&session, id).await.unwrap();
        assert_eq!(merged.moved, [(sku("a"), 1), (sku("b"), 4)], "{}", shop.kind);
        assert_eq!(both(&shop, &user).await, [99, 4]);
        assert_eq!(both(&shop, &guest_cart).await, [2, 1]);

        // Cut off after applying.
        let claim = shop.cart.claim_guest(&session, id).await.unwrap().unwrap();
        shop.cart.apply_claim(&claim).await.unwrap();
        assert_eq!(both(&shop, &user).await, [99, 5]);
        shop.cart.merge(&session, id).await.unwrap();
        assert_eq!(both(&shop, &user).await, [99, 5]);
        assert_eq!(both(&shop, &guest_cart).await, [2, 0]);

        // Cut off after finishing, and every step repeated out of order by a client that was stalled.
        let claim = shop.cart.claim_guest(&session, id).await.unwrap().unwrap();
        let applied = shop.cart.apply_claim(&claim).await.unwrap();
        shop.cart.finish_claim(&claim, &applied).await.unwrap();
        shop.cart.remove(&user, &sku("a"), Some(units(10))).await.unwrap();
        let repeated = shop.cart.apply_claim(&claim).await.unwrap();
        assert!(matches!(&repeated, Applied::Merged(merged) if merged.moved.is_empty()), "{repeated:?}");
        shop.cart.finish_claim(&claim, &repeated).await.unwrap();
        assert_eq!(both(&shop, &user).await, [89, 5]);
        assert_eq!(both(&shop, &guest_cart).await, [2, 0]);

        // Nor does that client end the claim that has been made since, with more in it.
        shop.cart.add(&guest_cart, &sku("b"), units(1), None).await.unwrap();
        shop.cart.claim_guest(&session, id).await.unwrap().unwrap();
        shop.cart.finish_claim(&claim, &applied).await.unwrap();
        shop.cart.merge(&session, id).await.unwrap();
        assert_eq!(both(&shop, &user).await, [91, 6]);
        assert_eq!(both(&shop, &guest_cart).await, [0, 0]);
    })
    .await;
}

#[tokio::test]
async fn a_claim_for_another_user_is_settled_first() {
    in_every_shop_of(Layout::Cluster, async |shop| {
        let (user, guest_cart) = login(&shop).await;
        let other = shop.user(2).await;
        shop.cart.claim_guest(&guest("abc123"), user_id(&user)).await.unwrap().unwrap();
        shop.cart.add(&guest_cart, &sku("b"), units(1), None).await.unwrap();
        let merged = shop.cart.merge(&guest("abc123"), user_id(&other)).await.unwrap();
        assert_eq!(merged.moved, [(sku("b"), 1)], "{}", shop.kind);
        assert_eq!(both(&shop, &user).await, [3, 4]);
        assert_eq!(both(&shop, &other).await, [0, 1]);
    })
    .await;
}

#[tokio::test]
async fn a_refused_claim_stays_refused_for_everyone() {
    in_every_shop_of(Layout::Cluster, async |shop| {
        let (user, guest_cart) = login(&shop).await;
        let key = shop.cart_key(&user);
        shop.send(&["SET", &key, "somebody else's"]).await;
        let claim = shop.cart.claim_guest(&guest("abc123"), user_id(&user)).await.unwrap().unwrap();
        let refused = shop.cart.apply_claim(&claim).await.unwrap();
        assert!(matches!(refused, Applied::Refused(_)), "{refused:?}");

        // The cart is set right before the guest's lines are returned: applied now they would be in both carts.
        shop.send(&["DEL", &key]).await;
        let late = shop.cart.apply_claim(&claim).await.unwrap();
        assert!(matches!(late, Applied::Refused(_)), "{late:?}");
        shop.cart.finish_claim(&claim, &refused).await.unwrap();
        assert_eq!(both(&shop, &user).await, [0, 0]);
        assert_eq!(both(&shop, &guest_cart).await, [3, 4], "{}", shop.kind);
    })
    .await;
}

#[tokio::test]
async fn a_line_that_expires_while_claimed_is_gone() {
    in_every_shop_of(Layout::Cluster, async |shop| {
        let (user, guest_cart) = login(&shop).await;
        let c = shop.product("c", "1").await;
        shop.cart.add(&guest_cart, &c, units(1), Some(Duration::from_millis(50))).await.unwrap();
        let claim = shop.cart.claim_guest(&guest("abc123"), user_id(&user)).await.unwrap().unwrap();
        shop.cart.add(&user, &c, units(1), Some(Duration::from_millis(50))).await.unwrap();
        until("the later of the two deadlines has passed", async || shop.units(&user, &c).await == 0).await;
        shop.cart.apply_claim(&claim).await.unwrap();
        assert_eq!(shop.units(&user, &c).await, 0, "{}", shop.kind);
        assert_eq!(both(&shop, &user).await, [3, 4]);
    })
    .await;
}

#[tokio::test]
async fn claims_and_records_of_merges_do_not_stay_for_ever() {
    in_every_shop_of(Layout::Cluster, async |shop| {
        let (user, guest_cart) = login(&shop).await;
        shop.cart.claim_guest(&guest("abc123"), user_id(&user)).await.unwrap();
        let merging = shop.keys.cart(&guest_cart, shop.cart.representation()).merging;
        assert!(matches!(shop.send(&["PTTL", &merging]).await, Value::Int(1..=1_800_000)));
        shop.cart.merge(&guest("abc123"), user_id(&user)).await.unwrap();
        assert_eq!(shop.send(&["EXISTS", &merging]).await, Value::Int(0));
        let merges = shop.keys.cart(&user, shop.cart.representation()).merges;
        assert!(matches!(shop.send(&["PTTL", &merges]).await, Value::Int(1..=88_200_000)));
    })
    .await;
}
