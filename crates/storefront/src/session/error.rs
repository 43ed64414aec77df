use redis::RedisError;

use super::{LONGEST_VALUE, MOST_FIELDS, MOST_SESSIONS};
use crate::store::StoreError;
use crate::{CartError, UserId};

/// Why no session has begun.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BeginError {
    /// More than [`MOST_FIELDS`] fields, or a value longer than [`LONGEST_VALUE`].
    #[error(transparent)]
    Fields(#[from] UpdateError),
    /// The user has [`MOST_SESSIONS`] sessions: one of them, or all, must end first.
    #[error("the user has {MOST_SESSIONS} sessions already")]
    TooManySessions,
    /// There is a session with this id. Only [`Sessions::begin_as`](super::Sessions::begin_as) can meet one.
    #[error("there is a session with this id")]
    Taken,
    /// The user was logged out everywhere while this session began.
    #[error("the user was logged out everywhere meanwhile")]
    LoggedOut,
    /// The operating system gives no random bits.
    #[error("no id could be made: {0}")]
    NoRandomness(#[from] getrandom::Error),
    /// Redis, or the data in it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why nothing was updated.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UpdateError {
    /// The session has ended, or there never was one with this id. Nothing was created.
    #[error("there is no such session")]
    NoSession,
    /// It would be one field too many.
    #[error("a session has at most {MOST_FIELDS} fields")]
    TooManyFields,
    /// The value is too long.
    #[error("a field of a session holds at most {LONGEST_VALUE} bytes, not {bytes}")]
    TooLong {
        /// The length of the value in bytes.
        bytes: usize,
    },
    /// Redis, or the data in it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why an id was not replaced.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RotateError {
    /// The session has ended, or is that of a guest, who gets a new id by logging in.
    #[error("there is no such session of a user")]
    NoSession,
    /// What can go wrong with every beginning.
    #[error(transparent)]
    Begin(#[from] BeginError),
}

/// Why nobody was logged in; or, for [`LoginError::Cart`], why the cart has not moved.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoginError {
    /// From this session somebody else has logged in; the cart is theirs.
    #[error("user {0} has logged in from this session")]
    OtherUser(UserId),
    /// Other logins from this session kept getting in first. Nothing was lost; it can be tried again.
    #[error("too many logins from this session at a time")]
    Contended,
    /// The user is logged in, and the guest's cart is still where it was. The same login again goes on from there.
    #[error("logged in, but the cart has not moved: {0}")]
    Cart(#[from] CartError),
    /// What can go wrong with every beginning.
    #[error(transparent)]
    Begin(#[from] BeginError),
}

impl From<StoreError> for LoginError {
    fn from(error: StoreError) -> Self {
        Self::Begin(error.into())
    }
}

impl From<StoreError> for RotateError {
    fn from(error: StoreError) -> Self {
        Self::Begin(error.into())
    }
}

impl BeginError {
    /// The error of Redis or of the connection, if that is what went wrong.
    #[must_use]
    pub fn redis_error(&self) -> Option<&RedisError> {
        match self {
            Self::Store(error) | Self::Fields(UpdateError::Store(error)) => error.redis_error(),
            _ => None,
        }
    }
}

impl UpdateError {
    /// The error of Redis or of the connection, if that is what went wrong.
    #[must_use]
    pub fn redis_error(&self) -> Option<&RedisError> {
        match self {
            Self::Store(error) => error.redis_error(),
            _ => None,
        }
    }
}

impl RotateError {
    /// The error of Redis or of the connection, if that is what went wrong.
    #[must_use]
    pub fn redis_error(&self) -> Option<&RedisError> {
        match self {
            Self::Begin(error) => error.redis_error(),
            Self::NoSession => None,
        }
    }
}

impl LoginError {
    /// The error of Redis or of the connection, if that is what went wrong.
    #[must_use]
    pub fn redis_error(&self) -> Option<&RedisError> {
        match self {
            Self::Begin(error) => error.redis_error(),
            Self::Cart(error) => error.redis_error(),
            Self::OtherUser(_) | Self::Contended => None,
        }
    }
}

/// The server's own WRONGTYPE, which every script meets before it changes anything, as ours.
pub(super) fn of_redis(error: RedisError, key: &str) -> StoreError {
    match error.code() {
        Some("WRONGTYPE") => StoreError::wrong_type(key),
        _ => StoreError::Redis(error),
    }
}
