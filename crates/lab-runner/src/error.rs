//! How a lesson ends.

use std::error::Error;

use lab_connection::failure::Class;
use lab_connection::{Failure, Target};
use redis::RedisError;

use crate::stepper::Go;

/// How a lesson ends.
pub type Outcome = Result<(), LessonError>;

/// Why a lesson did not come to its end.
#[derive(Debug, thiserror::Error)]
pub enum LessonError {
    /// Redis refused, or could not be reached.
    #[error(transparent)]
    Redis(#[from] RedisError),
    /// The lesson claimed something that did not hold.
    #[error("{0}")]
    Check(String),
    /// Anything else, already explained.
    #[error(transparent)]
    Failure(#[from] Failure),
    /// The learner left in the middle.
    #[error("the learner left the lesson")]
    Left(Go),
}

/// Any error, so that the code of a lesson reads `.await?` whatever a pattern can fail with.
pub type BoxError = Box<dyn Error + Send + Sync>;

/// A failure that is already explained, and an error that Redis caused, end a lesson as such. Any other is a claim that did not hold.
impl From<BoxError> for LessonError {
    fn from(error: BoxError) -> Self {
        match error.downcast::<Self>() {
            Ok(error) => *error,
            Err(error) => match error.downcast::<Failure>() {
                Ok(failure) => Self::Failure(*failure),
                Err(error) => match redis_cause(error.as_ref()) {
                    Some(error) => error.into(),
                    None => Self::Check(error.to_string()),
                },
            },
        }
    }
}

/// The error of Redis that caused this one, or is this one.
fn redis_cause(error: &(dyn Error + 'static)) -> Option<RedisError> {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref::<RedisError>() {
            return Some(error.clone());
        }
        cause = error.source();
    }
    None
}

/// Runs a lesson whose code can fail with any error.
pub async fn outcome(lesson: impl Future<Output = Result<(), BoxError>>) -> Outcome {
    Ok(lesson.await?)
}

/// The error of an approach, which is one of Redis.
pub fn into_redis_error(error: impl Into<BoxError>) -> RedisError {
    let error = error.into();
    redis_cause(error.as_ref()).unwrap_or_else(|| std::io::Error::other(error).into())
}

impl LessonError {
    /// As a failure of the whole program; `check_failed` says what it means that a check failed.
    #[must_use]
    pub fn explain(self, target: &Target, check_failed: &str) -> Failure {
        match self {
            Self::Redis(error) => target.explain(&error),
            Self::Failure(failure) => failure,
            Self::Check(claim) => Failure::new(Class::CheckFailed, check_failed, claim),
            Self::Left(_) => {
                Failure::new(Class::Interrupted, "You left the lesson.", "Nothing more is sent.")
            }
        }
    }
}
