//! Users and products, and the indexes that lead to them.

use std::time::Duration;

use redis::Value;
use storefront::{Cents, CreateUserError, Layout, NewUser, Product, Put, PutError, StoreError, UserId};

use crate::shop::{Shop, in_every_shop_of, sku};

/// Neither knows of carts, so one shop of each layout is enough.
async fn in_both_layouts(test: impl AsyncFn(Shop)) {
    for layout in [Layout::Standalone, Layout::Cluster] {
        let seen = std::cell::Cell::new(false);
        in_every_shop_of(layout, async |shop| {
            if !seen.replace(true) {
                test(shop).await;
            }
        })
        .await;
    }
}

fn parker() -> NewUser {
    NewUser { first_name: "Parker".parse().unwrap(), last_name: "Perry".parse().unwrap() }
}

fn product(code: &str, name: &str, price: &str) -> Product {
    Product { sku: sku(code), name: name.parse().unwrap(), price: price.parse().unwrap() }
}

#[tokio::test]
async fn a_user_is_never_overwritten() {
    in_both_layouts(async |shop| {
        let one = UserId::new(1).unwrap();
        let created = shop.users.create_with_id(one, parker()).await.unwrap();
        let other = NewUser { first_name: "Somebody".parse().unwrap(), last_name: "Else".parse().unwrap() };
        let error = shop.users.create_with_id(one, other.clone()).await.unwrap_err();
        assert!(matches!(error, CreateUserError::Taken(id) if id == one), "{error:?}");
        assert_eq!(shop.users.get(one).await.unwrap(), Some(created));
        assert_eq!(shop.users.create(other).await.unwrap().id.get(), 2, "1 is passed over");
        assert_eq!(shop.users.get(UserId::new(3).unwrap()).await.unwrap(), None);
    })
    .await;
}

#[tokio::test]
async fn users_are_listed_by_number_also_beyond_one_page() {
    in_both_layouts(async |shop| {
        assert_eq!(shop.users.list().await.unwrap(), []);
        for _ in 0..510 {
            shop.users.create(parker()).await.unwrap();
        }
        shop.users.create_with_id(UserId::MAX, parker()).await.unwrap();
        // A number whose user was deleted by hand is passed over.
        shop.send(&["DEL", &shop.keys.user(UserId::new(3).unwrap())]).await;
        let ids: Vec<u64> = shop.users.list().await.unwrap().iter().map(|user| user.id.get()).collect();
        let expected: Vec<u64> = (1..=510).filter(|id| *id != 3).chain([UserId::MAX.get()]).collect();
        assert_eq!(ids, expected);
    })
    .await;
}

#[tokio::test]
async fn a_number_under_another_score_is_an_error_and_makes_no_endless_list() {
    in_both_layouts(async |shop| {
        for _ in 0..3 {
            shop.users.create(parker()).await.unwrap();
        }
        shop.send(&["ZADD", &shop.keys.users(), "1000", "2"]).await;
        let listed = tokio::time::timeout(Duration::from_secs(30), shop.users.list()).await;
        let error = listed.expect("it comes to an end").unwrap_err();
        assert!(matches!(&error, StoreError::Malformed { .. }), "{error:?}");
        assert!(error.to_string().contains(&shop.keys.users()), "{error}");
    })
    .await;
}

#[tokio::test]
async fn a_user_somebody_else_wrote_badly_is_an_error_that_names_the_key() {
    in_both_layouts(async |shop| {
        let key = shop.keys.user(UserId::new(1).unwrap());
        shop.send(&["HSET", &key, "firstname", "bell\x07", "lastname", "Perry"]).await;
        let error = shop.users.get(UserId::new(1).unwrap()).await.unwrap_err();
        assert!(matches!(&error, StoreError::Malformed { .. }), "{error:?}");
        assert!(error.to_string().contains(&key) && error.to_string().contains("firstname"), "{error}");
        shop.send(&["DEL", &key]).await;
        shop.send(&["SET", &key, "somebody else's"]).await;
        let error = shop.users.create_with_id(UserId::new(1).unwrap(), parker()).await.unwrap_err();
        assert!(matches!(error, CreateUserError::Store(StoreError::WrongType { .. })), "{error:?}");
    })
    .await;
}

#[tokio::test]
async fn a_product_is_found_by_sku_and_by_exact_name() {
    in_both_layouts(async |shop| {
        let mug = product("sku123", "Café mug ☕", "19.99");
        assert_eq!(shop.catalogue.put(&mug).await.unwrap(), Put::Added);
        assert_eq!(shop.catalogue.find("sku123").await.unwrap().as_ref(), Some(&mug));
        assert_eq!(shop.catalogue.find("Café mug ☕").await.unwrap().as_ref(), Some(&mug));
        for stranger in ["café mug ☕", "Café mug", "sku12", "", "*", "sku:sku123", "a\0b"] {
            assert_eq!(shop.catalogue.find(stranger).await.unwrap(), None, "{stranger:?}");
        }
        // A text that is both a SKU and a name means the SKU.
        shop.catalogue.put(&product("sku456", "sku123", "1")).await.unwrap();
        assert_eq!(shop.catalogue.find("sku123").await.unwrap().as_ref(), Some(&mug));
    })
    .await;
}

#[tokio::test]
async fn a_former_name_leads_nowhere() {
    in_both_layouts(async |shop| {
        shop.catalogue.put(&product("sku123", "Old name", "19.99")).await.unwrap();
        let renamed = product("sku123", "New name", "18.00");
        assert_eq!(shop.catalogue.put(&renamed).await.unwrap(), Put::Changed);
        assert_eq!(shop.catalogue.find("Old name").await.unwrap(), None);
        assert_eq!(shop.catalogue.find("New name").await.unwrap(), Some(renamed));
        // The old name is free for another product.
        shop.catalogue.put(&product("sku456", "Old name", "5")).await.unwrap();
        assert!(shop.catalogue.remove(&sku("sku123")).await.unwrap());
        assert!(!shop.catalogue.remove(&sku("sku123")).await.unwrap());
        assert_eq!(shop.catalogue.find("New name").await.unwrap(), None);
        assert_eq!(shop.catalogue.get(&sku("sku123")).await.unwrap(), None);
        assert_eq!(shop.catalogue.list().await.unwrap(), [product("sku456", "Old name", "5")]);
        shop.catalogue.remove(&sku("sku456")).await.unwrap();
        for index in [shop.keys.skus(), shop.keys.sku_names()] {
            assert_eq!(shop.send(&["EXISTS", &index]).await, Value::Int(0), "{index}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_name_belongs_to_one_product() {
    in_both_layouts(async |shop| {
        shop.catalogue.put(&product("sku123", "Mug", "19.99")).await.unwrap();
        let error = shop.catalogue.put(&product("sku456", "Mug", "5")).await.unwrap_err();
        assert!(matches!(&error, PutError::NameTaken { by, .. } if by.as_str() == "sku123"), "{error:?}");
        assert_eq!(shop.catalogue.get(&sku("sku456")).await.unwrap(), None);
        // A product deleted by hand does not keep its name.
        shop.send(&["DEL", &shop.keys.sku(&sku("sku123"))]).await;
        assert_eq!(shop.catalogue.find("Mug").await.unwrap(), None);
        shop.catalogue.put(&product("sku456", "Mug", "5")).await.unwrap();
        assert_eq!(shop.catalogue.find("Mug").await.unwrap().map(|found| found.sku), Some(sku("sku456")));
    })
    .await;
}

#[tokio::test]
async fn products_are_listed_by_sku_also_beyond_one_page() {
    in_both_layouts(async |shop| {
        for number in 0..510 {
            shop.product(&format!("sku{number:03}"), "1").await;
        }
        let skus: Vec<String> =
            shop.catalogue.list().await.unwrap().iter().map(|it| it.sku.to_string()).collect();
        let expected: Vec<String> = (0..510).map(|number| format!("sku{number:03}")).collect();
        assert_eq!(skus, expected);
    })
    .await;
}

#[tokio::test]
async fn a_price_above_the_highest_is_refused() {
    in_both_layouts(async |shop| {
        let mut dear = product("sku123", "Mug", "10000000.00");
        shop.catalogue.put(&dear).await.unwrap();
        dear.price = Cents::new(Cents::MAX_PRICE.get() + 1).unwrap();
        let error = shop.catalogue.put(&dear).await.unwrap_err();
        assert!(matches!(error, PutError::PriceTooHigh { .. }), "{error:?}");
        assert_eq!(shop.catalogue.get(&sku("sku123")).await.unwrap().unwrap().price, Cents::MAX_PRICE);
    })
    .await;
}
