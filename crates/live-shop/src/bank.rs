//! The payment provider, played by a table in memory. Like a real one, it takes an idempotency key (the order's ID) and charges it once.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};

use patterns::checkout::Charge;
use patterns::job_queue::JobError;
use patterns::money::Cents;
use patterns::script::StoreError;

use crate::lock;

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
        lock(&self.books).charges
    }

    /// Takes the money for an order, once.
    pub fn charge(&self, order: &str, amount: Cents) -> Charge {
        let mut books = lock(&self.books);
        if books.ended.contains(order) {
            return Charge::Declined;
        }
        if books.charged.insert(order.to_owned(), amount).is_none() {
            books.charges += 1;
        }
        Charge::Charged
    }

    /// Gives the money back. The order is never charged again.
    pub fn refund(&self, order: &str) {
        let mut books = lock(&self.books);
        books.ended.insert(order.to_owned());
        books.charged.remove(order);
    }

    /// Whether the bank has the money for an order.
    pub fn was_charged(&self, order: &str) -> bool {
        lock(&self.books).charged.contains_key(order)
    }
}
