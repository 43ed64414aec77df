//! A bank for the lesson: it keeps to the contract, and counts.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};

use storefront::{Cents, Charge, OrderId, Payments};

/// Who pays, and how often.
#[derive(Clone, Default)]
pub(super) struct Bank {
    /// What each order was charged; `None` once it was refunded.
    accounts: Arc<Mutex<HashMap<OrderId, Option<Cents>>>>,
}

impl Bank {
    /// What an order was charged and not refunded, as text.
    pub(super) fn charged(&self, order: &OrderId) -> String {
        let accounts = self.accounts.lock().unwrap_or_else(PoisonError::into_inner);
        accounts.get(order).copied().flatten().map_or_else(|| "-".to_owned(), |cents| cents.to_string())
    }
}

impl Payments for Bank {
    type Error = Infallible;

    async fn charge(&self, order: &OrderId, amount: Cents) -> Result<Charge, Infallible> {
        let mut accounts = self.accounts.lock().unwrap_or_else(PoisonError::into_inner);
        let account = accounts.entry(order.clone()).or_insert(Some(amount));
        Ok(if account.is_some() { Charge::Charged } else { Charge::Declined })
    }

    async fn refund(&self, order: &OrderId) -> Result<(), Infallible> {
        self.accounts.lock().unwrap_or_else(PoisonError::into_inner).insert(order.clone(), None);
        Ok(())
    }

    async fn was_charged(&self, order: &OrderId) -> Result<bool, Infallible> {
        let accounts = self.accounts.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(accounts.get(order).is_some_and(Option::is_some))
    }
}
