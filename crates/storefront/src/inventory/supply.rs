//! What is there: set up, restocked, and counted.

use redis::RedisError;
use redis::aio::ConnectionLike;
use serde::Serialize;

use super::{Inventory, InventoryError, Operation};
use crate::store::{Reply, StoreError};
use crate::{EventId, Layout, Sku};

/// The units of a product at one moment.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
pub struct Level {
    /// Free to sell.
    pub free: u64,
    /// Held by somebody who has not confirmed yet.
    pub held: u64,
    /// Sold.
    pub sold: u64,
}

/// What setting up has led to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum SetUp {
    /// The product has its first units.
    Created(Level),
    /// It was there already; only its threshold was changed.
    There(Level),
}

/// Why nothing was restocked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RestockError {
    /// Free, held and sold units together would be 2^53 or more, where Lua stops counting exactly.
    #[error("more units of {0} than can be counted")]
    TooMany(Sku),
    /// What can happen to any operation.
    #[error(transparent)]
    Inventory(#[from] InventoryError),
}

impl<C: ConnectionLike + Clone> Inventory<C> {
    /// Puts a product under stock keeping with its first units. With `low_at` the alert is raised when no more than so many
    /// units are free, and cleared when there are more again. A product that is there already keeps its units, and gets the
    /// new threshold.
    ///
    /// One round trip, two on a cluster (three more if the alert changes).
    pub async fn set_up(
        &self,
        product: &Sku,
        units: u32,
        low_at: Option<u32>,
    ) -> Result<SetUp, InventoryError> {
        if self.keys.layout() == Layout::Cluster {
            // The sweeper's list is in another slot. It comes first: a product in it without stock is passed over, stock
            // without its entry would never be swept.
            let add =
                redis::cmd("ZADD").arg(self.keys.inventory_due()).arg(0).arg(product.as_str()).to_owned();
            add.exec_async(&mut self.connection.clone()).await?;
        }
        let low_at = low_at.map_or_else(String::new, |units| units.to_string());
        let mut reply = self.run(Operation::SetUp, product, &[&units, &low_at]).await?;
        match reply.outcome.as_str() {
            "CREATED" => Ok(SetUp::Created(Level::from_reply(&mut reply)?)),
            "THERE" => Ok(SetUp::There(Level::from_reply(&mut reply)?)),
            _ => Err(reply.into_error().into()),
        }
    }

    /// Adds units that were delivered to those free to sell. The same delivery again changes nothing. One round trip.
    pub async fn restock(
        &self,
        product: &Sku,
        delivery: &EventId,
        units: u32,
    ) -> Result<Level, RestockError> {
        let field = format!("e:{delivery}");
        let mut reply = self.run(Operation::Restock, product, &[&field, &units]).await?;
        match reply.outcome.as_str() {
            "RESTOCKED" | "THERE" => Ok(Level::from_reply(&mut reply)?),
            "TOO_MANY" => Err(RestockError::TooMany(product.clone())),
            _ => Err(reply.into_error().into()),
        }
    }

    /// The units of a product at this moment, after what has expired was returned. One round trip.
    pub async fn level(&self, product: &Sku) -> Result<Level, InventoryError> {
        let mut reply = self.run(Operation::Level, product, &[]).await?;
        match reply.outcome.as_str() {
            "LEVEL" => Ok(Level::from_reply(&mut reply)?),
            _ => Err(reply.into_error().into()),
        }
    }
}

impl Level {
    fn from_reply(reply: &mut Reply) -> Result<Self, StoreError> {
        Ok(Self { free: reply.next()?, held: reply.next()?, sold: reply.next()? })
    }
}

impl From<StoreError> for RestockError {
    fn from(error: StoreError) -> Self {
        Self::Inventory(error.into())
    }
}

impl RestockError {
    /// The error of Redis or of the connection, if that is what went wrong.
    #[must_use]
    pub fn redis_error(&self) -> Option<&RedisError> {
        match self {
            Self::Inventory(error) => error.redis_error(),
            Self::TooMany(_) => None,
        }
    }
}
