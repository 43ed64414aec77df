//! A buyer who stands still for so long that the recovery passes over his order before it is there.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use redis::aio::ConnectionLike;
use redis::{Cmd, Pipeline, RedisFuture, Value};
use storefront::{Agreed, Cart, Checkout, Inventory, OrderState};

use crate::sale::{Bank, LostBank, SHORT, Sale};
use crate::shop::{Wire, in_every_shop, until};

/// A connection that holds back the first command on the order until it is no longer on the list to be recovered.
#[derive(Clone)]
struct Late {
    wire: Wire,
    order: String,
    list: String,
    recovery: Checkout<Wire>,
    bank: Bank,
    held_back: Arc<AtomicBool>,
}

impl Late {
    async fn before(&self, cmd: &Cmd) {
        let order = redis::Arg::Simple(self.order.as_bytes());
        if cmd.args_iter().any(|argument| argument == order) && !self.held_back.swap(true, Ordering::Relaxed)
        {
            until("the order is passed over", async || {
                self.recovery.recover(&self.bank).await.unwrap();
                self.wire.send(&["ZCARD", &self.list]).await == Value::Int(0)
            })
            .await;
        }
    }
}

impl ConnectionLike for Late {
    fn req_packed_command<'a>(&'a mut self, cmd: &'a Cmd) -> RedisFuture<'a, Value> {
        Box::pin(async move {
            self.before(cmd).await;
            self.wire.req_packed_command(cmd).await
        })
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        pipeline: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        self.wire.req_packed_commands(pipeline, offset, count)
    }

    fn get_db(&self) -> i64 {
        0
    }
}

#[tokio::test]
async fn an_order_that_was_opened_after_the_recovery_passed_over_it_is_recovered_all_the_same() {
    in_every_shop(async |shop| {
        let sale = Sale::of(shop).await.in_a_hurry();
        let (keys, bank) = (sale.shop.keys.clone(), sale.bank.clone());
        let late = Late {
            wire: sale.shop.wire.clone(),
            order: keys.order(&sale.id),
            list: keys.unfinished_orders(),
            recovery: sale.checkout.clone(),
            bank,
            held_back: Arc::default(),
        };
        let cart = Cart::new(late.clone(), keys.clone(), sale.shop.cart.representation())
            .with_item_expiry(sale.shop.cart.item_expiry());
        let inventory = Inventory::new(late.clone(), keys);
        let checkout = Checkout::new(late.clone(), cart, inventory).with_times(SHORT, SHORT);
        checkout.open::<LostBank>(&sale.owner, &sale.id, Agreed::PricesSeen).await.unwrap();
        assert!(late.held_back.load(Ordering::Relaxed));

        // The buyer dies here.
        assert_eq!(sale.recovered().await.state, OrderState::Cancelled);
        sale.assert_undone("opened late").await;
    })
    .await;
}
