//! Many clients at once. Each of these fails on a single unit lost or doubled.

use std::time::Duration;

use storefront::{AddError, CartOwner, RemoveError, Sku};
use tokio::task::JoinSet;

use crate::shop::{Shop, guest, in_every_shop, sku, units, until, user_id};

const CLIENTS: u32 = 64;

#[tokio::test(flavor = "multi_thread")]
async fn one_cart_under_64_clients_equals_the_ledger_of_what_was_acknowledged() {
    in_every_shop(async |shop| {
        let user = shop.user(1).await;
        let products =
            [shop.product("a", "1").await, shop.product("b", "2").await, shop.product("c", "3").await];
        let mut clients = JoinSet::new();
        for client in 0..CLIENTS {
            clients.spawn(client_at_work(shop.clone(), user.clone(), products.clone(), client));
        }
        let mut ledger = [0_i64; 3];
        for changes in clients.join_all().await {
            for (sum, change) in ledger.iter_mut().zip(changes) {
                *sum += change;
            }
        }
        for (product, sum) in products.iter().zip(ledger) {
            assert_eq!(i64::from(shop.units(&user, product).await), sum, "{} {product}", shop.kind);
        }
    })
    .await;
}

/// Adds and removes, and says what was acknowledged of each product. The amounts differ by client and round, so that one
/// client's loss is not another's gain.
async fn client_at_work(shop: Shop, user: CartOwner, products: [Sku; 3], client: u32) -> [i64; 3] {
    let mut ledger = [0; 3];
    for round in 0..6 {
        let which = (client + round) as usize % 3;
        let some = 1 + (client * 7 + round * 3) % 5;
        match shop.cart.add(&user, &products[which], units(some), None).await {
            Ok(_) => ledger[which] += i64::from(some),
            Err(AddError::LineLimit { .. }) => {}
            Err(error) => panic!("{error}"),
        }
        let fewer = 1 + (client * 5 + round) % 4;
        match shop.cart.remove(&user, &products[which], Some(units(fewer))).await {
            Ok(removed) => ledger[which] -= i64::from(removed.removed),
            Err(RemoveError::NotInCart(_) | RemoveError::OnlyInCart { .. }) => {}
            Err(error) => panic!("{error}"),
        }
    }
    ledger
}

#[tokio::test(flavor = "multi_thread")]
async fn merges_racing_adds_and_removals_keep_every_unit() {
    in_every_shop(async |shop| {
        let (user, product) = (shop.user(1).await, shop.product("a", "1").await);
        let guest_cart: CartOwner = guest("abc123").into();
        let mut changes = JoinSet::new();
        for client in 0..24 {
            let (shop, user, guest_cart, product) =
                (shop.clone(), user.clone(), guest_cart.clone(), product.clone());
            changes.spawn(async move {
                let mut sum = 0_i64;
                for round in 0..6 {
                    match client % 4 {
                        0 => {
                            shop.cart.merge(&guest("abc123"), user_id(&user)).await.unwrap();
                        }
                        1 => match shop.cart.remove(&user, &product, Some(units(2))).await {
                            Ok(_) => sum -= 2,
                            Err(RemoveError::NotInCart(_) | RemoveError::OnlyInCart { .. }) => {}
                            Err(error) => panic!("{error}"),
                        },
                        _ => match shop.cart.add(&guest_cart, &product, units(1 + round % 3), None).await {
                            Ok(_) => sum += i64::from(1 + round % 3),
                            Err(AddError::LineLimit { .. }) => {}
                            Err(error) => panic!("{error}"),
                        },
                    }
                }
                sum
            });
        }
        let ledger: i64 = changes.join_all().await.into_iter().sum();
        // A merge that another carried on may have left its last lines to the next one.
        shop.cart.merge(&guest("abc123"), user_id(&user)).await.unwrap();
        let both = shop.units(&user, &product).await + shop.units(&guest_cart, &product).await;
        assert_eq!(i64::from(both), ledger, "{}", shop.kind);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn adds_racing_an_expiry_count_either_before_or_after_it() {
    in_every_shop(async |shop| {
        let (user, product) = (shop.user(1).await, shop.product("a", "1").await);
        shop.cart.add(&user, &product, units(1), Some(Duration::from_millis(100))).await.unwrap();
        let mut clients = JoinSet::new();
        for _ in 0..16 {
            let (shop, user) = (shop.clone(), user.clone());
            clients.spawn(async move {
                // A customer waits for the deadline while adding: at most two units, so that the line never fills up.
                let mut quantities =
                    vec![shop.cart.add(&user, &sku("a"), units(1), None).await.unwrap().quantity];
                until("the first line has expired", async || {
                    let view = shop.cart.view(&user).await.unwrap();
                    view.lines.first().is_none_or(|line| line.expires_in.is_none())
                })
                .await;
                quantities.push(shop.cart.add(&user, &sku("a"), units(1), None).await.unwrap().quantity);
                quantities
            });
        }
        let quantities: Vec<u32> = clients.join_all().await.into_iter().flatten().collect();
        let live = shop.units(&user, &product).await;

        // Each add was acknowledged with the units then in the line. The second line counts up from 1 to what is there
        // now, the first from 2 (after the first unit) to where it expired: every quantity of either exactly once.
        let mut expected: Vec<u32> = (1..=live).collect();
        let before = u32::try_from(quantities.len()).unwrap() - live;
        expected.extend(2..2 + before);
        let mut acknowledged = quantities;
        acknowledged.sort_unstable();
        expected.sort_unstable();
        assert_eq!(acknowledged, expected, "{}", shop.kind);
        assert!(live >= 16, "each client added once after the expiry");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn users_created_at_once_all_get_a_number_of_their_own() {
    in_every_shop(async |shop| {
        // Taken beforehand, so it is passed over.
        shop.user(5).await;
        let mut clients = JoinSet::new();
        for _ in 0..CLIENTS {
            let users = shop.users.clone();
            clients.spawn(async move {
                let new =
                    storefront::NewUser { first_name: "A".parse().unwrap(), last_name: "B".parse().unwrap() };
                users.create(new).await.unwrap().id.get()
            });
        }
        let mut ids = clients.join_all().await;
        ids.push(5);
        ids.sort_unstable();
        assert_eq!(ids, (1..=u64::from(CLIENTS) + 1).collect::<Vec<_>>(), "{}", shop.kind);
        let listed: Vec<u64> = shop.users.list().await.unwrap().iter().map(|user| user.id.get()).collect();
        assert_eq!(listed, ids);
    })
    .await;
}
