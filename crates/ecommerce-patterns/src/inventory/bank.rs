//! A bank for the lesson: it keeps to the contract, and counts. When an order is sold, it empties the cart.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use lab_connection::Connection;
use patterns::cart::Cart;
use patterns::checkout::{Charge, Order, Payments};
use patterns::money::Cents;
use patterns::script::StoreError;

/// Who pays, and how often.
#[derive(Clone)]
pub(super) struct Bank {
    /// What each order was charged; `None` once it was refunded.
    accounts: Arc<Mutex<HashMap<String, Option<Cents>>>>,
    cart: Cart<Connection>,
}

impl Bank {
    pub(super) fn new(cart: Cart<Connection>) -> Self {
        Self { accounts: Arc::default(), cart }
    }

    /// What an order was charged and not refunded, as text.
    pub(super) fn charged(&self, order: &str) -> String {
        let accounts = self.accounts.lock().unwrap_or_else(PoisonError::into_inner);
        accounts.get(order).copied().flatten().map_or_else(|| "-".to_owned(), |cents| cents.to_string())
    }
}

impl Payments for Bank {
    type Error = StoreError;

    async fn charge(&self, order: &str, amount: Cents) -> Result<Charge, StoreError> {
        let mut accounts = self.accounts.lock().unwrap_or_else(PoisonError::into_inner);
        let account = accounts.entry(order.to_owned()).or_insert(Some(amount));
        Ok(if account.is_some() { Charge::Charged } else { Charge::Declined })
    }

    async fn refund(&self, order: &str) -> Result<(), StoreError> {
        self.accounts.lock().unwrap_or_else(PoisonError::into_inner).insert(order.to_owned(), None);
        Ok(())
    }

    async fn was_charged(&self, order: &str) -> Result<bool, StoreError> {
        let accounts = self.accounts.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(accounts.get(order).is_some_and(Option::is_some))
    }

    async fn sold(&self, order: &Order) -> Result<(), StoreError> {
        let lines: Vec<(&str, u32)> =
            order.lines.iter().map(|line| (line.sku.as_str(), line.quantity)).collect();
        self.cart.take(order.owner.as_str(), &order.id, &lines).await.map(drop)
    }
}
