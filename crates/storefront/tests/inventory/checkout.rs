//! Checkout: charged and sold, or neither, wherever the buyer dies.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use proptest::prelude::*;
use storefront::checkout::{PriceChange, Reason};
use storefront::{Agreed, Cents, Checkout, CheckoutError, Inventory, OrderState, Quantity};
use tokio::task::JoinSet;

use crate::sale::{Bank, LostBank, Sale, TOTAL};
use crate::shop::{self, cases, in_every_shop, units};

const LONG: Duration = Duration::from_mins(10);

#[tokio::test]
async fn an_order_is_charged_once_sold_and_out_of_the_cart_however_often_it_is_placed() {
    in_every_shop(async |shop| {
        let sale = Sale::of(shop).await;
        for _ in 0..3 {
            let order = sale.place().await.unwrap();
            assert_eq!((order.state, order.total.get()), (OrderState::Done, TOTAL));
            sale.assert_bought("placed").await;
        }
        assert_eq!(sale.checkout.resume(&sale.id, &sale.bank).await.unwrap().state, OrderState::Done);
        sale.assert_bought("resumed").await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_clients_with_one_order_id_make_one_order_charged_once() {
    in_every_shop(async |shop| {
        let sale = Arc::new(Sale::of(shop).await);
        let mut clients = JoinSet::new();
        for _ in 0..8 {
            let sale = Arc::clone(&sale);
            clients.spawn(async move {
                let placed = sale.checkout.place(&sale.owner, &sale.id, Agreed::PricesSeen, &sale.bank).await;
                placed.map(|order| order.state)
            });
        }
        for placed in clients.join_all().await {
            match placed {
                Ok(state) => assert_eq!(state, OrderState::Done),
                // He came when the cart was emptied already, and had not seen the order.
                Err(CheckoutError::EmptyCart) => {}
                Err(error) => panic!("{error}"),
            }
        }
        sale.assert_bought("by eight at once").await;
    })
    .await;
}

#[tokio::test]
async fn who_asks_for_money_after_another_client_has_finished_leaves_nothing_to_recover() {
    in_every_shop(async |shop| {
        let sale = Sale::of(shop).await;
        let open = sale.open().await;
        sale.place().await.unwrap();
        let order = sale.checkout.begin_payment::<LostBank>(&open).await.unwrap();
        assert_eq!(order.state, OrderState::Done);
        sale.assert_bought("by a faster client").await;
    })
    .await;
}

#[tokio::test]
async fn a_line_that_is_out_of_stock_cancels_the_order_and_says_how_many_there_are() {
    in_every_shop(async |shop| {
        let sale = Sale::of(shop).await;
        sale.inventory.reserve(&sale.a, &"other".parse().unwrap(), units(4), LONG).await.unwrap();
        for _ in 0..2 {
            let refused = sale.place().await;
            let Err(CheckoutError::Cancelled(Reason::OutOfStock { sku, available })) = refused else {
                panic!("{refused:?}")
            };
            assert_eq!((sku, available), (sale.a.clone(), 1));
            assert_eq!(sale.level(&sale.b).await, (5, 0, 0), "the other line is free again");
            assert_eq!((sale.bank.charges(), sale.in_cart().await), (0, (2, 1)));
        }
        // Another order, when there is enough again.
        sale.inventory.release(&sale.a, &"other".parse().unwrap()).await.unwrap();
        let again = "ORD-2".parse().unwrap();
        sale.checkout.place(&sale.owner, &again, Agreed::PricesSeen, &sale.bank).await.unwrap();
        assert_eq!((sale.bank.has(&again), sale.in_cart().await), (Some(TOTAL), (0, 0)));
    })
    .await;
}

#[tokio::test]
async fn a_declined_payment_undoes_the_order() {
    in_every_shop(async |shop| {
        let sale = Sale::of(shop).await;
        sale.bank.declines.store(true, Ordering::Relaxed);
        let refused = sale.place().await;
        assert!(matches!(refused, Err(CheckoutError::Cancelled(Reason::Declined))), "{refused:?}");
        sale.assert_undone("declined").await;
    })
    .await;
}

#[tokio::test]
async fn prices_that_changed_are_refused_until_the_customer_agrees_to_the_new_total() {
    in_every_shop(async |shop| {
        let sale = Sale::of(shop).await;
        sale.shop.product("a", "11").await;
        let Err(CheckoutError::PricesChanged { changes, total }) = sale.place().await else {
            panic!("not refused")
        };
        let price = |cents| Cents::new(cents).unwrap();
        assert_eq!(changes, [PriceChange { sku: sale.a.clone(), was: price(1000), now: price(1100) }]);
        assert_eq!(total, price(2450));
        assert_eq!(sale.checkout.get(&sale.id).await.unwrap(), None, "no order was opened");
        // It has changed again since he was asked.
        sale.shop.product("b", "3").await;
        let agreed = Agreed::Total(total);
        let refused = sale.checkout.place(&sale.owner, &sale.id, agreed, &sale.bank).await;
        let Err(CheckoutError::PricesChanged { changes, total }) = refused else { panic!("{refused:?}") };
        assert_eq!((changes.len(), total), (2, price(2500)));
        let agreed = Agreed::Total(total);
        sale.checkout.place(&sale.owner, &sale.id, agreed, &sale.bank).await.unwrap();
        assert_eq!(sale.bank.has(&sale.id), Some(2500));
    })
    .await;
}

#[tokio::test]
async fn prices_that_change_after_the_order_was_opened_do_not_change_it() {
    in_every_shop(async |shop| {
        let sale = Sale::of(shop).await;
        sale.open().await;
        sale.shop.product("a", "1000").await;
        sale.place().await.unwrap();
        assert_eq!(sale.bank.has(&sale.id), Some(TOTAL));
    })
    .await;
}

#[tokio::test]
async fn what_is_added_during_the_checkout_stays_in_the_cart() {
    in_every_shop(async |shop| {
        let sale = Sale::of(shop).await;
        let c = sale.shop.product("c", "1").await;
        sale.open().await;
        sale.shop.cart.add(&sale.owner, &sale.a, units(3), None).await.unwrap();
        sale.shop.cart.add(&sale.owner, &c, units(1), None).await.unwrap();
        let order = sale.place().await.unwrap();
        for _ in 0..2 {
            sale.checkout.take_out(&order).await.unwrap();
            assert_eq!(sale.in_cart().await, (3, 0));
            assert_eq!(sale.shop.units(&sale.owner, &c).await, 1);
        }
    })
    .await;
}

#[tokio::test]
async fn carts_that_cannot_be_bought_open_no_order() {
    in_every_shop(async |shop| {
        let sale = Sale::of(shop).await;
        let other = sale.shop.user(2).await;
        let empty = sale.checkout.place(&other, &sale.id, Agreed::PricesSeen, &sale.bank).await;
        assert!(matches!(empty, Err(CheckoutError::EmptyCart)), "{empty:?}");
        sale.shop.catalogue.remove(&sale.b).await.unwrap();
        let Err(CheckoutError::NoLongerSold(gone)) = sale.place().await else { panic!("not refused") };
        assert_eq!(gone, std::slice::from_ref(&sale.b));
        sale.shop.product("b", "2.50").await;
        sale.place().await.unwrap();
        let theirs = sale.checkout.place(&other, &sale.id, Agreed::PricesSeen, &sale.bank).await;
        assert!(matches!(theirs, Err(CheckoutError::NotYours(_))), "{theirs:?}");
        let unknown = sale.checkout.resume(&"ORD-9".parse().unwrap(), &sale.bank).await;
        assert!(matches!(unknown, Err(CheckoutError::UnknownOrder(_))), "{unknown:?}");
        // A product of which nobody keeps stock.
        let c = sale.shop.product("c", "1").await;
        sale.shop.cart.add(&sale.owner, &c, units(1), None).await.unwrap();
        let refused =
            sale.checkout.place(&sale.owner, &"ORD-3".parse().unwrap(), Agreed::PricesSeen, &sale.bank).await;
        assert!(matches!(refused, Err(CheckoutError::Cancelled(Reason::NotInStock { .. }))), "{refused:?}");
    })
    .await;
}

#[tokio::test]
async fn an_order_takes_the_round_trips_it_states() {
    in_every_shop(async |shop| {
        let sale = Sale::of(shop).await;
        // The server learns the scripts.
        sale.place().await.unwrap();
        let (a, b) = (&sale.a, &sale.b);
        sale.shop.cart.add(&sale.owner, a, units(1), None).await.unwrap();
        sale.shop.cart.add(&sale.owner, b, units(1), None).await.unwrap();
        let id = "ORD-2".parse().unwrap();
        let place = sale.checkout.place(&sale.owner, &id, Agreed::PricesSeen, &sale.bank);
        let trips = sale.shop.round_trips(place).await;
        // On a cluster the two products' prices are two.
        let cluster = sale.shop.keys.layout() == storefront::Layout::Cluster;
        assert_eq!(trips, if cluster { 19 } else { 18 });
    })
    .await;
}

#[test]
fn the_total_is_that_of_an_oracle_with_more_bits() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let shop = runtime.block_on(async {
        let shop = std::sync::Mutex::new(None);
        shop::in_every_shop_of(storefront::Layout::Standalone, async |one| {
            shop.lock().unwrap().get_or_insert(one);
        })
        .await;
        shop.into_inner().unwrap().unwrap()
    });
    let lines = prop::collection::vec((0..=Cents::MAX_PRICE.get(), 1..=99_u32), 1..20);
    proptest!(cases(24), |(lines in lines)| {
        runtime.block_on(async {
            let shop = shop.clone_behind_another_prefix();
            let owner = shop.user(1).await;
            let inventory = Inventory::new(shop.wire.clone(), shop.keys.clone());
            let mut oracle = 0_i128;
            for (n, (cents, quantity)) in lines.iter().enumerate() {
                let product = shop.product(&format!("p{n}"), &Cents::new(*cents).unwrap().to_string()).await;
                inventory.set_up(&product, 99, None).await.unwrap();
                let quantity = Quantity::new(*quantity).unwrap();
                shop.cart.add(&owner, &product, quantity, None).await.unwrap();
                oracle += i128::from(*cents) * i128::from(quantity.get());
            }
            let checkout = Checkout::new(shop.wire.clone(), shop.cart.clone(), inventory);
            let (bank, id) = (Bank::default(), "ORD-1".parse().unwrap());
            checkout.place(&owner, &id, Agreed::PricesSeen, &bank).await.unwrap();
            assert_eq!(bank.has(&id).map(i128::from), Some(oracle));
        });
    });
}
