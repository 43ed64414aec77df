//! Stock that is held, sold and returned; no unit is sold twice, and none is lost.
//!
//! The naive way asks first: GET the count, compare, DECR. Two buyers who both ask before either takes get the same last
//! unit. DECR first and look afterwards oversells nothing, but a buyer who dies before paying keeps his unit for ever, and one
//! whose connection breaks before the answer cannot know whether to try again.
//!
//! Here a buyer *reserves*: units leave `inventory:PROD123` and are held for a time under an id that he has chosen. He then
//! *confirms* (they are sold) or *releases* (they are free again); a hold that nobody settles in time returns by itself. Each
//! of these is one script, so one atomic step, and each may be repeated with the same id: the second time it changes nothing
//! and answers the same. Time is the server's.
//!
//! - Free + held + sold units are always those that were ever put in.
//! - An expired hold counts nowhere: the next script on the product returns it, whoever sends it. For those who read the
//!   plain String, a [`Sweeper`] does it within half a second.
//! - An id is remembered for a day after it was settled (see [`Inventory::with_memory`]); no retry comes later.
//!
//! In reading order: [`Inventory::set_up`] and [`Inventory::restock`] (`supply`), [`Inventory::reserve`] (`reserve`),
//! [`Inventory::confirm`], [`Inventory::release`] and [`Inventory::extend`] (`settle`), [`Inventory::sweep`] (`sweep`), and
//! how a cluster tells of it (`outbox`).

mod outbox;
mod reserve;
mod scripts;
mod settle;
mod supply;
mod sweep;
mod update;

use std::time::Duration;

use redis::aio::ConnectionLike;
use redis::{ScriptInvocation, ToRedisArgs};

pub use outbox::Outbox;
pub use reserve::{Held, ReserveError};
pub use settle::{Extended, Released, SettleError, Sold};
pub use supply::{Level, RestockError, SetUp};
pub use sweep::{Sweeper, Swept};
pub use update::{Alert, StockUpdate};

use crate::script;
use crate::span::milliseconds;
use crate::store::{Reply, StoreError, holds_store_error};
use crate::{Keys, Layout, Sku};
use scripts::{Operation, Scripts};

/// How many changes [`Keys::inventory_updates`] keeps; it is trimmed in bulk, so it may have a tenth more for a moment.
pub const UPDATES_KEPT: usize = 1_000;

/// How long a settled id is remembered, unless [`Inventory::with_memory`] says otherwise.
pub const DEFAULT_MEMORY: Duration = Duration::from_hours(24);

/// The stock of a shop.
///
/// The round trips each method states are those of a server that knows its scripts: `EVALSHA`. The first call after a
/// restart takes two more (`NOSCRIPT`, `SCRIPT LOAD`, `EVALSHA`). Each step takes `O(log n)` for `n` holds of the product,
/// and what it returns of expired holds: 250 at most in one step; where more are due it takes one more for each 250.
///
/// ```
/// use std::time::Duration;
/// use storefront::{Inventory, Keys, Layout, Quantity, ReservationId, ReserveError, Sku};
///
/// # tokio::runtime::Runtime::new()?.block_on(async {
/// # let server = lab_server::Server::start()?;
/// let connection = redis::Client::open(server.url())?.get_multiplexed_async_connection().await?;
/// let inventory = Inventory::new(connection, Keys::new("", Layout::Standalone));
/// let product: Sku = "PROD123".parse()?;
/// inventory.set_up(&product, 3, None).await?;
///
/// let ann: ReservationId = "ann-1".parse()?;
/// let ten_minutes = Duration::from_mins(10);
/// assert_eq!(inventory.reserve(&product, &ann, "2".parse()?, ten_minutes).await?.free, 1);
/// let again = inventory.reserve(&product, &ann, "2".parse()?, ten_minutes).await?;
/// assert!(again.again && again.free == 1);
///
/// let refused = inventory.reserve(&product, &"bob-1".parse()?, "2".parse()?, ten_minutes).await;
/// assert!(matches!(refused, Err(ReserveError::OutOfStock { available: 1 })));
///
/// inventory.confirm(&product, &ann).await?;
/// let level = inventory.level(&product).await?;
/// assert_eq!((level.free, level.held, level.sold), (1, 0, 2));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Inventory<C> {
    connection: C,
    keys: Keys,
    memory: Duration,
}

/// What can go wrong with any operation on stock. Nothing was changed, unless the connection failed: then the outcome is
/// unknown, and asking again with the same id settles it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InventoryError {
    /// Nobody has set up stock of this product.
    #[error("there is no stock kept of {0}")]
    UnknownProduct(Sku),
    /// Redis, or the data in it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl<C: ConnectionLike + Clone> Inventory<C> {
    /// The stock under `keys`.
    pub fn new(connection: C, keys: Keys) -> Self {
        Self { connection, keys, memory: DEFAULT_MEMORY }
    }

    /// How long a settled id is remembered: a millisecond to a year; other values become the nearest of these. It must be
    /// longer than any retry and any recovery after a crash: an id that was forgotten can be used again.
    #[must_use]
    pub fn with_memory(mut self, memory: Duration) -> Self {
        self.memory = memory;
        self
    }

    /// The names this stock is kept under.
    #[must_use]
    pub fn keys(&self) -> &Keys {
        &self.keys
    }

    /// Runs one operation, until there are no more expired holds in its way.
    async fn run(
        &self,
        operation: Operation,
        product: &Sku,
        arguments: &[&(dyn Argument + Sync)],
    ) -> Result<Reply, InventoryError> {
        let mut call = self.call(operation, product);
        for argument in arguments {
            argument.add_to(&mut call);
        }
        loop {
            let mut reply: Reply = script::run(&call, &self.connection).await?;
            match reply.outcome.as_str() {
                "MORE" => {}
                "UNKNOWN_PRODUCT" => return Err(InventoryError::UnknownProduct(product.clone())),
                "WRONG_TYPE" | "MALFORMED" => return Err(reply.into_error().into()),
                _ => {
                    let crossed: bool = reply.next()?;
                    if crossed && self.keys.layout() == Layout::Cluster {
                        // What was asked for is done. Should this fail, the outbox keeps the news for the sweeper.
                        let _later = self.deliver(product).await;
                    }
                    return Ok(reply);
                }
            }
        }
    }

    /// A call of one operation on one product: the keys and arguments every script begins with.
    fn call(&self, operation: Operation, product: &Sku) -> ScriptInvocation<'static> {
        let keys = self.keys.inventory(product);
        let mut call = Scripts::of(self.keys.layout()).get(operation).prepare_invoke();
        call.key(keys.free).key(keys.ledger).key(keys.deadlines).key(keys.settled);
        match self.keys.layout() {
            Layout::Standalone => {
                call.key(self.keys.inventory_updates());
                call.key(self.keys.low_stock_alerts()).key(self.keys.inventory_due());
            }
            Layout::Cluster => {
                call.key(keys.outbox);
            }
        }
        call.arg(product.as_str()).arg(milliseconds(self.memory)).arg(UPDATES_KEPT);
        call
    }
}

/// Arguments of different types in one slice.
trait Argument {
    fn add_to(&self, call: &mut ScriptInvocation<'static>);
}

impl<T: ToRedisArgs> Argument for T {
    fn add_to(&self, call: &mut ScriptInvocation<'static>) {
        call.arg(self);
    }
}

holds_store_error!(InventoryError);
