//! Thirteen ways to store the same users: written, read, changed, and timed. The lesson `memory` weighs them.
//!
//! [`Encoding`] is a way. `codec` turns a whole user, a `document`, into bytes, with `zstd` where it is built in; `columns` keeps one field of
//! many users side by side. `store` writes, reads, and changes users in every encoding, and `access` measures how long that takes.

mod access;
mod codec;
mod columns;
mod document;
mod store;
#[cfg_attr(not(feature = "zstd"), path = "memory/no_zstd.rs")]
mod zstd;

pub use self::access::{Access, changes_are_kept, measure};
use self::codec::Codec;
use self::columns::Columns;
pub use self::columns::SOURCE as COLUMNS;
pub use self::document::Values;
pub use self::store::Store;
pub use self::zstd::Zstd;
use crate::people::FIELDS;

/// One letter for each of [`FIELDS`].
const SHORT_FIELDS: [&str; 8] = ["f", "l", "e", "a", "c", "d", "s", "u"];

/// Defines [`Encoding`]: for each variant its row in a table, its part of a key's name, and where the values are.
macro_rules! encodings {
    ($($(#[$doc:meta])* $variant:ident: $label:literal, $name:literal, $layout:expr;)*) => {
        /// A way to store a user.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
        pub enum Encoding {
            $($(#[$doc])* $variant,)*
        }

        impl Encoding {
            /// All of them, in the order of the tables.
            pub const ALL: [Self; [$($name),*].len()] = [$(Self::$variant),*];

            fn about(self) -> (&'static str, &'static str, Layout) {
                match self {
                    $(Self::$variant => ($label, $name, $layout),)*
                }
            }
        }
    };
}

// Keys of single users and of buckets differ in the rest of the name, so they may share this part.
encodings! {
    /// A JSON text in a String.
    JsonString: "JSON", "json", Layout::Strings(Codec::Json);
    /// A MessagePack array, without field names, in a String.
    MessagePackString: "MessagePack", "pack", Layout::Strings(Codec::MessagePack);
    /// The JSON text, compressed alone by zstd, in a String.
    ZstdString: "JSON, zstd", "zstd", Layout::Strings(Codec::Zstd);
    /// The JSON text, compressed by zstd with a trained dictionary, in a String.
    DictionaryString: "JSON, zstd, dictionary", "dict", Layout::Strings(Codec::ZstdWithDictionary);
    /// A Hash with the documented field names.
    Hash: "Hash", "hash", Layout::Hashes(&FIELDS);
    /// A Hash with field names of one letter.
    ShortHash: "Hash, short names", "abbr", Layout::Hashes(&SHORT_FIELDS);
    /// JSON texts in a Hash for each bucket of users.
    JsonBuckets: "buckets: JSON", "json", Layout::Buckets(Codec::Json);
    /// MessagePack arrays in a Hash for each bucket.
    MessagePackBuckets: "buckets: MessagePack", "msgpack", Layout::Buckets(Codec::MessagePack);
    /// Texts compressed with the dictionary in a Hash for each bucket.
    DictionaryBuckets: "buckets: zstd, dictionary", "zstd", Layout::Buckets(Codec::ZstdWithDictionary);
    /// A Hash for each bucket and field, values as they are.
    Columns: "columns: Hashes", "columns", Layout::Columns(Columns::Plain);
    /// A Hash for each bucket and field; cities, departments, and dates as numbers.
    CodedColumns: "columns: Hashes, codes", "codes", Layout::Columns(Columns::Coded);
    /// A List for each bucket and field, a user by its position; the same numbers.
    Lists: "columns: Lists, codes", "lists", Layout::Columns(Columns::Listed);
    /// Numbers side by side in the bits of one String for each bucket, names in Lists.
    Bits: "columns: bits and Lists", "bits", Layout::Columns(Columns::Packed);
}

/// Where a user's values are.
#[derive(Clone, Copy, Debug)]
enum Layout {
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
    /// Its row in a table.
    pub fn label(self) -> &'static str {
        self.about().0
    }

    /// Its part of a key's name.
    pub fn name(self) -> &'static str {
        self.about().1
    }

    fn layout(self) -> Layout {
        self.about().2
    }

    /// Whether one command reads or writes one field, and the rest of the user neither travels nor is decoded.
    pub fn has_field_access(self) -> bool {
        matches!(self.layout(), Layout::Hashes(_) | Layout::Columns(_))
    }

    /// Those that this program was built with: zstd is left out of some.
    pub fn built_in() -> impl Iterator<Item = Self> {
        let needs_zstd = |one: &Self| *one == Self::ZstdString || one.needs_dictionary();
        Self::ALL.into_iter().filter(move |one| cfg!(feature = "zstd") || !needs_zstd(one))
    }

    /// Whether it cannot be read without the dictionary.
    fn needs_dictionary(self) -> bool {
        matches!(self, Self::DictionaryString | Self::DictionaryBuckets)
    }
}
