//! The merge across slots, in three steps that can each be repeated.
//!
//! 1. **Claim**, in the guest's slot: the lines move from the guest's cart into a claim with an id. Whoever tries to merge
//!    the same guest meanwhile finds the claim and carries it on.
//! 2. **Apply**, in the user's slot: the lines enter the user's cart, and the id is recorded with what came of it in the
//!    same step. A second attempt gets the recorded answer and adds nothing.
//! 3. **Finish**, in the guest's slot: what did not fit returns to the guest's cart, and the claim is gone.
//!
//! A crash between two steps loses and doubles nothing: the next [`Cart::merge`] of the guest takes the steps that are
//! missing. Until then the units are in the claim, which no view shows and which lives as long as the cart would have.
//! The record outlives the claim by a day, for a client that was stalled between reading the claim and applying it.
//! Deadlines are points in time, so the clocks of the nodes should agree (NTP).
//!
//! The steps are public for services that settle abandoned merges in the background.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::time::Duration;

use redis::aio::ConnectionLike;

use super::super::scripts::Operation;
use super::super::{MOST_LINES, milliseconds};
use super::{Cart, CartError, Merged};
use crate::fields;
use crate::{CartOwner, Quantity, SessionId, UserId};

/// How much longer than a cart the outcome of a merge is remembered.
const GRACE: Duration = Duration::from_hours(24);

/// A guest's lines on their way to a user.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Claim {
    guest: SessionId,
    user: UserId,
    id: String,
    /// As the claim's Hash has them: the field `line:SKU`, and quantity, price seen and deadline.
    lines: Vec<(String, String)>,
}

impl Claim {
    /// The user these lines are for: the one named by whoever made the claim.
    #[must_use]
    pub fn user(&self) -> UserId {
        self.user
    }
}

/// What came of applying a claim, the first time it was tried.
#[derive(Debug)]
pub enum Applied {
    /// The lines are in the user's cart, as far as they fit.
    Merged(Merged),
    /// The user does not exist, or the user's cart cannot be read: everything has to go back.
    Refused(CartError),
}

impl<C: ConnectionLike + Clone> Cart<C> {
    pub(super) async fn merge_by_claim(&self, guest: &SessionId, user: UserId) -> Result<Merged, CartError> {
        loop {
            let Some(claim) = self.claim_guest(guest, user).await? else {
                // Nothing to move, but a user who does not exist is an error all the same.
                self.contents(&user.into()).await?;
                return Ok(Merged::default());
            };
            let applied = self.apply_claim(&claim).await?;
            self.finish_claim(&claim, &applied).await?;
            // Someone else's merge of this guest, cut off earlier, has now been settled; ours is still to do.
            if claim.user == user {
                return match applied {
                    Applied::Merged(merged) => Ok(merged),
                    Applied::Refused(error) => Err(error),
                };
            }
        }
    }

    /// First step: takes the guest's lines, or finds the claim that is there already. `None` if there is nothing to move.
    /// One round trip.
    pub async fn claim_guest(&self, guest: &SessionId, user: UserId) -> Result<Option<Claim>, CartError> {
        let owner = CartOwner::Guest(guest.clone());
        let key = self.keys.cart(&owner, self.representation).merging;
        let mut call = self.call(Operation::ClaimGuest, &owner);
        call.key(&key).arg(self.ttl_ms()).arg(new_id()).arg(user.get());
        let mut reply = self.run(&call).await?;
        match reply.outcome.as_str() {
            "NOTHING" => Ok(None),
            "CLAIMED" => {
                let stored: Vec<(String, String)> = reply.next()?;
                let (lines, rest): (Vec<_>, Vec<_>) =
                    stored.into_iter().partition(|(field, _)| field.starts_with("line:"));
                let field = |name: &str| {
                    rest.iter().find(|(field, _)| field == name).map(|(_, value)| value.clone().into_bytes())
                };
                let user = fields::parse(field("user"), &key, "user")?;
                let id = fields::parse(field("id"), &key, "id")?;
                Ok(Some(Claim { guest: guest.clone(), user, id, lines }))
            }
            _ => Err(CartError::of(reply, &owner)),
        }
    }

    /// Second step: brings the claimed lines into the user's cart, once. One round trip.
    pub async fn apply_claim(&self, claim: &Claim) -> Result<Applied, CartError> {
        let owner = CartOwner::User(claim.user);
        let mut call = self.call(Operation::ApplyClaim, &owner);
        call.key(self.keys.cart(&owner, self.representation).merges).key(self.key_of_user(&owner));
        call.arg(self.ttl_ms()).arg(self.keys.cart_updates(&owner)).arg(owner.to_string()).arg(&claim.id);
        call.arg(milliseconds(self.ttl.saturating_add(GRACE)));
        call.arg(Quantity::MAX.get()).arg(MOST_LINES);
        for (field, line) in &claim.lines {
            call.arg(field).arg(line);
        }
        let reply = self.run(&call).await?;
        match reply.outcome.as_str() {
            "MERGED" => Ok(Applied::Merged(Merged::from_reply(reply)?)),
            "REFUSED" => {
                let mut reply = reply;
                Ok(Applied::Refused(CartError::of(reply.next()?, &owner)))
            }
            _ => Err(CartError::of(reply, &owner)),
        }
    }

    /// Last step: returns what did not fit to the guest and ends the claim. One round trip.
    pub async fn finish_claim(&self, claim: &Claim, applied: &Applied) -> Result<(), CartError> {
        let owner = CartOwner::Guest(claim.guest.clone());
        let mut call = self.call(Operation::FinishClaim, &owner);
        call.key(self.keys.cart(&owner, self.representation).merging);
        call.arg(self.ttl_ms()).arg(self.keys.cart_updates(&owner)).arg(owner.to_string()).arg(&claim.id);
        match applied {
            Applied::Merged(merged) => {
                for left in &merged.left {
                    call.arg(left.sku.as_str()).arg(left.quantity);
                }
            }
            Applied::Refused(_) => {
                for (field, line) in &claim.lines {
                    let sku = field.strip_prefix("line:").unwrap_or(field);
                    let quantity = line.split(' ').next().unwrap_or("0");
                    call.arg(sku).arg(quantity);
                }
            }
        }
        let reply = self.run(&call).await?;
        match reply.outcome.as_str() {
            "FINISHED" => Ok(()),
            _ => Err(CartError::of(reply, &owner)),
        }
    }
}

/// 64 random bits from the seed that the standard library gives every `HashMap`, so that no crate is needed for them. An
/// id has to differ only from the merges of one user that are still remembered.
fn new_id() -> String {
    format!("{:016x}", RandomState::new().build_hasher().finish())
}
