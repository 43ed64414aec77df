//! The round trips that the documentation of each method states.

use storefront::Layout;

use crate::shop::{self, guest, in_every_shop, units};

#[tokio::test]
async fn each_operation_makes_the_round_trips_it_states() {
    in_every_shop(async |shop| {
        let (user, guest_cart) = (shop.user(1).await, guest("abc123"));
        let products =
            [shop.product("a", "1").await, shop.product("b", "1").await, shop.product("c", "1").await];
        let work = async || {
            for product in &products {
                shop.cart.add(&user, product, units(1), None).await.unwrap();
                shop.cart.add(&guest_cart.clone().into(), product, units(1), None).await.unwrap();
            }
            shop.cart.view(&user).await.unwrap();
            shop.cart.contents(&user).await.unwrap();
            shop.cart.merge(&guest_cart, shop::user_id(&user)).await.unwrap();
            shop.cart.remove(&user, &products[0], None).await.unwrap();
            shop.cart.clear(&user).await.unwrap();
        };
        // The server learns the scripts.
        work().await;
        let cluster = shop.keys.layout() == Layout::Cluster;
        assert_eq!(shop.round_trips(shop.cart.view(&user)).await, 1);
        for product in &products {
            let trips = shop.round_trips(shop.cart.add(&user, product, units(1), None)).await;
            assert_eq!(trips, if cluster { 2 } else { 1 }, "{}", shop.kind);
        }
        // On a cluster three that are in flight together.
        assert_eq!(shop.round_trips(shop.cart.view(&user)).await, if cluster { 1 + 3 } else { 2 });
        assert_eq!(shop.round_trips(shop.cart.contents(&user)).await, 1);
        shop.cart.add(&guest_cart.clone().into(), &products[0], units(1), None).await.unwrap();
        let merge = shop.cart.merge(&guest_cart, shop::user_id(&user));
        assert_eq!(shop.round_trips(merge).await, if cluster { 3 } else { 1 }, "{}", shop.kind);
        assert_eq!(shop.round_trips(shop.cart.remove(&user, &products[0], None)).await, 1);
        assert_eq!(shop.round_trips(shop.cart.clear(&user)).await, 1);
        assert_eq!(shop.round_trips(shop.catalogue.get_many(&products)).await, if cluster { 3 } else { 1 });
    })
    .await;
}
