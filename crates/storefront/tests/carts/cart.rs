//! Adding, removing, viewing, counting, clearing, and the limits of a cart.

use storefront::{
    AddError, CartError, CartOwner, Cents, Layout, LineState, Quantity, RemoveError, Representation,
};

use crate::shop::{in_every_shop, in_every_shop_of, sku, units};

#[tokio::test]
async fn adding_again_sums() {
    in_every_shop(async |shop| {
        let (user, mug) = (shop.user(1).await, shop.product("sku123", "19.99").await);
        shop.cart.add(&user, &mug, units(2), None).await.unwrap();
        let added = shop.cart.add(&user, &mug, units(3), None).await.unwrap();
        assert_eq!((added.quantity, added.cart.lines, added.cart.units), (5, 1, 5));
        assert_eq!(added.cart.seen_total.to_string(), "99.95");
        let view = shop.cart.view(&user).await.unwrap();
        assert_eq!(view.total.to_string(), "99.95");
        assert_eq!(view.lines[0].line_total, Some(view.total));
    })
    .await;
}

#[tokio::test]
async fn the_seeds_names_are_written() {
    in_every_shop_of(Layout::Standalone, async |shop| {
        let (user, mug) = (shop.user(1).await, shop.product("sku123", "19.99").await);
        shop.cart.add(&user, &mug, units(2), None).await.unwrap();
        let prefix = shop.keys.users().replace("users", "");
        let text =
            async |words: &[&str]| redis::from_redis_value::<Option<String>>(shop.send(words).await).unwrap();
        assert_eq!(text(&["HGET", &format!("{prefix}user:1"), "firstname"]).await.unwrap(), "Parker");
        assert_eq!(text(&["HGET", &format!("{prefix}user:1"), "lastname"]).await.unwrap(), "Perry");
        assert_eq!(text(&["HGET", &format!("{prefix}sku:sku123"), "price"]).await.unwrap(), "19.99");
        let quantity = match shop.cart.representation() {
            Representation::Hash => text(&["HGET", &format!("{prefix}cart:1"), "sku123"]).await,
            Representation::SortedSet => {
                text(&["ZSCORE", &format!("{prefix}cart:1:by_quantity"), "sku123"]).await
            }
        };
        assert_eq!(quantity.unwrap(), "2");
    })
    .await;
}

#[tokio::test]
async fn unknown_users_and_products_are_refused() {
    in_every_shop(async |shop| {
        let (user, mug) = (shop.user(1).await, shop.product("sku123", "19.99").await);
        let stranger: CartOwner = "2".parse().unwrap();
        let error = shop.cart.add(&stranger, &mug, Quantity::ONE, None).await.unwrap_err();
        assert!(matches!(error, AddError::Cart(CartError::UnknownUser(id)) if id.get() == 2), "{error:?}");
        let error = shop.cart.add(&user, &sku("sku456"), Quantity::ONE, None).await.unwrap_err();
        assert!(matches!(&error, AddError::UnknownSku(unknown) if unknown.as_str() == "sku456"), "{error:?}");
        assert_eq!(error.to_string(), "there is no product sku456 on sale");
        assert!(matches!(shop.cart.view(&stranger).await, Err(CartError::UnknownUser(_))));
        assert!(matches!(shop.cart.clear(&stranger).await, Err(CartError::UnknownUser(_))));
        assert!(matches!(shop.cart.contents(&stranger).await, Err(CartError::UnknownUser(_))));
        let error = shop.cart.remove(&stranger, &mug, None).await.unwrap_err();
        assert!(matches!(error, RemoveError::Cart(CartError::UnknownUser(_))));
        assert!(shop.cart.view(&user).await.unwrap().lines.is_empty());
    })
    .await;
}

#[tokio::test]
async fn a_line_holds_at_most_99_units() {
    in_every_shop(async |shop| {
        let (user, mug) = (shop.user(1).await, shop.product("sku123", "19.99").await);
        shop.cart.add(&user, &mug, units(98), None).await.unwrap();
        let before = shop.dump(&user).await;
        let error = shop.cart.add(&user, &mug, units(2), None).await.unwrap_err();
        assert!(matches!(error, AddError::LineLimit { have: 98, asked: 2, limit: 99, .. }), "{error:?}");
        assert_eq!(shop.dump(&user).await, before, "{}", shop.kind);
        assert_eq!(shop.cart.add(&user, &mug, Quantity::ONE, None).await.unwrap().quantity, 99);
    })
    .await;
}

#[tokio::test]
async fn a_cart_has_at_most_100_lines() {
    in_every_shop(async |shop| {
        let user = shop.user(1).await;
        for line in 0..100 {
            let product = shop.product(&format!("sku{line}"), "10000000").await;
            shop.cart.add(&user, &product, units(99), None).await.unwrap();
        }
        let (one_more, first) = (shop.product("sku100", "1").await, sku("sku0"));
        let error = shop.cart.add(&user, &one_more, Quantity::ONE, None).await.unwrap_err();
        assert!(matches!(error, AddError::CartFull { limit: 100 }), "{error:?}");

        // The largest cart there can be is added up exactly, also in the script.
        let largest = Cents::new(100 * 99 * 1_000_000_000).unwrap();
        assert_eq!(shop.cart.view(&user).await.unwrap().total, largest);
        assert_eq!(shop.cart.contents(&user).await.unwrap().seen_total, largest);

        shop.cart.remove(&user, &first, Some(Quantity::ONE)).await.unwrap();
        assert_eq!(shop.cart.add(&user, &first, Quantity::ONE, None).await.unwrap().quantity, 99);
        shop.cart.remove(&user, &first, None).await.unwrap();
        assert_eq!(shop.cart.add(&user, &one_more, Quantity::ONE, None).await.unwrap().cart.lines, 100);
    })
    .await;
}

#[tokio::test]
async fn removing_takes_some_or_all_and_never_more() {
    in_every_shop(async |shop| {
        let (user, mug) = (shop.user(1).await, shop.product("sku123", "19.99").await);
        shop.cart.add(&user, &mug, units(5), None).await.unwrap();
        let removed = shop.cart.remove(&user, &mug, Some(units(2))).await.unwrap();
        assert_eq!((removed.removed, removed.quantity, removed.cart.units), (2, 3, 3));
        let before = shop.dump(&user).await;
        let error = shop.cart.remove(&user, &mug, Some(units(4))).await.unwrap_err();
        assert!(matches!(error, RemoveError::OnlyInCart { quantity: 3, asked: 4, .. }), "{error:?}");
        assert_eq!(shop.dump(&user).await, before, "{}", shop.kind);
        assert_eq!(shop.cart.remove(&user, &mug, None).await.unwrap().removed, 3);
        let error = shop.cart.remove(&user, &mug, None).await.unwrap_err();
        assert!(matches!(error, RemoveError::NotInCart(_)), "{error:?}");
        assert_eq!(error.to_string(), "sku123 is not in the cart");
        for key in shop.keys.all_of_cart(&user) {
            assert_eq!(shop.send(&["EXISTS", &key]).await, redis::Value::Int(0), "{key}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_view_marks_changed_prices_and_what_is_no_longer_sold() {
    in_every_shop(async |shop| {
        let user = shop.user(1).await;
        let [gone, dearer, same] =
            [shop.product("a", "1.10").await, shop.product("b", "2.20").await, shop.product("c", "0").await];
        for product in [&same, &dearer, &gone] {
            shop.cart.add(&user, product, units(3), None).await.unwrap();
        }
        assert!(shop.catalogue.remove(&gone).await.unwrap());
        shop.product("b", "2.50").await;

        let view = shop.cart.view(&user).await.unwrap();
        let states: Vec<_> = view.lines.iter().map(|line| (line.sku.as_str(), line.state)).collect();
        let was = "2.20".parse().unwrap();
        let expected = [
            ("a", LineState::NoLongerSold),
            ("b", LineState::PriceChanged { was }),
            ("c", LineState::OnSale),
        ];
        assert_eq!(states, expected, "{}", shop.kind);
        assert_eq!(view.lines[0].name, None);
        assert_eq!(view.lines[0].line_total, None);
        assert_eq!(view.total.to_string(), "7.50");
        let json = serde_json::to_value(&view).unwrap();
        assert_eq!(json["total"], serde_json::json!({"cents": 750, "text": "7.50"}));
        assert_eq!(json["lines"][0]["state"], "no_longer_sold");
        assert_eq!(json["lines"][1]["state"]["price_changed"]["was"]["cents"], 220);
        assert_eq!(json["lines"][0]["unit_price"], serde_json::Value::Null);

        // It cannot be added any more, but removed.
        assert!(matches!(shop.cart.add(&user, &gone, units(1), None).await, Err(AddError::UnknownSku(_))));
        assert_eq!(shop.cart.remove(&user, &gone, Some(units(1))).await.unwrap().quantity, 2);
        assert_eq!(shop.cart.remove(&user, &gone, None).await.unwrap().removed, 2);
        // Adding again shows the customer the new price.
        shop.cart.add(&user, &dearer, units(1), None).await.unwrap();
        let view = shop.cart.view(&user).await.unwrap();
        assert_eq!(view.lines[0].state, LineState::OnSale);
        assert_eq!(view.total.to_string(), "10.00");
    })
    .await;
}

#[tokio::test]
async fn clearing_empties_one_cart_only() {
    in_every_shop(async |shop| {
        let (user, other, mug) = (shop.user(1).await, shop.user(2).await, shop.product("sku123", "1").await);
        shop.cart.add(&user, &mug, units(5), None).await.unwrap();
        shop.cart.add(&other, &mug, units(7), None).await.unwrap();
        let cleared = shop.cart.clear(&user).await.unwrap();
        assert_eq!((cleared.lines, cleared.units), (1, 5));
        assert_eq!(shop.cart.clear(&user).await.unwrap().units, 0);
        assert_eq!(shop.units(&user, &mug).await, 0);
        assert_eq!(shop.units(&other, &mug).await, 7);
    })
    .await;
}

#[tokio::test]
async fn both_representations_of_one_owner_are_separate() {
    in_every_shop_of(Layout::Standalone, async |shop| {
        let (user, mug) = (shop.user(1).await, shop.product("sku123", "1").await);
        let other = match shop.cart.representation() {
            Representation::Hash => Representation::SortedSet,
            Representation::SortedSet => Representation::Hash,
        };
        let other = storefront::Cart::new(shop.wire.clone(), shop.keys.clone(), other);
        shop.cart.add(&user, &mug, units(2), None).await.unwrap();
        other.add(&user, &mug, units(3), None).await.unwrap();
        other.clear(&user).await.unwrap();
        assert_eq!(shop.cart.contents(&user).await.unwrap().units, 2);
    })
    .await;
}
