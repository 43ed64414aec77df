//! A whole user as bytes: JSON, MessagePack, or compressed. The server cannot look inside.

use redis::RedisResult;

use super::document::{Document, Values, unreadable};
use super::zstd::Zstd;

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
            Self::Zstd | Self::ZstdWithDictionary => {
                let zstd = zstd.ok_or_else(|| unreadable(NO_ZSTD))?;
                zstd.compress(&document.json()?, self == Self::ZstdWithDictionary)
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
