//! Errors of lessons and of approaches.

pub use lab_runner::BoxError;
use lab_runner::Outcome;
use lab_runner::error::redis_cause;
use redis::RedisError;

/// Runs a lesson whose code can fail with any error.
pub async fn outcome(lesson: impl Future<Output = Result<(), BoxError>>) -> Outcome {
    Ok(lesson.await?)
}

/// The error of an approach, which is one of Redis.
pub fn into_redis_error(error: impl Into<BoxError>) -> RedisError {
    let error = error.into();
    redis_cause(error.as_ref()).unwrap_or_else(|| std::io::Error::other(error).into())
}
