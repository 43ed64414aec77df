//! One cart on its way through the checkout, with a bank, and what must be true of both in the end.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use storefront::inventory::Level;
use storefront::{
    Agreed, CartOwner, Cents, Charge, Checkout, CheckoutError, Inventory, Order, OrderId, Payments, Sku,
};

use crate::shop::{Shop, Wire, units, until};
use crate::support::LONG;

pub const SHORT: Duration = Duration::from_millis(40);

/// Milliseconds of the Unix epoch.
const LONG_AGO: &str = "1000000";

#[derive(Debug, thiserror::Error)]
#[error("the connection to the bank was lost")]
pub struct LostBank;

/// A bank that keeps to the contract, and can lose its answer.
#[derive(Clone, Default)]
pub struct Bank {
    books: Arc<Mutex<Books>>,
    /// The charge is made, and its buyer never hears of it.
    pub loses_answers: Arc<AtomicBool>,
    pub declines: Arc<AtomicBool>,
}

#[derive(Default)]
struct Books {
    charged: HashMap<OrderId, Cents>,
    charges: u32,
    voided: HashSet<OrderId>,
    refunds: u32,
}

impl Payments for Bank {
    type Error = LostBank;

    async fn charge(&self, order: &OrderId, amount: Cents) -> Result<Charge, LostBank> {
        tokio::task::yield_now().await;
        let mut books = self.books.lock().unwrap();
        if books.voided.contains(order) || self.declines.load(Ordering::Relaxed) {
            return Ok(Charge::Declined);
        }
        if books.charged.insert(order.clone(), amount).is_none() {
            books.charges += 1;
        }
        if self.loses_answers.load(Ordering::Relaxed) { Err(LostBank) } else { Ok(Charge::Charged) }
    }

    async fn refund(&self, order: &OrderId) -> Result<(), LostBank> {
        let mut books = self.books.lock().unwrap();
        books.voided.insert(order.clone());
        if books.charged.remove(order).is_some() {
            books.refunds += 1;
        }
        Ok(())
    }

    async fn was_charged(&self, order: &OrderId) -> Result<bool, LostBank> {
        Ok(self.books.lock().unwrap().charged.contains_key(order))
    }
}

impl Bank {
    /// What the order was charged and not refunded, in cents.
    pub fn has(&self, order: &OrderId) -> Option<i64> {
        self.books.lock().unwrap().charged.get(order).map(|cents| cents.get())
    }

    pub fn charges(&self) -> u32 {
        self.books.lock().unwrap().charges
    }
}

/// A cart with two of `a` at 10.00 and one of `b` at 2.50, and five of each in stock.
pub struct Sale {
    pub shop: Shop,
    pub checkout: Checkout<Wire>,
    pub inventory: Inventory<Wire>,
    pub owner: CartOwner,
    pub a: Sku,
    pub b: Sku,
    pub bank: Bank,
    pub id: OrderId,
}

pub const TOTAL: i64 = 2250;

impl Sale {
    pub async fn of(shop: Shop) -> Self {
        let owner = shop.user(1).await;
        let (a, b) = (shop.product("a", "10").await, shop.product("b", "2.50").await);
        let inventory = Inventory::new(shop.wire.clone(), shop.keys.clone());
        for product in [&a, &b] {
            inventory.set_up(product, 5, None).await.unwrap();
        }
        shop.cart.add(&owner, &a, units(2), None).await.unwrap();
        shop.cart.add(&owner, &b, units(1), None).await.unwrap();
        // However slow the machine is, nobody's time is over before the test says so.
        let checkout =
            Checkout::new(shop.wire.clone(), shop.cart.clone(), inventory.clone()).with_times(LONG, LONG);
        let id = "ORD-1".parse().unwrap();
        Self { checkout, inventory, owner, a, b, bank: Bank::default(), id, shop }
    }

    /// Buyers have this long for each part, and lose it to the clock.
    pub fn in_a_hurry(mut self) -> Self {
        self.checkout = self.checkout.with_times(SHORT, SHORT);
        self
    }

    /// The buyer has let his time pass: the order is for the recovery now.
    pub async fn is_due(&self) {
        self.long_ago(&self.shop.keys.unfinished_orders(), self.id.as_str()).await;
    }

    /// The hold of this product has come to its end.
    pub async fn hold_is_over(&self, product: &Sku) {
        self.long_ago(&self.shop.keys.inventory(product).deadlines, &format!("r:{}", self.id)).await;
    }

    /// Sets a time that is still to come to one in 1970.
    async fn long_ago(&self, times: &str, whose: &str) {
        let changed = self.shop.send(&["ZADD", times, "XX", "CH", LONG_AGO, whose]).await;
        assert_eq!(changed, redis::Value::Int(1), "{whose} has no time in {times}");
    }

    pub async fn open(&self) -> Order {
        self.checkout.open::<LostBank>(&self.owner, &self.id, Agreed::PricesSeen).await.unwrap()
    }

    pub async fn place(&self) -> Result<Order, CheckoutError<LostBank>> {
        self.checkout.place(&self.owner, &self.id, Agreed::PricesSeen, &self.bank).await
    }

    pub async fn level(&self, product: &Sku) -> (u64, u64, u64) {
        let Level { free, held, sold } = self.inventory.level(product).await.unwrap();
        (free, held, sold)
    }

    pub async fn in_cart(&self) -> (u32, u32) {
        (self.shop.units(&self.owner, &self.a).await, self.shop.units(&self.owner, &self.b).await)
    }

    /// Waits until the recovery has finished the order and every hold has ended.
    pub async fn recovered(&self) -> Order {
        until("the recovery has finished the order", async || {
            self.checkout.recover(&self.bank).await.unwrap();
            let order = self.checkout.get(&self.id).await.unwrap();
            let finished = order.is_none_or(|order| order.state.is_finished());
            finished && self.level(&self.a).await.1 == 0 && self.level(&self.b).await.1 == 0
        })
        .await;
        self.checkout.get(&self.id).await.unwrap().unwrap()
    }

    /// Charged once, sold, and the cart without what was bought.
    pub async fn assert_bought(&self, when: &str) {
        let when = format!("{}, {when}", self.shop.kind);
        assert_eq!((self.bank.has(&self.id), self.bank.charges()), (Some(TOTAL), 1), "{when}");
        assert_eq!((self.level(&self.a).await, self.level(&self.b).await), ((3, 0, 2), (4, 0, 1)), "{when}");
        assert_eq!(self.in_cart().await, (0, 0), "{when}");
        self.assert_nothing_is_left(&when).await;
    }

    /// Nothing charged, the stock back, the cart as it was.
    pub async fn assert_undone(&self, when: &str) {
        let when = format!("{}, {when}", self.shop.kind);
        assert_eq!(self.bank.has(&self.id), None, "{when}");
        assert_eq!((self.level(&self.a).await, self.level(&self.b).await), ((5, 0, 0), (5, 0, 0)), "{when}");
        assert_eq!(self.in_cart().await, (2, 1), "{when}");
        self.assert_nothing_is_left(&when).await;
    }

    async fn assert_nothing_is_left(&self, when: &str) {
        let unfinished = self.shop.send(&["ZCARD", &self.shop.keys.unfinished_orders()]).await;
        assert_eq!(unfinished, redis::Value::Int(0), "{when}");
    }
}
