//! How a hold ends: sold or released. (Or it expires; see `sweep`.)

use std::time::Duration;

use redis::RedisError;
use redis::aio::ConnectionLike;

use super::{Inventory, InventoryError, Operation, milliseconds};
use crate::store::{Reply, StoreError};
use crate::{ReservationId, Sku};

/// Units that are sold.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Sold {
    /// How many.
    pub units: u32,
    /// Whether they were sold already.
    pub again: bool,
}

/// Units that are free again.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Released {
    /// How many; 0 if the id never held any.
    pub units: u32,
    /// Whether they were free already: released before, or expired.
    pub again: bool,
}

/// A hold that ends later.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Extended {
    /// How many units are held.
    pub units: u32,
    /// When the hold ends: milliseconds of the Unix epoch by the server's clock.
    pub until_ms: u64,
}

/// Why a hold could not be settled so. Nothing was changed by it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SettleError {
    /// The hold has expired, and its units are free to sell.
    #[error("the hold has expired")]
    Expired,
    /// The hold was released, and its units are free to sell.
    #[error("the hold was released")]
    Released,
    /// The units are sold.
    #[error("{units} units were sold already")]
    Sold {
        /// How many.
        units: u32,
    },
    /// No such hold is remembered.
    #[error("there is no such reservation")]
    Unknown,
    /// The hold has expired, and fewer units are free than it had (only [`Inventory::confirm_late`]).
    #[error("the hold has expired, and only {available} are available")]
    OutOfStock {
        /// The units free at this moment.
        available: u64,
    },
    /// What can happen to any operation.
    #[error(transparent)]
    Inventory(#[from] InventoryError),
}

impl<C: ConnectionLike + Clone> Inventory<C> {
    /// Sells what is held. Of a hold that has expired nothing is sold: its units may be somebody else's by now. One round
    /// trip.
    pub async fn confirm(&self, product: &Sku, id: &ReservationId) -> Result<Sold, SettleError> {
        self.sell(product, id, "").await
    }

    /// [`Inventory::confirm`] that takes the units of an expired hold anew, if so many are free. One round trip.
    pub async fn confirm_late(&self, product: &Sku, id: &ReservationId) -> Result<Sold, SettleError> {
        self.sell(product, id, "late").await
    }

    /// Makes what is held free to sell again. An id that holds nothing is spent by this: a reservation that is still on
    /// its way is then refused. One round trip.
    pub async fn release(&self, product: &Sku, id: &ReservationId) -> Result<Released, SettleError> {
        self.give_back(product, id, "").await
    }

    /// [`Inventory::release`] of units that may have been sold: the buyer gets his money back and leaves the goods. One
    /// round trip.
    pub async fn take_back(&self, product: &Sku, id: &ReservationId) -> Result<Released, SettleError> {
        self.give_back(product, id, "even sold").await
    }

    /// Holds what is held until `time` from now (a millisecond to a year), if that is later than before. One round trip.
    pub async fn extend(
        &self,
        product: &Sku,
        id: &ReservationId,
        time: Duration,
    ) -> Result<Extended, SettleError> {
        let field = format!("r:{id}");
        let mut reply = self.run(Operation::Extend, product, &[&field, &milliseconds(time)]).await?;
        match reply.outcome.as_str() {
            "EXTENDED" => Ok(Extended { until_ms: reply.next()?, units: reply.next()? }),
            _ => Err(SettleError::from_reply(reply)),
        }
    }

    async fn sell(&self, product: &Sku, id: &ReservationId, how: &str) -> Result<Sold, SettleError> {
        let field = format!("r:{id}");
        let mut reply = self.run(Operation::Confirm, product, &[&field, &how]).await?;
        match reply.outcome.as_str() {
            "SOLD" => Ok(Sold { units: reply.next()?, again: false }),
            "SOLD_BEFORE" => Ok(Sold { units: reply.next()?, again: true }),
            "OUT_OF_STOCK" => Err(SettleError::OutOfStock { available: reply.next()? }),
            _ => Err(SettleError::from_reply(reply)),
        }
    }

    async fn give_back(&self, product: &Sku, id: &ReservationId, how: &str) -> Result<Released, SettleError> {
        let field = format!("r:{id}");
        let mut reply = self.run(Operation::Release, product, &[&field, &how]).await?;
        match reply.outcome.as_str() {
            "RELEASED" => Ok(Released { units: reply.next()?, again: false }),
            "RELEASED_BEFORE" => Ok(Released { units: reply.next()?, again: true }),
            _ => Err(SettleError::from_reply(reply)),
        }
    }
}

impl SettleError {
    fn from_reply(mut reply: Reply) -> Self {
        if reply.outcome == "SETTLED" {
            Self::of(&mut reply).unwrap_or_else(Self::from)
        } else {
            reply.into_error().into()
        }
    }

    /// How an id was settled, as a script tells it.
    pub(super) fn of(reply: &mut Reply) -> Result<Self, StoreError> {
        Ok(match reply.next::<String>()?.as_str() {
            "sold" => Self::Sold { units: reply.next()? },
            "released" => Self::Released,
            "expired" => Self::Expired,
            _ => Self::Unknown,
        })
    }

    /// The error of Redis or of the connection, if that is what went wrong.
    #[must_use]
    pub fn redis_error(&self) -> Option<&RedisError> {
        match self {
            Self::Inventory(error) => error.redis_error(),
            _ => None,
        }
    }
}

impl From<StoreError> for SettleError {
    fn from(error: StoreError) -> Self {
        Self::Inventory(error.into())
    }
}
