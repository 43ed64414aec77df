//! A whole user as bytes: JSON, MessagePack, or compressed. The server cannot look inside.

use redis::RedisResult;

use super::compression::Zstd;
use super::document::{Document, Values, unreadable};

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

fn built_in(zstd: Option<&Zstd>) -> RedisResult<&Zstd> {
    zstd.ok_or_else(|| unreadable("this program was built without zstd"))
}
