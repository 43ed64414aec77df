//! Orders that a buyer has left unfinished: whoever comes next carries them on, or undoes them.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use storefront::checkout::Reason;
use storefront::{CheckoutError, OrderId, OrderState, ReservationId, StoreError};

use crate::sale::{LostBank, SHORT, Sale, TOTAL};
use crate::shop::{in_every_shop, units, until};
use crate::support::LONG;

#[tokio::test]
async fn a_buyer_who_dies_after_any_step_leaves_money_stock_and_cart_consistent() {
    // Each runs the steps up to its own, and is never seen again. True if the order must be done then.
    const DEATHS: [(&str, bool); 9] = [
        ("opening", false),
        ("holding one line", false),
        ("holding all lines", false),
        ("beginning the payment", false),
        ("charging, without the answer", true),
        ("the payment", true),
        ("selling one line", true),
        ("selling all lines", true),
        ("taking the lines out of the cart", true),
    ];
    in_every_shop(async |shop| {
        let deaths = DEATHS.iter().enumerate().map(async |(steps, (death, bought))| {
            let sale = Sale::of(shop.clone_behind_another_prefix()).await;
            die_after(&sale, steps).await;
            sale.is_due().await;
            let order = sale.recovered().await;
            if *bought {
                assert_eq!(order.state, OrderState::Done, "{death}");
                sale.assert_bought(death).await;
            } else {
                assert_eq!(order.reason, Some(Reason::Abandoned), "{death}");
                sale.assert_undone(death).await;
            }
            // A second recovery, and the buyer who comes back after all, change nothing.
            sale.checkout.recover(&sale.bank).await.unwrap();
            assert_eq!(sale.checkout.resume(&sale.id, &sale.bank).await.is_ok(), *bought);
            if *bought { sale.assert_bought(death).await } else { sale.assert_undone(death).await }
        });
        futures_util::future::join_all(deaths).await;
    })
    .await;
}

/// Takes so many steps. Holds that nobody has paid for end with the time for them; those of a payment outlive its time.
async fn die_after(sale: &Sale, steps: usize) {
    let checkout = &sale.checkout;
    let hold: ReservationId = sale.id.as_str().parse().unwrap();
    let order = sale.open().await;
    match steps {
        0 => return,
        1 => {
            sale.inventory.reserve(&sale.a, &hold, units(2), LONG).await.unwrap();
            sale.hold_is_over(&sale.a).await;
            return;
        }
        _ => {}
    }
    let order = checkout.reserve::<LostBank>(&order).await.unwrap();
    if steps == 2 {
        sale.hold_is_over(&sale.a).await;
        sale.hold_is_over(&sale.b).await;
        return;
    }
    let order = checkout.begin_payment::<LostBank>(&order).await.unwrap();
    assert_eq!(order.state, OrderState::Paying);
    if steps == 3 {
        return;
    }
    if steps == 4 {
        sale.bank.loses_answers.store(true, Ordering::Relaxed);
        let lost = checkout.pay(&order, &sale.bank).await;
        assert!(matches!(lost, Err(CheckoutError::Payment(LostBank))));
        sale.bank.loses_answers.store(false, Ordering::Relaxed);
        return;
    }
    let order = checkout.pay(&order, &sale.bank).await.unwrap();
    assert_eq!(order.state, OrderState::Paid);
    if steps == 5 {
        return;
    }
    if steps == 6 {
        sale.inventory.confirm(&sale.a, &hold).await.unwrap();
        return;
    }
    let order = checkout.sell::<LostBank>(&order).await.unwrap();
    assert_eq!(order.state, OrderState::Sold);
    if steps == 8 {
        checkout.take_out(&order).await.unwrap();
    }
}

#[tokio::test]
async fn what_was_paid_and_can_no_longer_be_sold_is_refunded_and_what_was_sold_comes_back() {
    in_every_shop(async |shop| {
        let sale = Sale::of(shop).await;
        let hold: ReservationId = sale.id.as_str().parse().unwrap();
        let order = sale.checkout.reserve::<LostBank>(&sale.open().await).await.unwrap();
        let order = sale.checkout.begin_payment::<LostBank>(&order).await.unwrap();
        let order = sale.checkout.pay(&order, &sale.bank).await.unwrap();
        // One line is sold; then the buyer is gone for so long that the other hold has ended.
        sale.inventory.confirm(&sale.a, &hold).await.unwrap();
        sale.inventory.release(&sale.b, &hold).await.unwrap();
        assert_eq!(sale.bank.has(&sale.id), Some(TOTAL));
        let cancelled = sale.checkout.resume(&order.id, &sale.bank).await;
        let Err(CheckoutError::Cancelled(Reason::LostHold { sku })) = cancelled else {
            panic!("{cancelled:?}")
        };
        assert_eq!(sku, sale.b);
        sale.assert_undone("one hold was lost").await;
    })
    .await;
}

#[tokio::test]
async fn a_buyer_who_was_given_up_while_he_paid_is_not_charged() {
    in_every_shop(async |shop| {
        let sale = Sale::of(shop).await;
        let order = sale.checkout.reserve::<LostBank>(&sale.open().await).await.unwrap();
        let paying = sale.checkout.begin_payment::<LostBank>(&order).await.unwrap();
        assert_eq!(paying.state, OrderState::Paying);
        sale.is_due().await;
        sale.recovered().await;
        // Now his charge arrives.
        let order = sale.checkout.pay(&paying, &sale.bank).await.unwrap();
        assert_eq!(order.state, OrderState::Cancelled);
        sale.assert_undone("given up while paying").await;
    })
    .await;
}

#[tokio::test]
async fn orders_that_keep_failing_do_not_hold_up_the_others() {
    in_every_shop(async |shop| {
        let sale = Sale::of(shop).await;
        sale.open().await;
        sale.is_due().await;
        // Somebody keeps something else under the names of as many orders as a recovery looks at, all due before ours.
        let (keys, wire) = (&sale.shop.keys, &sale.shop.wire);
        let broken = (0..1_000).map(async |number| {
            let id: OrderId = format!("BROKEN-{number}").parse().unwrap();
            wire.send(&["SET", &keys.order(&id), "somebody's"]).await;
            wire.send(&["ZADD", &keys.unfinished_orders(), &number.to_string(), id.as_str()]).await;
        });
        futures_util::future::join_all(broken).await;
        assert_eq!(sale.checkout.recover(&sale.bank).await.unwrap().failed.len(), 1_000);
        assert_eq!(sale.recovered().await.reason, Some(Reason::Abandoned));
    })
    .await;
}

#[tokio::test]
async fn what_is_no_order_does_not_hold_up_the_orders_behind_it() {
    in_every_shop(async |shop| {
        let sale = Sale::of(shop).await;
        sale.open().await;
        sale.is_due().await;
        let wire = &sale.shop.wire;
        for foreign in [b"no order".as_slice(), b"\xff"] {
            let mut add = redis::cmd("ZADD");
            add.arg(sale.shop.keys.unfinished_orders()).arg(0).arg(foreign);
            add.exec_async(&mut wire.clone()).await.unwrap();
        }
        let error = sale.checkout.recover(&sale.bank).await.unwrap_err();
        assert!(matches!(error, StoreError::Malformed { .. }), "{error:?}");
        let order = sale.checkout.get(&sale.id).await.unwrap().unwrap();
        assert_eq!(order.reason, Some(Reason::Abandoned));
        assert_eq!(order.state, OrderState::Cancelled);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn buyer_and_recovery_never_decide_differently() {
    in_every_shop(async |shop| {
        for round in 0..6 {
            let sale = Arc::new(Sale::of(shop.clone_behind_another_prefix()).await.in_a_hurry());
            let buyer = tokio::spawn({
                let sale = Arc::clone(&sale);
                async move {
                    let order = sale.open().await;
                    tokio::time::sleep(SHORT / 3 * round).await;
                    sale.checkout.resume(&order.id, &sale.bank).await.map(|order| order.state)
                }
            });
            let recovery = tokio::spawn({
                let sale = Arc::clone(&sale);
                async move {
                    until("it is finished", async || {
                        sale.checkout.recover(&sale.bank).await.unwrap();
                        let order = sale.checkout.get(&sale.id).await.unwrap();
                        order.is_some_and(|order| order.state.is_finished())
                    })
                    .await;
                }
            });
            let bought = buyer.await.unwrap().is_ok();
            recovery.await.unwrap();
            sale.recovered().await;
            if bought { sale.assert_bought("raced").await } else { sale.assert_undone("raced").await }
        }
    })
    .await;
}
