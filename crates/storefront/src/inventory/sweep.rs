//! Returning expired holds although nobody asks for the product, and forgetting what was settled long ago.

use std::time::Duration;

use futures_util::future::join_all;
use redis::aio::ConnectionLike;

use super::scripts::DUE;
use super::{Inventory, InventoryError, Operation};
use crate::script;
use crate::store::StoreError;
use crate::{Layout, Sku};

/// How many products are swept at a time.
const AT_A_TIME: usize = 32;
/// How many products [`Inventory::sweep_all`] asks for at once.
const A_ROUND: usize = 10_000;

/// What a sweep has found.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Swept {
    /// The products that were looked at.
    pub products: usize,
    /// The units that are free again.
    pub returned: u64,
    /// The settled ids that were forgotten.
    pub forgotten: u64,
}

impl<C: ConnectionLike + Clone> Inventory<C> {
    /// Returns the expired holds of one product, and forgets the ids that were settled long enough ago. On a cluster it
    /// also delivers what waits in the product's outbox.
    ///
    /// One round trip, and one more for each 250 that there is to do; three more where there is something to deliver.
    pub async fn sweep(&self, product: &Sku) -> Result<Swept, InventoryError> {
        let mut swept = Swept { products: 1, ..Swept::default() };
        loop {
            let mut reply = self.run(Operation::Sweep, product, &[]).await?;
            if reply.outcome != "SWEPT" {
                return Err(reply.into_error().into());
            }
            swept.returned += reply.next::<u64>()?;
            let forgotten: u64 = reply.next()?;
            swept.forgotten += forgotten;
            let waiting: u64 = reply.next()?;
            if forgotten == 0 {
                if waiting > 0 {
                    self.deliver(product).await?;
                }
                return Ok(swept);
            }
        }
    }

    /// Sweeps every product of which something is due: one round trip to know them, then those of [`Inventory::sweep`], 32
    /// products at a time. On a cluster no key can tell what is due in the slots of the products, so it is every product
    /// that was ever set up, one round trip each.
    ///
    /// A product that cannot be swept, for a key of somebody else's, does not keep the others from it: the first error is
    /// returned after them. Only a connection that fails ends the sweep at once.
    pub async fn sweep_all(&self) -> Result<Swept, InventoryError> {
        let (mut all, mut failed, mut looked_at) = (Swept::default(), None, 0);
        loop {
            let due = self.due_after(looked_at).await?;
            for products in due.chunks(AT_A_TIME) {
                for swept in join_all(products.iter().map(|product| self.sweep_if_there(product))).await {
                    match swept {
                        Ok(swept) => {
                            all.products += swept.products;
                            all.returned += swept.returned;
                            all.forgotten += swept.forgotten;
                        }
                        Err(error) if is_lost(&error) => return Err(error),
                        Err(error) => failed = failed.or(Some(error)),
                    }
                }
            }
            looked_at += due.len();
            // On one server what was swept is due no more: the rest waits for the next sweep. On a cluster all stay in the
            // list, so it is read to its end.
            if self.keys.layout() == Layout::Standalone || due.len() < A_ROUND {
                return failed.map_or(Ok(all), Err);
            }
        }
    }

    async fn due_after(&self, others: usize) -> Result<Vec<String>, InventoryError> {
        let mut call = DUE.key(self.keys.inventory_due());
        call.arg(A_ROUND).arg(others);
        // Somebody else's need not be a text; as such it is no product either.
        let due: Vec<Vec<u8>> = script::run(&call, &self.connection).await?;
        Ok(due.iter().map(|product| String::from_utf8_lossy(product).into_owned()).collect())
    }

    /// Stock that was removed meanwhile is none to sweep.
    async fn sweep_if_there(&self, product: &str) -> Result<Swept, InventoryError> {
        let malformed = |_| StoreError::malformed(&self.keys.inventory_due(), product);
        let product: Sku = product.parse().map_err(malformed)?;
        match self.sweep(&product).await {
            Err(InventoryError::UnknownProduct(_)) => Ok(Swept::default()),
            swept => swept,
        }
    }
}

/// Whether it is the connection that failed, which would fail for the next product too.
fn is_lost(error: &InventoryError) -> bool {
    error.redis_error().is_some_and(|error| error.is_io_error() || error.is_timeout())
}

/// Sweeps again and again. A service runs one in the background, or several: they do not get in each other's way.
///
/// ```
/// # use std::time::Duration;
/// # use storefront::{Inventory, Keys, Layout, Sweeper};
/// # tokio::runtime::Runtime::new()?.block_on(async {
/// # let server = lab_server::Server::start()?;
/// # let connection = redis::Client::open(server.url())?.get_multiplexed_async_connection().await?;
/// let inventory = Inventory::new(connection, Keys::new("", Layout::Standalone));
/// let sweeper = Sweeper::new(inventory).run(tokio::time::sleep, |swept| {
///     if let Err(error) = swept {
///         eprintln!("the next sweep will make up for it: {error}");
///     }
/// });
/// let sweeper = tokio::spawn(sweeper);
/// # sweeper.abort();
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Sweeper<C> {
    inventory: Inventory<C>,
    pause: Duration,
}

impl<C: ConnectionLike + Clone> Sweeper<C> {
    /// Half a second between two sweeps: no hold outlives its time by a second.
    pub const DEFAULT_PAUSE: Duration = Duration::from_millis(500);

    /// A sweeper of this stock.
    pub fn new(inventory: Inventory<C>) -> Self {
        Self { inventory, pause: Self::DEFAULT_PAUSE }
    }

    /// How long to pause between two sweeps, at least a millisecond.
    #[must_use]
    pub fn with_pause(mut self, pause: Duration) -> Self {
        self.pause = pause.max(Duration::from_millis(1));
        self
    }

    /// Sweeps until the future is dropped. `sleep` is the runtime's, for example `tokio::time::sleep`; `report` hears of
    /// each sweep. An error ends that sweep only.
    pub async fn run<S: Future<Output = ()>>(
        self,
        sleep: impl Fn(Duration) -> S,
        mut report: impl FnMut(Result<Swept, InventoryError>),
    ) {
        loop {
            report(self.inventory.sweep_all().await);
            sleep(self.pause).await;
        }
    }
}
