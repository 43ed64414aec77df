//! Completing what somebody types.
//!
//! A name is found by the beginning of any of its words, whatever the case and the accents: `cafe`, `CAFÉ` and `Café` are
//! one ([`normalised`]). For this each product is indexed under its [`terms`]: its normalised name from each word on, so
//! `blue mug` finds `Big Blue Mug`. Of two [`Index`]es one can choose.
//!
//! The naive way adds terms when a product is put, and knows them no more when it is renamed or removed: the old ones
//! stay, and suggest what is not there. Here a Hash keeps the terms of each product in the slot of the index, so the script
//! that changes a product takes out exactly what an earlier one put in. And `KEYS co*` or `SCAN` with a pattern go through
//! all keys for each letter typed.
//!
//! In reading order: `normal` (what is compared), `change` (put and remove), `suggest`.
//!
//! ```
//! use storefront::autocomplete::{Autocomplete, Index};
//! use storefront::{Keys, Layout};
//!
//! # tokio::runtime::Runtime::new()?.block_on(async {
//! # let server = lab_server::Server::start()?;
//! let connection = redis::Client::open(server.url())?.get_multiplexed_async_connection().await?;
//! let autocomplete = Autocomplete::new(connection, Keys::new("", Layout::Standalone), Index::Weighted);
//!
//! autocomplete.put(&"mug1".parse()?, &"Café mug".parse()?, 40).await?;
//! autocomplete.put(&"mug2".parse()?, &"Mug for campers".parse()?, 70).await?;
//! let found = autocomplete.suggest("MU", 10).await?;
//! assert_eq!(found.iter().map(|it| it.name.as_str()).collect::<Vec<_>>(), ["Mug for campers", "Café mug"]);
//! assert_eq!(autocomplete.suggest("cafe", 10).await?[0].sku, "mug1".parse()?);
//!
//! autocomplete.remove(&"mug1".parse()?).await?;
//! assert_eq!(autocomplete.suggest("cafe", 10).await?, []);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod change;
mod normal;
mod suggest;

use redis::aio::ConnectionLike;

pub use normal::{normalised, terms};

use crate::{Keys, ProductName, Sku};

/// The most suggestions that [`Autocomplete::suggest`] gives.
pub const MOST_SUGGESTIONS: usize = 20;

/// How many terms [`Index::Lexicographic`] looks at for one prefix: what bounds the time of its script.
pub const MOST_HITS: usize = 1_000;

/// The longest prefix, in characters, that has a list of its own in [`Index::Weighted`].
pub const LONGEST_LISTED_PREFIX: usize = 8;

/// How many products the list of one prefix keeps in [`Index::Weighted`].
pub const KEPT_OF_A_PREFIX: usize = 100;

/// The highest popularity, 2^53 - 1: up to there the score of a Sorted Set is exact.
pub const HIGHEST_POPULARITY: u64 = (1 << 53) - 1;

/// How suggestions are found. All clients of one shop use the same; to change it, remove the keys of `autocomplete` and
/// put every product again.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Index {
    /// One Sorted Set of all terms, read with `ZRANGE … BYLEX`; the hits are ranked when they are asked for. Small and
    /// cheap to change. But it looks at [`MOST_HITS`] terms at most, in the order of the alphabet: where a prefix has more,
    /// a popular product may be missed.
    #[default]
    Lexicographic,
    /// Beside it a Sorted Set of the most popular products for each prefix of up to [`LONGEST_LISTED_PREFIX`] characters:
    /// one `ZRANGE` of what is to be shown, always exact. It costs memory, and a change writes up to 8 lists for each word
    /// of a name. A list keeps the best [`KEPT_OF_A_PREFIX`]; when removals have left less than [`MOST_SUGGESTIONS`] of
    /// them, the script of that removal fills it again from all terms of the prefix. Longer prefixes have few hits, and are
    /// asked for as with [`Index::Lexicographic`].
    Weighted,
}

/// A product that completes what was typed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Suggestion {
    /// Its code.
    pub sku: Sku,
    /// Its name as it was put.
    pub name: ProductName,
    /// The popularity it was put with.
    pub popularity: u64,
}

/// The index of a shop's products by what people type.
///
/// The whole index is in one slot of a cluster, so one script keeps it right, and one primary answers all who type. It is
/// small (some hundred bytes for a product, some kilobytes with [`Index::Weighted`]) and may be read from replicas; who
/// needs more makes one index for each category or language, each with a prefix of its own in its [`Keys`].
///
/// Nothing here expires: the index is as large as the catalogue.
#[derive(Clone, Debug)]
pub struct Autocomplete<C> {
    connection: C,
    keys: Keys,
    index: Index,
}

impl<C: ConnectionLike + Clone> Autocomplete<C> {
    /// The index under `keys`.
    pub fn new(connection: C, keys: Keys, index: Index) -> Self {
        Self { connection, keys, index }
    }

    /// How suggestions are found.
    #[must_use]
    pub fn index(&self) -> Index {
        self.index
    }
}
