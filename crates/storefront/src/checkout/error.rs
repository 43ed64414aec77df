use redis::RedisError;

use super::Reason;
use crate::store::StoreError;
use crate::{CartError, Cents, InventoryError, OrderId, SettleError, Sku};

/// A price that is no longer what the customer saw.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PriceChange {
    /// The product.
    pub sku: Sku,
    /// What it cost when it was put into the cart.
    pub was: Cents,
    /// What it costs now.
    pub now: Cents,
}

/// Why an order is not done. `P` is the error of the [`Payments`](super::Payments).
///
/// Only [`CheckoutError::Cancelled`] is the end of an order that was opened. After an error of Redis or of the payments the
/// order stays where it is: place it again with the same id, or leave it to the recovery.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CheckoutError<P: std::error::Error> {
    /// There is nothing in the cart. No order was opened.
    #[error("the cart is empty")]
    EmptyCart,
    /// Products in the cart are no longer sold. No order was opened.
    #[error("{} products in the cart are no longer sold", .0.len())]
    NoLongerSold(Vec<Sku>),
    /// Prices are no longer what the customer saw. No order was opened; show the new total and ask.
    #[error("{} prices have changed; the total is {total} now", .changes.len())]
    PricesChanged {
        /// Which.
        changes: Vec<PriceChange>,
        /// The total at today's prices, to be agreed to with [`Agreed::Total`](super::Agreed::Total).
        total: Cents,
    },
    /// The id belongs to an order of somebody else.
    #[error("the order {0} belongs to somebody else")]
    NotYours(OrderId),
    /// There is no such order, or no longer.
    #[error("there is no order {0}")]
    UnknownOrder(OrderId),
    /// The order was cancelled: nothing is charged, nothing is held, the cart is as it was.
    #[error("the order was cancelled: {0}")]
    Cancelled(Reason),
    /// The payments failed, with an unknown outcome.
    #[error(transparent)]
    Payment(P),
    /// The cart could not be read or changed.
    #[error(transparent)]
    Cart(CartError),
    /// The stock could not be read or changed.
    #[error(transparent)]
    Inventory(InventoryError),
    /// Redis, or the data in it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl<P: std::error::Error> From<RedisError> for CheckoutError<P> {
    fn from(error: RedisError) -> Self {
        Self::Store(error.into())
    }
}

impl<P: std::error::Error> From<CartError> for CheckoutError<P> {
    fn from(error: CartError) -> Self {
        Self::Cart(error)
    }
}

impl<P: std::error::Error> From<InventoryError> for CheckoutError<P> {
    fn from(error: InventoryError) -> Self {
        Self::Inventory(error)
    }
}

impl<P: std::error::Error> CheckoutError<P> {
    /// The error of Redis or of the connection, if that is what went wrong.
    #[must_use]
    pub fn redis_error(&self) -> Option<&RedisError> {
        match self {
            Self::Cart(error) => error.redis_error(),
            Self::Inventory(error) => error.redis_error(),
            Self::Store(error) => error.redis_error(),
            _ => None,
        }
    }
}

/// Whether a hold is no more, as opposed to an error that says nothing about it.
pub(super) fn lost<P: std::error::Error>(error: SettleError) -> Result<(), CheckoutError<P>> {
    match error {
        SettleError::Inventory(InventoryError::Store(error)) => Err(error.into()),
        _ => Ok(()),
    }
}
