use std::time::Duration;

use redis::RedisError;
use redis::aio::ConnectionLike;

use super::scripts::Operation;
use super::{Cart, CartError, Contents, MOST_LINES, milliseconds};
use crate::store::StoreError;
use crate::{CartOwner, Cents, Layout, Quantity, Sku};

/// What an add has led to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Added {
    /// The units now in the line.
    pub quantity: u32,
    /// What one unit cost at this moment; later views are compared with it.
    pub unit_price: Cents,
    /// The whole cart after it.
    pub cart: Contents,
}

/// Why nothing was added.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AddError {
    /// No product with this SKU is on sale.
    #[error("there is no product {0} on sale")]
    UnknownSku(Sku),
    /// The line would hold more than [`Quantity::MAX`] units.
    #[error("the cart holds {have} of {sku} already; {asked} more would exceed the limit of {limit}")]
    LineLimit {
        /// The product.
        sku: Sku,
        /// The units in the line.
        have: u32,
        /// The units asked for.
        asked: u32,
        /// The most units of a line.
        limit: u32,
    },
    /// The cart has [`MOST_LINES`] lines, and this would be one more.
    #[error("the cart is full: it has {limit} lines")]
    CartFull {
        /// The most lines of a cart.
        limit: usize,
    },
    /// What can happen to any operation.
    #[error(transparent)]
    Cart(#[from] CartError),
}

impl<C: ConnectionLike + Clone> Cart<C> {
    /// Adds units of a product that is on sale, to the units already there. With `item_ttl` the line leaves the cart by
    /// itself that much later (a millisecond to a year); without, a line keeps the deadline it has.
    ///
    /// One round trip, and all in one step. On a cluster the product is in another slot than the cart: its price is read
    /// first, which makes two, and a price that changes between them is the one thing the step does not see.
    ///
    /// Adding again, after a lost answer, may add twice; a cluster's connection does that by itself. [`Added::quantity`] says
    /// what is in the line now.
    pub async fn add(
        &self,
        owner: &CartOwner,
        sku: &Sku,
        quantity: Quantity,
        item_ttl: Option<Duration>,
    ) -> Result<Added, AddError> {
        let mut call = self.call(Operation::Add, owner);
        call.key(self.key_of_user(owner));
        let price = match self.keys.layout() {
            Layout::Standalone => {
                call.key(self.keys.sku(sku));
                None
            }
            Layout::Cluster => {
                Some(self.price_of(sku).await?.ok_or_else(|| AddError::UnknownSku(sku.clone()))?)
            }
        };
        call.arg(self.ttl_ms()).arg(self.keys.cart_updates(owner)).arg(owner.to_string());
        call.arg(sku.as_str()).arg(quantity.get()).arg(Quantity::MAX.get()).arg(MOST_LINES);
        call.arg(if matches!(owner, CartOwner::User(_)) { "user" } else { "guest" });
        call.arg(item_ttl.map_or_else(String::new, |ttl| milliseconds(ttl).to_string()));
        call.arg(price.map_or_else(String::new, |price| price.get().to_string()));

        let mut reply = self.run(&call).await?;
        match reply.outcome.as_str() {
            "ADDED" => {
                let quantity = reply.next()?;
                let unit_price = reply.next_cents()?;
                Ok(Added { quantity, unit_price, cart: Contents::from_reply(&mut reply)? })
            }
            "UNKNOWN_SKU" => Err(AddError::UnknownSku(sku.clone())),
            "LINE_LIMIT" => Err(AddError::LineLimit {
                sku: sku.clone(),
                have: reply.next()?,
                asked: quantity.get(),
                limit: Quantity::MAX.get(),
            }),
            "CART_FULL" => Err(AddError::CartFull { limit: MOST_LINES }),
            _ => Err(CartError::of(reply, owner).into()),
        }
    }

    async fn price_of(&self, sku: &Sku) -> Result<Option<Cents>, StoreError> {
        let key = self.keys.sku(sku);
        let [price, _] = crate::fields::of(&self.connection, &key, ["price", "name"]).await?;
        price.map(|price| crate::fields::parse(Some(price), &key, "price")).transpose()
    }
}

impl From<RedisError> for AddError {
    fn from(error: RedisError) -> Self {
        Self::Cart(error.into())
    }
}

impl From<StoreError> for AddError {
    fn from(error: StoreError) -> Self {
        Self::Cart(error.into())
    }
}

impl AddError {
    /// The error of Redis or of the connection, if that is what went wrong.
    #[must_use]
    pub fn redis_error(&self) -> Option<&RedisError> {
        match self {
            Self::Cart(error) => error.redis_error(),
            Self::UnknownSku(_) | Self::LineLimit { .. } | Self::CartFull { .. } => None,
        }
    }
}
