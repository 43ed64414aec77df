//! The ways to store a user that are weighed.

use super::codec::Codec;
use super::columns::Column;
use super::limits::Limit;
use crate::people::FIELDS;

/// One letter for each of [`FIELDS`].
pub const SHORT_FIELDS: [&str; 8] = ["f", "l", "e", "a", "c", "d", "s", "u"];

/// A way to store a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub enum Encoding {
    /// A JSON text in a String.
    JsonString,
    /// A MessagePack array, without field names, in a String.
    MessagePackString,
    /// The JSON text compressed by zstd, each alone.
    ZstdString,
    /// The JSON text compressed by zstd with a trained dictionary.
    DictionaryString,
    /// A Hash with the documented field names.
    Hash,
    /// The same Hash, forced into a hash table.
    HashTable,
    /// A Hash with field names of one letter.
    ShortHash,
    /// JSON texts in a Hash for each bucket of users.
    JsonBuckets,
    /// MessagePack arrays in a Hash for each bucket.
    MessagePackBuckets,
    /// The same, where the server was told to pack longer values.
    MessagePackPacked,
    /// Texts compressed with the dictionary in a Hash for each bucket.
    DictionaryBuckets,
    /// A Hash for each bucket and field, values as they are.
    Columns,
    /// A Hash for each bucket and field; cities, departments and dates as numbers.
    CodedColumns,
    /// A List for each bucket and field, a user by its position; the same numbers.
    Lists,
    /// Numbers side by side in the bits of one String for each bucket, names in Lists.
    Bits,
}

/// Where a user's values are.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Layout {
    /// The whole user in a String.
    Strings(Codec),
    /// The whole user in a field of its bucket's Hash.
    Buckets(Codec),
    /// A Hash with these field names.
    Hashes(&'static [&'static str; 8]),
    /// Each value in a column of its bucket.
    Columns(fn(usize) -> Column),
}

impl Encoding {
    /// All of them, in the order in which they are reports.
    pub const ALL: [Self; 15] = [
        Self::JsonString,
        Self::MessagePackString,
        Self::ZstdString,
        Self::DictionaryString,
        Self::Hash,
        Self::HashTable,
        Self::ShortHash,
        Self::JsonBuckets,
        Self::MessagePackBuckets,
        Self::MessagePackPacked,
        Self::DictionaryBuckets,
        Self::Columns,
        Self::CodedColumns,
        Self::Lists,
        Self::Bits,
    ];

    /// Its row in a table.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::JsonString => "JSON",
            Self::MessagePackString => "MessagePack",
            Self::ZstdString => "JSON, zstd",
            Self::DictionaryString => "JSON, zstd, dictionary",
            Self::Hash => "Hash",
            Self::HashTable => "Hash, as hash table",
            Self::ShortHash => "Hash, short names",
            Self::JsonBuckets => "buckets: JSON",
            Self::MessagePackBuckets => "buckets: MessagePack",
            Self::MessagePackPacked => "the same, packed",
            Self::DictionaryBuckets => "buckets: zstd, dictionary",
            Self::Columns => "columns: Hashes",
            Self::CodedColumns => "columns: Hashes, codes",
            Self::Lists => "columns: Lists, codes",
            Self::Bits => "columns: bits and Lists",
        }
    }

    /// Its part of a key's name. Keys of single users and of buckets differ in the rest, so they may share it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::JsonString | Self::JsonBuckets => "json",
            Self::MessagePackString => "pack",
            Self::ZstdString | Self::DictionaryBuckets => "zstd",
            Self::DictionaryString => "dict",
            Self::Hash => "hash",
            Self::HashTable => "htab",
            Self::ShortHash => "abbr",
            Self::MessagePackBuckets => "msgpack",
            Self::MessagePackPacked => "packed",
            Self::Columns => "columns",
            Self::CodedColumns => "codes",
            Self::Lists => "lists",
            Self::Bits => "bits",
        }
    }

    /// Whether one command reads or writes one field, and the rest of the record neither travels nor is decoded.
    #[must_use]
    pub fn field_access(self) -> bool {
        matches!(self.layout(), Layout::Hashes(_) | Layout::Columns(_))
    }

    /// Whether it can only be had with zstd.
    #[must_use]
    pub fn needs_zstd(self) -> bool {
        matches!(self, Self::ZstdString | Self::DictionaryString | Self::DictionaryBuckets)
    }

    /// The setting that it needs while it is written and changed; only a private server may be given one.
    #[must_use]
    pub fn needs_setting(self) -> Option<(Limit, u64)> {
        match self {
            Self::HashTable => Some((Limit::Entries, 0)),
            Self::MessagePackPacked => Some((Limit::ValueBytes, 256)),
            _ => None,
        }
    }

    /// Whether it cannot be read without the dictionary.
    pub(crate) fn uses_dictionary(self) -> bool {
        matches!(self, Self::DictionaryString | Self::DictionaryBuckets)
    }

    pub(crate) fn layout(self) -> Layout {
        match self {
            Self::JsonString => Layout::Strings(Codec::Json),
            Self::MessagePackString => Layout::Strings(Codec::MessagePack),
            Self::ZstdString => Layout::Strings(Codec::Zstd),
            Self::DictionaryString => Layout::Strings(Codec::ZstdWithDictionary),
            Self::Hash | Self::HashTable => Layout::Hashes(&FIELDS),
            Self::ShortHash => Layout::Hashes(&SHORT_FIELDS),
            Self::JsonBuckets => Layout::Buckets(Codec::Json),
            Self::MessagePackBuckets | Self::MessagePackPacked => Layout::Buckets(Codec::MessagePack),
            Self::DictionaryBuckets => Layout::Buckets(Codec::ZstdWithDictionary),
            Self::Columns => Layout::Columns(Column::plain),
            Self::CodedColumns => Layout::Columns(Column::coded),
            Self::Lists => Layout::Columns(Column::listed),
            Self::Bits => Layout::Columns(Column::packed),
        }
    }
}
