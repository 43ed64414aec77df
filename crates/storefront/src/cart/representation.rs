use std::fmt;
use std::str::FromStr;

/// How a cart stores its quantities. Both behave alike in every operation; they differ in what Redis can do with them.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum Representation {
    /// A Hash at `cart:1`: field = SKU, value = quantity. Small, and its fields can have a TTL of their own.
    #[default]
    Hash,
    /// A Sorted Set at `cart:1:by_quantity`: member = SKU, score = quantity. Redis itself can answer which lines have the
    /// most units (`ZREVRANGE`) or more than ten (`ZCOUNT`).
    SortedSet,
}

impl fmt::Display for Representation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Hash => "hash",
            Self::SortedSet => "sorted-set",
        })
    }
}

/// `hash` or `sorted-set`.
impl FromStr for Representation {
    type Err = RepresentationError;

    fn from_str(text: &str) -> Result<Self, RepresentationError> {
        match text {
            "hash" => Ok(Self::Hash),
            "sorted-set" => Ok(Self::SortedSet),
            _ => Err(RepresentationError),
        }
    }
}

/// Not the name of a [`Representation`].
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("a cart is stored as hash or as sorted-set")]
pub struct RepresentationError;
