//! Carts on a cluster whose slots move meanwhile: no error reaches the caller, and nothing is lost.

use storefront::{Catalogue, Layout};
use tokio::task::JoinSet;

use crate::shop::moving::Moving;
use crate::shop::{Wire, in_every_shop_of, own_keys, units};

#[tokio::test(flavor = "multi_thread")]
async fn carts_stay_right_while_their_slots_move() {
    in_every_shop_of(Layout::Cluster, async |shop| {
        let (user, a) = (shop.user(7).await, shop.product("a", "1").await);
        let moving = Moving::slots_of([shop.cart_key(&user), shop.keys.sku(&a)]);
        let mut clients = JoinSet::new();
        for _ in 0..9 {
            let (shop, user, a) = (shop.clone(), user.clone(), a.clone());
            clients.spawn(async move {
                for _ in 0..20 {
                    shop.cart.add(&user, &a, units(2), None).await.unwrap();
                    shop.cart.remove(&user, &a, Some(units(1))).await.unwrap();
                    shop.cart.add(&user, &a, units(1), None).await.unwrap();
                    shop.cart.remove(&user, &a, Some(units(2))).await.unwrap();
                }
                shop.cart.add(&user, &a, units(3), None).await.unwrap();
            });
        }
        clients.join_all().await;
        let moves = moving.end();
        assert_eq!(shop.units(&user, &a).await, 27, "{}, {moves} moves", shop.kind);
    })
    .await;
}

#[tokio::test]
async fn every_product_is_listed_while_the_list_moves() {
    let (wire, keys) = (Wire::cluster().await, own_keys(Layout::Cluster));
    // As others write it, and quicker than one by one.
    let skus: Vec<String> = (0..5_000).map(|number| format!("sku{number}")).collect();
    let mut names = vec!["HSET".to_owned(), keys.skus()];
    for sku in &skus {
        names.extend([sku.clone(), format!("Product {sku}")]);
    }
    wire.send(&names.iter().map(String::as_str).collect::<Vec<_>>()).await;
    for sku in &skus {
        let key = keys.sku(&sku.parse().unwrap());
        wire.send(&["HSET", &key, "name", &format!("Product {sku}"), "price", "1"]).await;
    }
    let catalogue = Catalogue::new(wire, keys.clone());
    let moving = Moving::slots_of([keys.skus()]);
    for _ in 0..5 {
        assert_eq!(catalogue.list().await.unwrap().len(), skus.len());
    }
    assert!(moving.end() > 1);
}
