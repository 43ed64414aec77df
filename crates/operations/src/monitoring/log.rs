//! The logs of slow commands, large requests, and large replies.

use lab_runner::BoxError;
use redis::{FromRedisValue, Value};

/// An entry of SLOWLOG or COMMANDLOG.
pub(super) struct Logged {
    /// Microseconds, or bytes.
    pub(super) amount: u64,
    pub(super) command: String,
    pub(super) client: String,
}

impl Logged {
    /// The newest entry. Newer servers add fields at its end.
    pub(super) fn first(log: Value) -> Result<Self, BoxError> {
        let entries: Vec<Vec<Value>> = redis::from_redis_value(log)?;
        let mut fields = entries.into_iter().next().ok_or("the log is empty")?.into_iter().skip(2);
        let mut next = || fields.next().ok_or("the entry is short");
        let amount = u64::from_redis_value(next()?)?;
        let command = Vec::<String>::from_redis_value(next()?)?.join(" ");
        let _address = next()?;
        Ok(Self { amount, command, client: String::from_redis_value(next()?)? })
    }
}
