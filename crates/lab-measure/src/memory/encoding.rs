//! The ways to store a user.

use super::columns::Columns;
use super::document::Codec;
use crate::people::FIELDS;

/// One letter for each of [`FIELDS`].
const SHORT_FIELDS: [&str; 8] = ["f", "l", "e", "a", "c", "d", "s", "u"];

/// A way to store a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub enum Encoding {
    /// A JSON text in a String.
    JsonString,
    /// A MessagePack array, without field names, in a String.
    MessagePackString,
    /// The JSON text, compressed alone by zstd, in a String.
    ZstdString,
    /// The JSON text, compressed by zstd with a trained dictionary, in a String.
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
    /// The same, on a server that is set to pack longer values.
    MessagePackPacked,
    /// Texts compressed with the dictionary in a Hash for each bucket.
    DictionaryBuckets,
    /// A Hash for each bucket and field, values as they are.
    Columns,
    /// A Hash for each bucket and field; cities, departments, and dates as numbers.
    CodedColumns,
    /// A List for each bucket and field, a user by its position; the same numbers.
    Lists,
    /// Numbers side by side in the bits of one String for each bucket, names in Lists.
    Bits,
}

/// Where a user's values are.
#[derive(Clone, Copy, Debug)]
pub(super) enum Layout {
    /// The whole user in a String.
    Strings(Codec),
    /// The whole user in a field of its bucket's Hash.
    Buckets(Codec),
    /// A Hash with these field names.
    Hashes(&'static [&'static str; 8]),
    /// Each value in a column of its bucket.
    Columns(Columns),
}

impl Encoding {
    /// All of them, in the order of the tables.
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

    /// Its row in a table, its part of a key's name, and where the values are. Keys of single users and of buckets differ in
    /// the rest of the name, so they may share this part.
    fn about(self) -> (&'static str, &'static str, Layout) {
        use Layout::{Buckets, Hashes, Strings};
        match self {
            Self::JsonString => ("JSON", "json", Strings(Codec::Json)),
            Self::MessagePackString => ("MessagePack", "pack", Strings(Codec::MessagePack)),
            Self::ZstdString => ("JSON, zstd", "zstd", Strings(Codec::Zstd)),
            Self::DictionaryString => ("JSON, zstd, dictionary", "dict", Strings(Codec::ZstdWithDictionary)),
            Self::Hash => ("Hash", "hash", Hashes(&FIELDS)),
            Self::HashTable => ("Hash, as hash table", "htab", Hashes(&FIELDS)),
            Self::ShortHash => ("Hash, short names", "abbr", Hashes(&SHORT_FIELDS)),
            Self::JsonBuckets => ("buckets: JSON", "json", Buckets(Codec::Json)),
            Self::MessagePackBuckets => ("buckets: MessagePack", "msgpack", Buckets(Codec::MessagePack)),
            Self::MessagePackPacked => ("the same, packed", "packed", Buckets(Codec::MessagePack)),
            Self::DictionaryBuckets => {
                ("buckets: zstd, dictionary", "zstd", Buckets(Codec::ZstdWithDictionary))
            }
            Self::Columns => ("columns: Hashes", "columns", Layout::Columns(Columns::Plain)),
            Self::CodedColumns => ("columns: Hashes, codes", "codes", Layout::Columns(Columns::Coded)),
            Self::Lists => ("columns: Lists, codes", "lists", Layout::Columns(Columns::Listed)),
            Self::Bits => ("columns: bits and Lists", "bits", Layout::Columns(Columns::Packed)),
        }
    }

    /// Its row in a table.
    #[must_use]
    pub fn label(self) -> &'static str {
        self.about().0
    }

    /// Its part of a key's name.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.about().1
    }

    pub(super) fn layout(self) -> Layout {
        self.about().2
    }

    /// Whether one command reads or writes one field, and the rest of the user neither travels nor is decoded.
    #[must_use]
    pub fn has_field_access(self) -> bool {
        matches!(self.layout(), Layout::Hashes(_) | Layout::Columns(_))
    }

    /// Whether it needs zstd.
    #[must_use]
    pub fn needs_zstd(self) -> bool {
        self == Self::ZstdString || self.needs_dictionary()
    }

    /// Whether it cannot be read without the dictionary.
    pub(super) fn needs_dictionary(self) -> bool {
        matches!(self, Self::DictionaryString | Self::DictionaryBuckets)
    }
}
