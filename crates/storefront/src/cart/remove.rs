use redis::RedisError;
use redis::aio::ConnectionLike;

use super::scripts::Operation;
use super::{Cart, CartError, Contents};
use crate::store::StoreError;
use crate::{CartOwner, Quantity, Sku};

/// What a removal has led to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Removed {
    /// The units removed.
    pub removed: u32,
    /// The units still in the line; 0 if the line is gone.
    pub quantity: u32,
    /// The whole cart after it.
    pub cart: Contents,
}

/// Why nothing was removed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RemoveError {
    /// The cart has no line of this product, or no longer.
    #[error("{0} is not in the cart")]
    NotInCart(Sku),
    /// The line has fewer units than were to be removed.
    #[error("only {quantity} of {sku} in the cart, {asked} cannot be removed")]
    OnlyInCart {
        /// The product.
        sku: Sku,
        /// The units in the line.
        quantity: u32,
        /// The units asked for.
        asked: u32,
    },
    /// What can happen to any operation.
    #[error(transparent)]
    Cart(#[from] CartError),
}

impl<C: ConnectionLike + Clone> Cart<C> {
    /// Removes some units of a product, or the whole line with `None`. The product need not be on sale any more. One
    /// round trip.
    pub async fn remove(
        &self,
        owner: &CartOwner,
        sku: &Sku,
        quantity: Option<Quantity>,
    ) -> Result<Removed, RemoveError> {
        let mut call = self.call(Operation::Remove, owner);
        call.key(self.key_of_user(owner));
        call.arg(self.ttl_ms()).arg(self.keys.cart_updates(owner)).arg(owner.to_string()).arg(sku.as_str());
        call.arg(quantity.map_or_else(String::new, |quantity| quantity.to_string()));

        let mut reply = self.run(&call).await?;
        match reply.outcome.as_str() {
            "REMOVED" => {
                let (removed, quantity) = (reply.next()?, reply.next()?);
                Ok(Removed { removed, quantity, cart: Contents::from_reply(&mut reply)? })
            }
            "NOT_IN_CART" => Err(RemoveError::NotInCart(sku.clone())),
            "ONLY_IN_CART" => Err(RemoveError::OnlyInCart {
                sku: sku.clone(),
                quantity: reply.next()?,
                asked: quantity.map_or(0, Quantity::get),
            }),
            _ => Err(CartError::of(reply, owner).into()),
        }
    }
}

impl From<RedisError> for RemoveError {
    fn from(error: RedisError) -> Self {
        Self::Cart(error.into())
    }
}

impl From<StoreError> for RemoveError {
    fn from(error: StoreError) -> Self {
        Self::Cart(error.into())
    }
}

impl RemoveError {
    /// The error of Redis or of the connection, if that is what went wrong.
    #[must_use]
    pub fn redis_error(&self) -> Option<&RedisError> {
        match self {
            Self::Cart(error) => error.redis_error(),
            Self::NotInCart(_) | Self::OnlyInCart { .. } => None,
        }
    }
}
