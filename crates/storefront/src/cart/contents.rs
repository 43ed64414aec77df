use redis::aio::ConnectionLike;
use serde::Serialize;

use super::scripts::Operation;
use super::{Cart, CartError};
use crate::store::{Reply, StoreError};
use crate::{CartOwner, Cents, money};

/// A cart in three numbers.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize)]
pub struct Contents {
    /// Lines, one for each product.
    pub lines: usize,
    /// Units in all lines together.
    pub units: u64,
    /// The total at the prices seen when the lines were added. A script sees no other price: the products are in slots
    /// of their own. [`Cart::view`] has the total at today's prices.
    #[serde(serialize_with = "money::both")]
    pub seen_total: Cents,
}

/// What was in a cart before it was cleared.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Cleared {
    /// Lines, one for each product.
    pub lines: usize,
    /// Units in all lines together.
    pub units: u64,
}

impl<C: ConnectionLike + Clone> Cart<C> {
    /// Counts what is in the cart. Unlike a view it leaves the TTL alone. One round trip.
    pub async fn contents(&self, owner: &CartOwner) -> Result<Contents, CartError> {
        let mut call = self.call(Operation::Count, owner);
        call.key(self.key_of_user(owner));
        let mut reply = self.run(&call).await?;
        match reply.outcome.as_str() {
            "COUNT" => Ok(Contents::from_reply(&mut reply)?),
            _ => Err(CartError::of(reply, owner)),
        }
    }

    /// Empties the cart. One round trip.
    pub async fn clear(&self, owner: &CartOwner) -> Result<Cleared, CartError> {
        let mut call = self.call(Operation::Clear, owner);
        call.key(self.key_of_user(owner));
        call.arg(self.keys.cart_updates(owner)).arg(owner.to_string());
        let mut reply = self.run(&call).await?;
        match reply.outcome.as_str() {
            "CLEARED" => Ok(Cleared { lines: reply.next()?, units: reply.next()? }),
            _ => Err(CartError::of(reply, owner)),
        }
    }
}

impl Contents {
    pub(super) fn from_reply(reply: &mut Reply) -> Result<Self, StoreError> {
        Ok(Self { lines: reply.next()?, units: reply.next()?, seen_total: reply.next_cents()? })
    }
}
