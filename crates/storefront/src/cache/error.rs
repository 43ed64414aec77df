use std::time::Duration;

use redis::RedisError;

use crate::store::StoreError;

/// Why there is no answer. `E` is the loader's own error.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CacheError<E> {
    /// The loader failed, and there was no stale entry to serve. Others who wait try in turn.
    #[error("the load failed: {0}")]
    Load(E),
    /// Somebody else has been loading for all the time that this call would wait. Whoever then loads himself does it on his
    /// own account.
    #[error("somebody else has been loading for {} ms", waited.as_millis())]
    GaveUp {
        /// How long the pauses were together.
        waited: Duration,
    },
    /// What was loaded cannot be written as JSON.
    #[error("what was loaded cannot be written as JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// Redis, or the data in it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl<E> CacheError<E> {
    /// The error of Redis or of the connection, if that is what went wrong.
    #[must_use]
    pub fn redis_error(&self) -> Option<&RedisError> {
        match self {
            Self::Store(error) => error.redis_error(),
            _ => None,
        }
    }
}

pub(super) fn of_redis(error: RedisError, key: &str) -> StoreError {
    match error.code() {
        Some("WRONGTYPE") => StoreError::wrong_type(key),
        _ => StoreError::Redis(error),
    }
}
