//! What others hear of a cart.

use futures_util::StreamExt;
use storefront::{CartOwner, CartUpdate, Change};

use crate::shop::moving::Restless;
use crate::shop::{self, Shop, guest, in_every_shop, next_of, units, user_id};

#[tokio::test]
async fn every_change_is_published_with_the_new_total() {
    in_every_shop(async |shop| {
        let (user, guest_cart): (_, CartOwner) = (shop.user(1).await, guest("abc123").into());
        let (a, b) = (shop.product("a", "1.50").await, shop.product("b", "2.00").await);
        let mut of_user = heard(&shop, &user).await;
        let mut of_guest = heard(&shop, &guest_cart).await;

        shop.cart.add(&user, &a, units(3), None).await.unwrap();
        shop.cart.remove(&user, &a, Some(units(2))).await.unwrap();
        shop.cart.view(&user).await.unwrap();
        shop.cart.remove(&user, &b, None).await.unwrap_err();
        shop.cart.add(&user, &a, units(99), None).await.unwrap_err();
        shop.cart.add(&guest_cart, &b, units(4), None).await.unwrap();
        shop.cart.merge(&guest("abc123"), user_id(&user)).await.unwrap();
        shop.cart.remove(&user, &a, None).await.unwrap();
        shop.cart.clear(&user).await.unwrap();
        shop.cart.clear(&user).await.unwrap();
        shop.cart.add(&user, &b, units(1), None).await.unwrap();

        let expected = [
            (Change::Added, Some(&a), 3, 3, 1, 3, "4.50"),
            (Change::Removed, Some(&a), 1, -2, 1, 1, "1.50"),
            (Change::Merged, None, 0, 4, 2, 5, "9.50"),
            (Change::Removed, Some(&a), 0, -1, 1, 4, "8.00"),
            (Change::Cleared, None, 0, -4, 0, 0, "0.00"),
            (Change::Added, Some(&b), 1, 1, 1, 1, "2.00"),
        ];
        let mut published = Vec::new();
        for (event, sku, quantity, change, lines, units, total) in expected {
            published.push(CartUpdate {
                event,
                owner: "1".to_owned(),
                sku: sku.cloned(),
                quantity,
                change,
                lines,
                units,
                total: total.parse().unwrap(),
            });
        }
        let mut heard = Vec::new();
        for update in &published {
            heard.push(next_of(&mut of_user, &format!("{update:?}")).await);
        }
        if Restless::asked_for() {
            // While the slot moves, two nodes publish, and what one says can overtake what the other said before.
            heard.sort_by_key(|update| format!("{update:?}"));
            published.sort_by_key(|update| format!("{update:?}"));
        }
        assert_eq!(heard, published, "{}", shop.kind);
        let added = next_of(&mut of_guest, "what was added by the guest").await;
        assert_eq!((added.event, added.owner.as_str(), added.units), (Change::Added, "abc123", 4));
        let merged = next_of(&mut of_guest, "that the cart was merged into another").await;
        assert_eq!((merged.event, merged.change, merged.lines), (Change::Merged, -4, 0));
    })
    .await;
}

/// Everything published about one cart from now on.
async fn heard(shop: &Shop, owner: &CartOwner) -> impl futures_util::Stream<Item = CartUpdate> + Unpin {
    let client = redis::Client::open(shop::any_url(shop.keys.layout())).unwrap();
    let mut pubsub = client.get_async_pubsub().await.unwrap();
    pubsub.subscribe(shop.keys.cart_updates(owner)).await.unwrap();
    Box::pin(pubsub.into_on_message().map(|message| CartUpdate::parse(message.get_payload_bytes()).unwrap()))
}
