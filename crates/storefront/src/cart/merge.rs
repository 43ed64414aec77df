//! A guest logs in: what is in the guest's cart moves to the user's, once.
//!
//! Units leave one cart in the step that brings them into the other, so neither a second login nor a retry can double
//! them. What does not fit the user's cart stays in the guest's, and is reported. Deadlines and the prices seen travel
//! along; a line that the user has already keeps the price seen there, and of two deadlines the later.
//!
//! On one server that step is one script. On a cluster the two carts are in different slots, and no script can have
//! both; see [`claim`] for the three steps that take its place.

pub mod claim;

use redis::aio::ConnectionLike;
use serde::Serialize;

use super::scripts::Operation;
use super::{Cart, CartError, MOST_LINES};
use crate::store::{Reply, StoreError};
use crate::{CartOwner, Layout, Quantity, SessionId, Sku, UserId};

/// What a merge has led to. Both lists are empty if there was nothing to move.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize)]
pub struct Merged {
    /// The units of each product that are now in the user's cart.
    pub moved: Vec<(Sku, u32)>,
    /// What stays in the guest's cart.
    pub left: Vec<Left>,
}

/// Units that did not fit.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Left {
    /// The product.
    pub sku: Sku,
    /// The units.
    pub quantity: u32,
    /// Which limit they met.
    pub why: LeftBehind,
}

/// Why units stay in the guest's cart.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LeftBehind {
    /// The user's line has [`Quantity::MAX`] units now.
    LineLimit,
    /// The user's cart has [`MOST_LINES`] lines.
    CartFull,
}

impl<C: ConnectionLike + Clone> Cart<C> {
    /// Moves the cart of `guest` into that of `user`, up to the limits of a cart. Merging again moves only what has come
    /// into the guest's cart, or fits the user's, since.
    ///
    /// One round trip, and all in one step. On a cluster three (two if the guest's cart is empty), and three more for
    /// each merge of the same guest that was cut off before: those are carried to their end first.
    pub async fn merge(&self, guest: &SessionId, user: UserId) -> Result<Merged, CartError> {
        match self.keys.layout() {
            Layout::Standalone => self.merge_in_one_step(guest, user).await,
            Layout::Cluster => self.merge_by_claim(guest, user).await,
        }
    }

    async fn merge_in_one_step(&self, guest: &SessionId, user: UserId) -> Result<Merged, CartError> {
        let (guest, user) = (CartOwner::Guest(guest.clone()), CartOwner::User(user));
        let target = self.keys.cart(&user, self.representation);
        let mut call = self.call(Operation::Merge, &guest);
        call.key(target.quantities).key(target.prices).key(target.deadlines).key(self.key_of_user(&user));
        call.arg(self.ttl_ms());
        for owner in [&guest, &user] {
            call.arg(self.keys.cart_updates(owner)).arg(owner.to_string());
        }
        call.arg(Quantity::MAX.get()).arg(MOST_LINES);
        let reply = self.run(&call).await?;
        if reply.outcome == "MERGED" {
            Ok(Merged::from_reply(reply)?)
        } else {
            Err(CartError::of(reply, &user))
        }
    }
}

impl Merged {
    fn from_reply(mut reply: Reply) -> Result<Self, StoreError> {
        let mut merged = Self::default();
        for (sku, quantity) in reply.next::<Vec<(String, u32)>>()? {
            merged.moved.push((readable(&sku)?, quantity));
        }
        for (sku, quantity, why) in reply.next::<Vec<(String, u32, String)>>()? {
            let why = if why == "CART_FULL" { LeftBehind::CartFull } else { LeftBehind::LineLimit };
            merged.left.push(Left { sku: readable(&sku)?, quantity, why });
        }
        Ok(merged)
    }
}

fn readable(sku: &str) -> Result<Sku, StoreError> {
    sku.parse().map_err(|_| StoreError::malformed("the guest's cart", sku))
}
