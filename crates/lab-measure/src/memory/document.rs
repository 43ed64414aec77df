//! A whole user as one document.

use std::fmt::Display;

use redis::{RedisError, RedisResult};
use serde::{Deserialize, Serialize};

/// A user's values in the order of [`crate::people::FIELDS`].
pub type Values = [String; 8];

/// Numbers are numbers here. JSON and MessagePack both write them shorter than as text.
#[derive(Serialize, Deserialize)]
pub(super) struct Document {
    firstname: String,
    lastname: String,
    email: String,
    age: u64,
    city: String,
    department: String,
    salary: u64,
    signup: String,
}

impl Document {
    pub(super) fn new(values: &Values) -> RedisResult<Self> {
        let [firstname, lastname, email, age, city, department, salary, signup] = values.clone();
        let (age, salary) = (age.parse().map_err(unreadable)?, salary.parse().map_err(unreadable)?);
        Ok(Self { firstname, lastname, email, age, city, department, salary, signup })
    }

    /// As JSON text.
    pub(super) fn json(&self) -> RedisResult<Vec<u8>> {
        serde_json::to_vec(self).map_err(unreadable)
    }

    pub(super) fn values(self) -> Values {
        let Self { firstname, lastname, email, age, city, department, salary, signup } = self;
        [firstname, lastname, email, age.to_string(), city, department, salary.to_string(), signup]
    }
}

/// The error for stored bytes that are no user.
pub(crate) fn unreadable(why: impl Display) -> RedisError {
    std::io::Error::new(std::io::ErrorKind::InvalidData, why.to_string()).into()
}
