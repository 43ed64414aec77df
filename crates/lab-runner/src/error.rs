//! How a lesson ends.

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
