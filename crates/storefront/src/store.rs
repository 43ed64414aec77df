//! What can go wrong between us and the data.

use redis::{FromRedisValue, RedisError, Value};

use crate::Cents;
use crate::shown::Shown;

/// Redis refused or could not be reached, or a key holds what this crate never writes there.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The key exists with another type. Nothing was changed.
    #[error("the key {key} holds another type of value; nothing was changed")]
    WrongType {
        /// The key, escaped for display.
        key: String,
    },
    /// The key has a field or member that only somebody else can have written. Nothing was changed.
    #[error("the key {key} cannot be read: {field} is not valid; nothing was changed")]
    Malformed {
        /// The key, escaped for display.
        key: String,
        /// The field or member, escaped and cut.
        field: String,
    },
    /// The server's or the connection's error. After a timeout or a lost connection the outcome of a change is unknown.
    #[error(transparent)]
    Redis(#[from] RedisError),
}

impl StoreError {
    pub(crate) fn wrong_type(key: &str) -> Self {
        Self::WrongType { key: Shown(key).to_string() }
    }

    pub(crate) fn malformed(key: &str, field: &str) -> Self {
        Self::Malformed { key: Shown(key).to_string(), field: Shown(field).to_string() }
    }

    /// The error of Redis or of the connection, if that is what went wrong.
    #[must_use]
    pub fn redis_error(&self) -> Option<&RedisError> {
        match self {
            Self::Redis(error) => Some(error),
            Self::WrongType { .. } | Self::Malformed { .. } => None,
        }
    }
}

/// For an error of which only the variant `Store` holds an error of Redis: `?` turns one of redis-rs into that, and
/// `redis_error()` gives it back.
macro_rules! holds_store_error {
    ($error:ty) => {
        impl From<redis::RedisError> for $error {
            fn from(error: redis::RedisError) -> Self {
                Self::Store(error.into())
            }
        }

        impl $error {
            /// The error of Redis or of the connection, if that is what went wrong.
            #[must_use]
            pub fn redis_error(&self) -> Option<&redis::RedisError> {
                match self {
                    Self::Store(error) => error.redis_error(),
                    _ => None,
                }
            }
        }
    };
}
pub(crate) use holds_store_error;

/// What a script answers: a word for the outcome, then what belongs to it.
///
/// Business outcomes are ordinary replies. An error raised in Lua would be a text to take apart, and would read as a
/// fault of the server in its logs and statistics.
pub(crate) struct Reply {
    pub(crate) outcome: String,
    rest: std::vec::IntoIter<Value>,
}

impl Reply {
    /// The next value that belongs to the outcome.
    pub(crate) fn next<T: FromRedisValue>(&mut self) -> Result<T, StoreError> {
        let value = self.rest.next().unwrap_or(Value::Nil);
        T::from_redis_value(value).map_err(|error| StoreError::Redis(error.into()))
    }

    /// The next value as an amount of money.
    pub(crate) fn next_cents(&mut self) -> Result<Cents, StoreError> {
        Cents::new(self.next()?).ok_or_else(|| StoreError::malformed("a total", "a negative amount"))
    }

    /// Names that scripts complain about come from anyone, so they need not be UTF-8.
    fn next_text(&mut self) -> String {
        self.next::<Vec<u8>>().map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
    }

    /// The error behind an outcome that any script can have.
    pub(crate) fn into_error(mut self) -> StoreError {
        match self.outcome.as_str() {
            "WRONG_TYPE" => StoreError::wrong_type(&self.next_text()),
            "MALFORMED" => {
                let key = self.next_text();
                StoreError::malformed(&key, &self.next_text())
            }
            other => StoreError::Redis(RedisError::from((
                redis::ErrorKind::UnexpectedReturnType,
                "a script answered with an unknown outcome",
                Shown(other).to_string(),
            ))),
        }
    }
}

impl FromRedisValue for Reply {
    fn from_redis_value(value: Value) -> Result<Self, redis::ParsingError> {
        let mut rest = Vec::<Value>::from_redis_value(value)?.into_iter();
        let outcome = String::from_redis_value(rest.next().unwrap_or(Value::Nil))?;
        Ok(Self { outcome, rest })
    }
}
