//! One error type for the code of lessons, so that it reads `.await?` whatever a pattern can fail with.

use std::error::Error;

use lab_runner::{LessonError, Outcome};
use redis::RedisError;

/// Any error.
pub type BoxError = Box<dyn Error + Send + Sync>;

/// Runs a lesson. An error of Redis ends it as such; any other error of a pattern is a claim that did not hold.
pub async fn outcome(lesson: impl Future<Output = Result<(), BoxError>>) -> Outcome {
    lesson.await.map_err(|error| match error.downcast::<LessonError>() {
        Ok(error) => *error,
        Err(error) => match redis_error(error.as_ref()) {
            Some(error) => error.into(),
            None => LessonError::Check(error.to_string()),
        },
    })
}

/// The error of an approach, which is one of Redis.
pub fn into_redis_error(error: impl Into<BoxError>) -> RedisError {
    let error = error.into();
    redis_error(error.as_ref()).unwrap_or_else(|| std::io::Error::other(error).into())
}

/// The error of Redis that caused this one.
fn redis_error(error: &(dyn Error + 'static)) -> Option<RedisError> {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref::<RedisError>() {
            return Some(error.clone());
        }
        cause = error.source();
    }
    None
}
