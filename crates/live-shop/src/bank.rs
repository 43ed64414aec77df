//! The payment provider, and what happens when an order is sold.
//!
//! The provider is played by a table in memory. Like a real one, it takes an idempotency key (the order's ID) and charges it once.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use patterns::checkout::{Charge, Order, Payments};
use patterns::job_queue::{JobError, NewJob};
use patterns::money::Cents;
use patterns::script::StoreError;

use crate::emails;
use crate::events::{Change, Kind};
use crate::numbers;
use crate::session::owner_of;
use crate::state::App;

/// Why a payment has no known outcome.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BankError {
    /// What belongs to a sale could not be written. It is tried again.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The email could not be queued. It is tried again.
    #[error(transparent)]
    Job(#[from] JobError),
}

/// What was charged. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Bank {
    books: Arc<Mutex<Books>>,
}

#[derive(Debug, Default)]
struct Books {
    charged: HashMap<String, Cents>,
    ended: HashSet<String>,
    charges: u64,
}

impl Bank {
    /// How often money was taken.
    pub fn charges(&self) -> u64 {
        self.books().charges
    }

    fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The provider, with the shop to tell what was sold.
pub struct Till<'a>(pub &'a App);

impl Payments for Till<'_> {
    type Error = BankError;

    async fn charge(&self, order: &str, amount: Cents) -> Result<Charge, BankError> {
        let mut books = self.0.bank.books();
        if books.ended.contains(order) {
            return Ok(Charge::Declined);
        }
        if books.charged.insert(order.to_owned(), amount).is_none() {
            books.charges += 1;
        }
        Ok(Charge::Charged)
    }

    async fn refund(&self, order: &str) -> Result<(), BankError> {
        let mut books = self.0.bank.books();
        books.ended.insert(order.to_owned());
        books.charged.remove(order);
        Ok(())
    }

    async fn was_charged(&self, order: &str) -> Result<bool, BankError> {
        Ok(self.0.bank.books().charged.contains_key(order))
    }

    /// Called again after a crash, so each step counts once for an order's ID.
    async fn sold(&self, order: &Order) -> Result<(), BankError> {
        let shop = self.0;
        let lines: Vec<_> = order.lines.iter().map(|line| (line.sku.as_str(), line.quantity)).collect();
        if let Some(owner) = owner_of(&order.owner) {
            shop.cart.take(owner, &order.id, &lines).await?;
        }
        shop.emails.enqueue(&NewJob::new(&order.id, emails::Email::of(order).to_json())).await?;
        let skus: Vec<_> = lines.iter().map(|(sku, _)| *sku).collect();
        shop.bought_together.count(&order.id, &skus).await?;
        numbers::order(shop, order).await;
        shop.tell(Change::to(Kind::Cart, &order.owner)).await;
        shop.tell(Change::all(Kind::Order)).await;
        for (sku, _) in lines {
            if let Ok(level) = shop.inventory.level(sku).await {
                shop.tell(Change::stock(sku, level.free)).await;
            }
        }
        Ok(())
    }
}
