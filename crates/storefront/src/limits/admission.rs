use std::time::Duration;

use redis::{FromRedisValue, Value};

use crate::store::{Reply, StoreError};

/// What a limiter says to a request.
#[must_use = "a request that was refused has to be turned away"]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Admission {
    /// Whether the request may go on. If not, it was not counted either.
    pub admitted: bool,
    /// How many more requests would be admitted now; 0 where the server was not asked, since none of this cost ever would be.
    pub remaining: u32,
    /// After how long a refused request of this cost would be admitted, to the millisecond (sliding log and token bucket:
    /// microsecond), if nobody else comes before it. `None` if it was admitted, and if no wait would help since it costs
    /// more than the whole limit.
    pub retry_after: Option<Duration>,
}

impl Admission {
    pub(super) fn admitted(remaining: u32) -> Self {
        Self { admitted: true, remaining, retry_after: None }
    }

    pub(super) fn refused(remaining: u32, retry_after: Duration) -> Self {
        Self { admitted: false, remaining, retry_after: Some(retry_after) }
    }

    /// It costs more than the limit; the server is not asked, so what remains is not known.
    pub(super) fn never() -> Self {
        Self { admitted: false, remaining: 0, retry_after: None }
    }

    /// A script answers with a plain number if the request is admitted: what is asked most is answered shortest.
    pub(super) fn of(value: Value) -> Result<Self, StoreError> {
        if let Value::Int(remaining) = value {
            return Ok(Self::admitted(u32::try_from(remaining).unwrap_or(0)));
        }
        let mut reply = Reply::from_redis_value(value).map_err(|error| StoreError::Redis(error.into()))?;
        match reply.outcome.as_str() {
            "REFUSED" => Ok(Self::refused(reply.next()?, Duration::from_micros(reply.next()?))),
            _ => Err(reply.into_error()),
        }
    }
}
