//! Keys of another type, and what somebody else wrote into ours: an error that names it, and nothing changed.

use storefront::{AddError, CartError, LineState, RemoveError, Representation, StoreError};

use crate::shop::{self, Wire, guest, in_every_shop, units};

#[tokio::test]
async fn a_key_of_another_type_is_refused_and_left_alone() {
    in_every_shop(async |shop| {
        let (user, mug) = (shop.user(1).await, shop.product("sku123", "1").await);
        let carts = shop.keys.cart(&user, shop.cart.representation());
        for key in [carts.quantities, carts.prices, carts.deadlines] {
            shop.send(&["SET", &key, "somebody else's"]).await;
            let before = shop.dump(&user).await;
            let wrong = |error: &CartError| matches!(error, CartError::Store(StoreError::WrongType { .. }));
            let add = shop.cart.add(&user, &mug, units(1), None).await.unwrap_err();
            assert!(matches!(add, AddError::Cart(error) if wrong(&error)), "{} {key}", shop.kind);
            let remove = shop.cart.remove(&user, &mug, None).await.unwrap_err();
            assert!(matches!(remove, RemoveError::Cart(error) if wrong(&error)), "{} {key}", shop.kind);
            assert!(wrong(&shop.cart.view(&user).await.unwrap_err()));
            assert!(wrong(&shop.cart.contents(&user).await.unwrap_err()));
            assert!(wrong(&shop.cart.clear(&user).await.unwrap_err()));
            assert!(wrong(&shop.cart.merge(&guest("abc123"), shop::user_id(&user)).await.unwrap_err()));
            assert_eq!(shop.dump(&user).await, before, "{} {key}", shop.kind);
            shop.send(&["DEL", &key]).await;
        }
    })
    .await;
}

#[tokio::test]
async fn what_somebody_else_wrote_into_a_cart_is_an_error_and_can_be_cleared() {
    in_every_shop(async |shop| {
        let (user, mug) = (shop.user(1).await, shop.product("sku123", "1").await);
        let key = shop.cart_key(&user);
        let bad: &[[&str; 2]] = match shop.cart.representation() {
            Representation::Hash => &[
                ["sku123", "1e3"],
                ["sku123", "-1"],
                ["sku123", "0"],
                ["sku123", "two"],
                ["a b", "1"],
                ["sku123", "1.5"],
            ],
            Representation::SortedSet => {
                &[["sku123", "-1"], ["sku123", "0"], ["sku123", "1.5"], ["sku123", "inf"], ["\x1b[2J", "1"]]
            }
        };
        for [member, quantity] in bad {
            match shop.cart.representation() {
                Representation::Hash => shop.send(&["HSET", &key, member, quantity]).await,
                Representation::SortedSet => shop.send(&["ZADD", &key, quantity, member]).await,
            };
            let error = shop.cart.add(&user, &mug, units(1), None).await.unwrap_err();
            assert!(
                matches!(&error, AddError::Cart(CartError::Store(StoreError::Malformed { .. }))),
                "{} {member:?} {quantity}: {error:?}",
                shop.kind
            );
            assert!(!error.to_string().contains('\x1b'));
            assert!(shop.cart.view(&user).await.is_err());
            shop.cart.clear(&user).await.unwrap();
            assert_eq!(shop.cart.contents(&user).await.unwrap().lines, 0);
        }
    })
    .await;
}

#[tokio::test]
async fn a_cart_written_by_hand_can_be_viewed() {
    in_every_shop(async |shop| {
        let (user, _) = (shop.user(1).await, shop.product("sku123", "19.99").await);
        let key = shop.cart_key(&user);
        match shop.cart.representation() {
            Representation::Hash => shop.send(&["HSET", &key, "sku123", "2"]).await,
            Representation::SortedSet => shop.send(&["ZADD", &key, "2", "sku123"]).await,
        };
        let view = shop.cart.view(&user).await.unwrap();
        assert_eq!((view.lines[0].seen_price, view.lines[0].state), (None, LineState::OnSale));
        assert_eq!(view.total.to_string(), "39.98");
    })
    .await;
}

#[tokio::test]
async fn a_product_with_an_unreadable_price_is_not_sold() {
    in_every_shop(async |shop| {
        let (user, mug) = (shop.user(1).await, shop.product("sku123", "1").await);
        for price in
            ["", "free", "1e3", "-1", "19.999", ".5", "5.", "10000000.01", "92233720368547758.07", "0x10"]
        {
            shop.send(&["HSET", &shop.keys.sku(&mug), "price", price]).await;
            let error = shop.cart.add(&user, &mug, units(1), None).await.unwrap_err();
            let malformed = matches!(&error, AddError::Cart(CartError::Store(StoreError::Malformed { .. })));
            assert!(malformed, "{} {price}: {error:?}", shop.kind);
        }
        for (price, cents) in
            [("20", 2000), ("19.9", 1990), ("19.99", 1999), ("0.07", 7), ("10000000", 1_000_000_000)]
        {
            shop.send(&["HSET", &shop.keys.sku(&mug), "price", price]).await;
            let added = shop.cart.add(&user, &mug, units(1), None).await.unwrap();
            assert_eq!(added.unit_price.get(), cents, "{}", shop.kind);
        }
    })
    .await;
}

#[tokio::test]
async fn a_user_without_channels_changes_nothing() {
    let server = lab_server::Server::start().unwrap();
    let admin = Wire::reconnecting(&server.url()).await;
    let keys = storefront::Keys::new("", storefront::Layout::Standalone);
    let mug: storefront::Sku = "sku123".parse().unwrap();
    let product =
        storefront::Product { sku: mug.clone(), name: "Mug".parse().unwrap(), price: "1".parse().unwrap() };
    storefront::Catalogue::new(admin.clone(), keys.clone()).put(&product).await.unwrap();
    // Since Redis 7.0 a new user may use no channel unless told.
    redis::cmd("ACL")
        .arg(&["SETUSER", "clerk", "on", "nopass", "~*", "+@all", "resetchannels"])
        .exec_async(&mut admin.clone())
        .await
        .unwrap();
    let clerk = format!("redis://clerk:any@127.0.0.1:{}/", server.port());
    let clerk = Wire::reconnecting(&clerk).await;

    for representation in [Representation::Hash, Representation::SortedSet] {
        let watched = storefront::Cart::new(admin.clone(), keys.clone(), representation);
        let owner = guest("abc123").into();
        watched.add(&owner, &mug, units(2), None).await.unwrap();
        let cart = storefront::Cart::new(clerk.clone(), keys.clone(), representation);
        let refused = [
            cart.add(&owner, &mug, units(1), None).await.unwrap_err().redis_error().cloned(),
            cart.remove(&owner, &mug, None).await.unwrap_err().redis_error().cloned(),
            cart.clear(&owner).await.unwrap_err().redis_error().cloned(),
        ];
        for error in refused {
            let error = error.unwrap();
            assert_eq!(error.code(), Some("NOPERM"), "{error}");
        }
        assert_eq!(watched.contents(&owner).await.unwrap().units, 2, "nothing was changed");
    }
}
