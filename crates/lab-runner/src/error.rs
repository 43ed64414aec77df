//! How a lesson ends.

use lab_connection::Failure;
use redis::RedisError;

/// How a lesson ends.
pub type Outcome = Result<(), LessonError>;

/// Why a lesson could not be finished.
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
}
