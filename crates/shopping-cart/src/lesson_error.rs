//! What can go wrong in a lesson of this crate. `?` takes every error of the patterns.

use std::error::Error;

use lab_runner::LessonError;
use redis::{ErrorKind, RedisError};

/// How a part of a lesson ends.
pub(crate) type Part<T = ()> = Result<T, AnyError>;

/// Any error. It is no `Error` itself, so it can be made from all of them.
pub(crate) struct AnyError(Box<dyn Error + Send + Sync>);

impl<E: Error + Send + Sync + 'static> From<E> for AnyError {
    fn from(error: E) -> Self {
        Self(Box::new(error))
    }
}

impl From<AnyError> for LessonError {
    fn from(AnyError(error): AnyError) -> Self {
        let error = match error.downcast::<Self>() {
            Ok(error) => return *error,
            Err(error) => error,
        };
        match error.downcast::<RedisError>() {
            Ok(error) => Self::Redis(*error),
            Err(error) => {
                let what = "a call that should have worked did not";
                Self::Redis(RedisError::from((ErrorKind::Client, what, error.to_string())))
            }
        }
    }
}
