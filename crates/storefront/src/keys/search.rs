//! The names of autocomplete and facets.
//!
//! | on one server | on a cluster | type | holds |
//! |---|---|---|---|
//! | `autocomplete:terms` | `{autocomplete}:terms` | Sorted Set | every term with its product's name and SKU, all scores 0 |
//! | `autocomplete:popular` | `{autocomplete}:popular` | Sorted Set | name and SKU, scored by popularity below zero |
//! | `autocomplete:products` | `{autocomplete}:products` | Hash | SKU to name and terms |
//! | `autocomplete:prefix:co` | `{autocomplete}:prefix:co` | Sorted Set | the most popular of those with a term that begins so |
//! | `facet:products` | `{facet}:products` | Hash | SKU to all that is known of the product |
//! | `facet:brand:Acme` | `{facet}:brand:Acme` | Set | SKUs |
//! | `facet:category:Audio` | `{facet}:category:Audio` | Set | SKUs |
//! | `facet:brands` | `{facet}:brands` | Hash | brand to the number of its products |
//! | `facet:categories` | `{facet}:categories` | Hash | category to the number of its products |
//! | `facet:price` | `{facet}:price` | Sorted Set | SKU, scored by cents |
//! | `facet:rating` | `{facet}:rating` | Sorted Set | SKU, scored by stars |
//! | `facet:popularity` | `{facet}:popularity` | Sorted Set | SKU, scored by popularity |
//! | `facet:newest` | `{facet}:newest` | Sorted Set | SKU, scored by the microsecond at which it was first put |
//! | `facet:name` | `{facet}:name` | Sorted Set | name and SKU, all scores 0 |
//!
//! On a cluster each of the two indexes is in one slot: one script changes all of it, and one primary holds it. A prefix is
//! no validated text, so in a name every byte but `a-z 0-9` stands as `%` and two hexadecimal digits.

use std::fmt::Write;

use crate::Label;

impl super::Keys {
    /// The Sorted Set of all terms of autocomplete.
    #[must_use]
    pub fn autocomplete_terms(&self) -> String {
        self.autocomplete("terms")
    }

    /// The Sorted Set of all products of autocomplete by popularity.
    #[must_use]
    pub fn autocomplete_popular(&self) -> String {
        self.autocomplete("popular")
    }

    /// The Hash from each SKU to what autocomplete has of it.
    #[must_use]
    pub fn autocomplete_products(&self) -> String {
        self.autocomplete("products")
    }

    /// The Sorted Set of the most popular products for a prefix, which is normalised already.
    #[must_use]
    pub fn autocomplete_prefix(&self, prefix: &str) -> String {
        let mut name = self.autocomplete("prefix:");
        for byte in prefix.bytes() {
            if byte.is_ascii_lowercase() || byte.is_ascii_digit() {
                name.push(char::from(byte));
            } else {
                // Writing to a String cannot fail.
                let _ = write!(name, "%{byte:02x}");
            }
        }
        name
    }

    /// The Hash from each SKU to the product's record.
    #[must_use]
    pub fn facet_products(&self) -> String {
        self.facet("products")
    }

    /// The Set of the products of one brand.
    #[must_use]
    pub fn facet_brand(&self, brand: &Label) -> String {
        self.facet(&format!("brand:{brand}"))
    }

    /// The Set of the products of one category.
    #[must_use]
    pub fn facet_category(&self, category: &Label) -> String {
        self.facet(&format!("category:{category}"))
    }

    /// The Hash from each brand to the number of its products.
    #[must_use]
    pub fn facet_brands(&self) -> String {
        self.facet("brands")
    }

    /// The Hash from each category to the number of its products.
    #[must_use]
    pub fn facet_categories(&self) -> String {
        self.facet("categories")
    }

    /// The Sorted Set of products by cents.
    #[must_use]
    pub fn facet_price(&self) -> String {
        self.facet("price")
    }

    /// The Sorted Set of products by stars.
    #[must_use]
    pub fn facet_rating(&self) -> String {
        self.facet("rating")
    }

    /// The Sorted Set of products by popularity.
    #[must_use]
    pub fn facet_popularity(&self) -> String {
        self.facet("popularity")
    }

    /// The Sorted Set of products by the time at which they were first put.
    #[must_use]
    pub fn facet_newest(&self) -> String {
        self.facet("newest")
    }

    /// The Sorted Set of products in the order of their names.
    #[must_use]
    pub fn facet_name(&self) -> String {
        self.facet("name")
    }

    fn autocomplete(&self, rest: &str) -> String {
        format!("{}{}:{rest}", self.prefix, self.tagged("autocomplete"))
    }

    fn facet(&self, rest: &str) -> String {
        format!("{}{}:{rest}", self.prefix, self.tagged("facet"))
    }
}
