//! What is known of a product, and the record of it: one text, as the index has it in a Hash.

use std::fmt;

use crate::store::StoreError;
use crate::{Cents, Label, ProductName, Sku};

/// One to five stars.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Stars(u8);

impl Stars {
    /// This many stars; `None` outside 1 to 5.
    #[must_use]
    pub const fn new(stars: u8) -> Option<Self> {
        if 1 <= stars && stars <= 5 { Some(Self(stars)) } else { None }
    }

    /// All of them, from 1 to 5.
    #[must_use]
    pub const fn all() -> [Self; 5] {
        [Self(1), Self(2), Self(3), Self(4), Self(5)]
    }

    /// The number itself.
    #[must_use]
    pub const fn get(self) -> u8 {
        self.0
    }
}

impl fmt::Display for Stars {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A product as it is filtered and sorted.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct FacetedProduct {
    /// Its code.
    pub sku: Sku,
    /// What it is called.
    pub name: ProductName,
    /// Who makes it.
    pub brand: Label,
    /// What it belongs to.
    pub category: Label,
    /// What it costs, up to [`Cents::MAX_PRICE`].
    pub price: Cents,
    /// What people think of it.
    pub rating: Stars,
    /// More is more popular. Above 2^53 - 1 counts as that.
    pub popularity: u64,
}

/// A product of the catalogue.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Listed {
    /// As it was put last.
    pub product: FacetedProduct,
    /// When it was first put, by the server's clock, in microseconds of the Unix epoch.
    pub added_us: u64,
}

/// Up to here the scores of Sorted Sets are exact.
const HIGHEST_POPULARITY: u64 = (1 << 53) - 1;

impl FacetedProduct {
    pub(super) fn counted_popularity(&self) -> u64 {
        self.popularity.min(HIGHEST_POPULARITY)
    }

    /// The record up to the moment of adding, and the rest of it. A name may hold anything, so it comes last.
    pub(super) fn record(&self) -> [String; 2] {
        let Self { brand, category, price, rating, name, .. } = self;
        let popularity = self.counted_popularity();
        [format!("{brand}|{category}|{}|{rating}|{popularity}|", price.get()), format!("|{name}")]
    }
}

impl Listed {
    /// Reads a record of the Hash `key`.
    pub(super) fn parse(sku: &[u8], record: &[u8], key: &str) -> Result<Self, StoreError> {
        let sku = String::from_utf8_lossy(sku);
        let record = String::from_utf8_lossy(record);
        read(&sku, &record).ok_or_else(|| StoreError::malformed(key, &sku))
    }
}

fn read(sku: &str, record: &str) -> Option<Listed> {
    let parts: Vec<&str> = record.splitn(7, '|').collect();
    let [brand, category, price, rating, popularity, added, name] = parts[..] else { return None };
    let product = FacetedProduct {
        sku: sku.parse().ok()?,
        name: name.parse().ok()?,
        brand: brand.parse().ok()?,
        category: category.parse().ok()?,
        price: Cents::new(price.parse().ok()?)?,
        rating: Stars::new(rating.parse().ok()?)?,
        popularity: popularity.parse().ok()?,
    };
    Some(Listed { product, added_us: added.parse().ok()? })
}
