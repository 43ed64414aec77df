//! Taking units out of those free to sell, for a time.

use std::time::Duration;

use redis::RedisError;
use redis::aio::ConnectionLike;

use super::{Argument, Inventory, InventoryError, Operation, SettleError, milliseconds};
use crate::store::StoreError;
use crate::{Quantity, ReservationId, Sku};

/// Units that are held.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Held {
    /// The units of the product that are still free to sell.
    pub free: u64,
    /// When the hold ends: milliseconds of the Unix epoch by the server's clock.
    pub until_ms: u64,
    /// Whether they were held already under this id, so that nothing was taken this time.
    pub again: bool,
}

/// Why nothing was held.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReserveError {
    /// Fewer units are free than were asked for. Holds that expire or are released may free some.
    #[error("only {available} are available")]
    OutOfStock {
        /// The units free at this moment.
        available: u64,
    },
    /// The id holds another number of units: it was used for something else.
    #[error("the reservation holds {held} units already, not {asked}")]
    OtherQuantity {
        /// The units held.
        held: u32,
        /// The units asked for.
        asked: u32,
    },
    /// The id was used and settled: sold, released or expired. To buy more takes a new one.
    #[error(transparent)]
    Settled(SettleError),
    /// What can happen to any operation.
    #[error(transparent)]
    Inventory(#[from] InventoryError),
}

impl<C: ConnectionLike + Clone> Inventory<C> {
    /// Holds units for `time` (a millisecond to a year; other values become the nearest of these), all or none. The buyer
    /// chooses the id: after a lost answer he asks again with the same, and takes no second unit. An id belongs to one
    /// product; the same for another product is another hold.
    ///
    /// One round trip. (On a cluster three more when it makes the product's stock low.)
    /// Where nothing has expired and no alert is near, that is seven commands in its script.
    pub async fn reserve(
        &self,
        product: &Sku,
        id: &ReservationId,
        units: Quantity,
        time: Duration,
    ) -> Result<Held, ReserveError> {
        let asked = units.get();
        let field = format!("r:{id}");
        // What the list's entry says before the numbers that only the server knows; none of it needs an escape.
        let told = format!(r#","product":"{product}","event":"held","id":"{id}","units":{asked},"free":"#);
        let arguments: [&(dyn Argument + Sync); 4] = [&field, &asked, &milliseconds(time), &told];
        let mut reply = self.run(Operation::Reserve, product, &arguments).await?;
        match reply.outcome.as_str() {
            "HELD" => Ok(Held { free: reply.next()?, until_ms: reply.next()?, again: false }),
            "HELD_BEFORE" => {
                let held = Held { free: reply.next()?, until_ms: reply.next()?, again: true };
                match reply.next()? {
                    units if units == asked => Ok(held),
                    units => Err(ReserveError::OtherQuantity { held: units, asked }),
                }
            }
            "OUT_OF_STOCK" => Err(ReserveError::OutOfStock { available: reply.next()? }),
            "SETTLED" => Err(ReserveError::Settled(SettleError::of(&mut reply)?)),
            _ => Err(reply.into_error().into()),
        }
    }
}

impl From<StoreError> for ReserveError {
    fn from(error: StoreError) -> Self {
        Self::Inventory(error.into())
    }
}

impl ReserveError {
    /// The error of Redis or of the connection, if that is what went wrong.
    #[must_use]
    pub fn redis_error(&self) -> Option<&RedisError> {
        match self {
            Self::Inventory(error) => error.redis_error(),
            Self::Settled(error) => error.redis_error(),
            Self::OutOfStock { .. } | Self::OtherQuantity { .. } => None,
        }
    }
}
