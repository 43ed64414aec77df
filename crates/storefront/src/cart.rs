//! The cart: every change is one Lua script, so one atomic step.
//!
//! In reading order: [`representation`](Representation) (Hash or Sorted Set), [`expiry`](ItemExpiry) (how single lines
//! leave), `scripts` (how a script is put together from them), then one module for each thing a customer does: `add`,
//! `remove`, `view`, `contents` (counting and clearing), `merge` (a guest logs in), and `updates` (what others hear of it).

mod add;
mod contents;
mod error;
mod expiry;
pub mod merge;
mod remove;
mod representation;
mod scripts;
mod updates;
mod view;

use std::time::Duration;

use redis::ScriptInvocation;
use redis::aio::ConnectionLike;

pub use add::{AddError, Added};
pub use contents::{Cleared, Contents};
pub use error::CartError;
pub use expiry::ItemExpiry;
pub use merge::{Left, LeftBehind, Merged};
pub use remove::{RemoveError, Removed};
pub use representation::Representation;
pub use updates::{CartUpdate, Change};
pub use view::{CartView, Line, LineState};

use crate::script;
use crate::span::milliseconds;
use crate::store::Reply;
use crate::{CartOwner, Keys};
use scripts::{Operation, Scripts};

/// The most lines a cart can have.
pub const MOST_LINES: usize = 100;

/// How long a cart lives after it was last changed or viewed, unless [`Cart::with_ttl`] says otherwise.
pub const DEFAULT_TTL: Duration = Duration::from_mins(30);

/// The carts of a shop: of its users, and of guests who have not logged in.
///
/// - At most [`MOST_LINES`] lines of 1 to [`Quantity::MAX`](crate::Quantity::MAX) units.
/// - A cart expires as a whole 30 minutes (see [`Cart::with_ttl`]) after it was last changed or viewed; a line can expire
///   earlier on its own.
/// - An operation that fails changes nothing, and a user must exist for any of them.
/// - Every change is published on [`Keys::cart_updates`] by the script that makes it.
///
/// The round trips each method states are those of a server that knows its scripts: `EVALSHA`. The first call after a
/// restart takes two more (`NOSCRIPT`, `SCRIPT LOAD`, `EVALSHA`).
///
/// All clients of one shop must use the same representation and the same [`ItemExpiry`].
#[derive(Clone, Debug)]
pub struct Cart<C> {
    connection: C,
    keys: Keys,
    representation: Representation,
    expiry: ItemExpiry,
    ttl: Duration,
}

impl<C: ConnectionLike + Clone> Cart<C> {
    /// The carts under `keys`. Lines expire by a deadline set, which works on every server; see
    /// [`Cart::with_item_expiry`].
    pub fn new(connection: C, keys: Keys, representation: Representation) -> Self {
        Self { connection, keys, representation, expiry: ItemExpiry::DeadlineSet, ttl: DEFAULT_TTL }
    }

    /// How long a cart lives after it was last changed or viewed: a millisecond to a year; other values become the
    /// nearest of these.
    #[must_use]
    pub fn with_ttl(mut self, ttl: Duration) -> Self {
        self.ttl = ttl;
        self
    }

    /// How single lines expire; ask the server with [`ItemExpiry::of_server`]. A sorted-set cart has no fields, and so
    /// uses the deadline set in any case.
    #[must_use]
    pub fn with_item_expiry(mut self, expiry: ItemExpiry) -> Self {
        self.expiry = expiry;
        self
    }

    /// How the quantities are stored.
    #[must_use]
    pub fn representation(&self) -> Representation {
        self.representation
    }

    /// How single lines expire: what was asked for, as far as the representation can do it.
    #[must_use]
    pub fn item_expiry(&self) -> ItemExpiry {
        match self.representation {
            Representation::Hash => self.expiry,
            Representation::SortedSet => ItemExpiry::DeadlineSet,
        }
    }

    /// The names this cart writes.
    #[must_use]
    pub fn keys(&self) -> &Keys {
        &self.keys
    }

    /// A call of one operation on the cart of `owner`: the three keys every script begins with.
    fn call(&self, operation: Operation, owner: &CartOwner) -> ScriptInvocation<'static> {
        let keys = self.keys.cart(owner, self.representation);
        let mut call = Scripts::of(self.representation, self.item_expiry()).get(operation).prepare_invoke();
        call.key(keys.quantities).key(keys.prices).key(keys.deadlines);
        call
    }

    /// The user's key, if the owner is one: his script sees whether he exists.
    fn key_of_user(&self, owner: &CartOwner) -> Option<String> {
        match owner {
            CartOwner::User(id) => Some(self.keys.user(*id)),
            CartOwner::Guest(_) => None,
        }
    }

    async fn run(&self, call: &ScriptInvocation<'_>) -> Result<Reply, redis::RedisError> {
        script::run(call, &self.connection).await
    }

    fn ttl_ms(&self) -> u64 {
        milliseconds(self.ttl)
    }
}
