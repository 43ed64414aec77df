//! A whole user as one value: JSON, MessagePack, or compressed. The server sees bytes and cannot look inside.

use std::fmt::Display;

use redis::{RedisError, RedisResult};
use serde::{Deserialize, Serialize};

use super::compression::Zstd;

/// A user's values in the order of [`crate::people::FIELDS`].
pub type Values = [String; 8];

/// How a whole user becomes bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Codec {
    /// Text with field names.
    Json,
    /// Binary, an array of values. The reader knows their order.
    MessagePack,
    /// The JSON text, compressed alone.
    Zstd,
    /// The JSON text, compressed with the dictionary.
    ZstdWithDictionary,
}

impl Codec {
    pub(crate) fn encode(self, values: &Values, zstd: Option<&Zstd>) -> RedisResult<Vec<u8>> {
        let document = Document::new(values)?;
        match self {
            Self::Json => document.json(),
            Self::MessagePack => rmp_serde::to_vec(&document).map_err(unreadable),
            Self::Zstd => built_in(zstd)?.compress(&document.json()?, false),
            Self::ZstdWithDictionary => built_in(zstd)?.compress(&document.json()?, true),
        }
    }

    pub(crate) fn decode(self, bytes: &[u8], zstd: Option<&Zstd>) -> RedisResult<Values> {
        let from_json = |text: &[u8]| serde_json::from_slice::<Document>(text).map_err(unreadable);
        let document = match self {
            Self::Json => from_json(bytes)?,
            Self::MessagePack => rmp_serde::from_slice(bytes).map_err(unreadable)?,
            Self::Zstd => from_json(&built_in(zstd)?.decompress(bytes, false)?)?,
            Self::ZstdWithDictionary => from_json(&built_in(zstd)?.decompress(bytes, true)?)?,
        };
        Ok(document.values())
    }
}

/// Numbers are numbers here. JSON and MessagePack both write them shorter than as text.
#[derive(Serialize, Deserialize)]
pub(crate) struct Document {
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
    pub(crate) fn new(values: &Values) -> RedisResult<Self> {
        let [firstname, lastname, email, age, city, department, salary, signup] = values.clone();
        let (age, salary) = (age.parse().map_err(unreadable)?, salary.parse().map_err(unreadable)?);
        Ok(Self { firstname, lastname, email, age, city, department, salary, signup })
    }

    pub(crate) fn json(&self) -> RedisResult<Vec<u8>> {
        serde_json::to_vec(self).map_err(unreadable)
    }

    fn values(self) -> Values {
        let Self { firstname, lastname, email, age, city, department, salary, signup } = self;
        [firstname, lastname, email, age.to_string(), city, department, salary.to_string(), signup]
    }
}

fn built_in(zstd: Option<&Zstd>) -> RedisResult<&Zstd> {
    zstd.ok_or_else(|| unreadable("this program was built without zstd"))
}

/// The error for stored bytes that are no user.
pub(crate) fn unreadable(why: impl Display) -> RedisError {
    std::io::Error::new(std::io::ErrorKind::InvalidData, why.to_string()).into()
}
