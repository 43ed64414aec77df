//! A whole user as bytes: JSON, MessagePack, or compressed. The server cannot look inside.

use std::fmt::Display;

use redis::{RedisError, RedisResult};
use serde::{Deserialize, Serialize};

use super::zstd::Zstd;

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
            Self::Json => serde_json::to_vec(&document).map_err(unreadable),
            Self::MessagePack => rmp_serde::to_vec(&document).map_err(unreadable),
            Self::Zstd | Self::ZstdWithDictionary => {
                let zstd = zstd.ok_or_else(|| unreadable(NO_ZSTD))?;
                zstd.compress(&Self::Json.encode(values, None)?, self == Self::ZstdWithDictionary)
            }
        }
    }

    pub(crate) fn decode(self, bytes: &[u8], zstd: Option<&Zstd>) -> RedisResult<Values> {
        let document: Document = match self {
            Self::Json => serde_json::from_slice(bytes).map_err(unreadable)?,
            Self::MessagePack => rmp_serde::from_slice(bytes).map_err(unreadable)?,
            Self::Zstd | Self::ZstdWithDictionary => {
                let zstd = zstd.ok_or_else(|| unreadable(NO_ZSTD))?;
                let text = zstd.decompress(bytes, self == Self::ZstdWithDictionary)?;
                return Self::Json.decode(&text, None);
            }
        };
        Ok(document.values())
    }
}

const NO_ZSTD: &str = "this program was built without zstd";

/// Numbers are numbers here. JSON and MessagePack both write them shorter than as text.
#[derive(Serialize, Deserialize)]
struct Document {
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
    fn new(values: &Values) -> RedisResult<Self> {
        let [firstname, lastname, email, age, city, department, salary, signup] = values.clone();
        let (age, salary) = (age.parse().map_err(unreadable)?, salary.parse().map_err(unreadable)?);
        Ok(Self { firstname, lastname, email, age, city, department, salary, signup })
    }

    fn values(self) -> Values {
        let Self { firstname, lastname, email, age, city, department, salary, signup } = self;
        [firstname, lastname, email, age.to_string(), city, department, salary.to_string(), signup]
    }
}

/// The error for stored bytes that are no user.
pub(crate) fn unreadable(why: impl Display) -> RedisError {
    std::io::Error::new(std::io::ErrorKind::InvalidData, why.to_string()).into()
}
