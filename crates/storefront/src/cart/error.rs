use redis::RedisError;

use crate::store::{Reply, StoreError};
use crate::{CartOwner, UserId};

/// What can go wrong with any operation on a cart. Nothing was changed, unless the connection failed: then the outcome
/// is unknown.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CartError {
    /// The cart is that of a user who does not exist.
    #[error("there is no user {0}")]
    UnknownUser(UserId),
    /// The cart adds up to more than `i64::MAX` cents. Only a quantity written by hand can do that.
    #[error("the total of the cart is too large to be counted")]
    TotalTooLarge,
    /// Redis, or the data in it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<RedisError> for CartError {
    fn from(error: RedisError) -> Self {
        Self::Store(error.into())
    }
}

impl CartError {
    /// The error of Redis or of the connection, if that is what went wrong.
    #[must_use]
    pub fn redis_error(&self) -> Option<&RedisError> {
        match self {
            Self::Store(error) => error.redis_error(),
            Self::UnknownUser(_) | Self::TotalTooLarge => None,
        }
    }

    /// The error behind an outcome that any script of the cart can have.
    pub(super) fn of(reply: Reply, owner: &CartOwner) -> Self {
        match owner {
            CartOwner::User(id) if reply.outcome == "UNKNOWN_USER" => Self::UnknownUser(*id),
            _ => Self::Store(reply.into_error()),
        }
    }
}
