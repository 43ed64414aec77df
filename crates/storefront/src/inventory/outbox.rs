//! How the other slots of a cluster hear of a change.
//!
//! The list of updates and the alerts are in another slot than a product, so no script writes both. The product's script
//! numbers its changes and leaves them in an outbox, in the same step. Delivering is three steps: read the outbox, write what
//! is new, take out what was written. Who writes compares the numbers with the last one that was delivered, so a second
//! delivery, also one that comes late, adds nothing; and whoever comes after a crash delivers what is still there.
//!
//! Whoever removes the keys of a product removes its field of [`Keys::inventory_delivered`](crate::Keys::inventory_delivered)
//! too: a new stock of it begins to number at 1 again.

use redis::aio::ConnectionLike;

use super::scripts::{DELIVER, DELIVERED, OUTBOX};
use super::{Inventory, InventoryError, UPDATES_KEPT};
use crate::script;
use crate::store::Reply;
use crate::{Layout, Sku};

/// What waits in a product's outbox. Public for services that deliver in their own way, and to be held up in tests.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Outbox {
    product: Sku,
    /// The number of the product's last change.
    changes: u64,
    /// The units free while the alert is raised, otherwise empty.
    alert: String,
    /// Oldest first.
    entries: Vec<String>,
}

impl<C: ConnectionLike + Clone> Inventory<C> {
    /// Delivers what waits in the product's outbox to [`Keys::inventory_updates`](crate::Keys::inventory_updates) and
    /// [`Keys::low_stock_alerts`](crate::Keys::low_stock_alerts). [`Inventory::sweep`] does it, and every operation that
    /// raises or clears the alert. On one server there is nothing to deliver. Three round trips, one if nothing waits.
    pub async fn deliver(&self, product: &Sku) -> Result<(), InventoryError> {
        if self.keys.layout() == Layout::Standalone {
            return Ok(());
        }
        let outbox = self.read_outbox(product).await?;
        if !outbox.entries.is_empty() {
            self.deliver_outbox(&outbox).await?;
            self.empty_outbox(&outbox).await?;
        }
        Ok(())
    }

    /// First step: what waits, at one moment. One round trip.
    pub async fn read_outbox(&self, product: &Sku) -> Result<Outbox, InventoryError> {
        let keys = self.keys.inventory(product);
        let mut call = OUTBOX.key(keys.free);
        call.key(keys.ledger).key(keys.outbox);
        let mut reply: Reply = script::run(&call, &self.connection).await?;
        match reply.outcome.as_str() {
            "OUTBOX" => Ok(Outbox {
                product: product.clone(),
                changes: reply.next()?,
                alert: reply.next()?,
                entries: reply.next()?,
            }),
            _ => Err(reply.into_error().into()),
        }
    }

    /// Second step: writes what was not written yet, and tells how many entries that were. One round trip.
    pub async fn deliver_outbox(&self, outbox: &Outbox) -> Result<usize, InventoryError> {
        let mut call = DELIVER.key(self.keys.inventory_updates());
        call.key(self.keys.low_stock_alerts()).key(self.keys.inventory_delivered());
        call.arg(outbox.product.as_str()).arg(UPDATES_KEPT).arg(outbox.changes).arg(&outbox.alert);
        call.arg(&outbox.entries);
        let mut reply: Reply = script::run(&call, &self.connection).await?;
        match reply.outcome.as_str() {
            "DELIVERED" => Ok(reply.next()?),
            _ => Err(reply.into_error().into()),
        }
    }

    /// Last step: takes out of the outbox what was delivered. One round trip.
    pub async fn empty_outbox(&self, outbox: &Outbox) -> Result<(), InventoryError> {
        let mut call = DELIVERED.key(self.keys.inventory(&outbox.product).outbox);
        call.arg(outbox.changes);
        let reply: Reply = script::run(&call, &self.connection).await?;
        match reply.outcome.as_str() {
            "DONE" => Ok(()),
            _ => Err(reply.into_error().into()),
        }
    }
}
