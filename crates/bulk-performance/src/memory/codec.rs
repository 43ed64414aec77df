//! A whole user as one value: JSON, MessagePack, or compressed. The server sees bytes and cannot look inside.

use redis::RedisResult;

use super::compression::Zstd;
use super::document::{Document, Values, unreadable};

/// How a whole user becomes bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Codec {
    /// Text with field names.
    Json,
    /// Binary, an array of values; who reads it knows their order.
    MessagePack,
    /// The JSON text compressed alone.
    Zstd,
    /// The JSON text compressed with the dictionary.
    ZstdWithDictionary,
}

impl Codec {
    pub(crate) fn encode(self, values: &Values, zstd: Option<&Zstd>) -> RedisResult<Vec<u8>> {
        let document = Document::of(values)?;
        match self {
            Self::Json => document.json(),
            Self::MessagePack => rmp_serde::to_vec(&document).map_err(unreadable),
            Self::Zstd => present(zstd)?.compress(&document.json()?, false),
            Self::ZstdWithDictionary => present(zstd)?.compress(&document.json()?, true),
        }
    }

    pub(crate) fn decode(self, bytes: &[u8], zstd: Option<&Zstd>) -> RedisResult<Values> {
        let from_json = |text: &[u8]| serde_json::from_slice::<Document>(text).map_err(unreadable);
        let document = match self {
            Self::Json => from_json(bytes)?,
            Self::MessagePack => rmp_serde::from_slice(bytes).map_err(unreadable)?,
            Self::Zstd => from_json(&present(zstd)?.decompress(bytes, false)?)?,
            Self::ZstdWithDictionary => from_json(&present(zstd)?.decompress(bytes, true)?)?,
        };
        Ok(document.values())
    }
}

fn present(zstd: Option<&Zstd>) -> RedisResult<&Zstd> {
    zstd.ok_or_else(|| unreadable("this program was built without zstd"))
}
