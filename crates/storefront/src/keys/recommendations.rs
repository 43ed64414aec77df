//! The names of views, interests, popularity and purchases.
//!
//! | on one server | on a cluster | type | holds |
//! |---|---|---|---|
//! | `recent_views:user123` | the same | List | SKUs, the latest first, each once |
//! | `interests:user123` | the same | Set | labels |
//! | `interested:Books` | the same | Sorted Set | the customers who like it, scored by when they said so |
//! | `purchases:user123` | the same | Sorted Set | the SKUs he bought, scored by when |
//! | `buyers:PROD123` | the same | Sorted Set | the customers who bought it, scored by when |
//! | `popular_products` | `{popular_products}` | Sorted Set | SKU, scored by its views, which fade |
//! | `popular_products:landmark` | `{popular_products}:landmark` | String | the moment at which a view counts 1 |
//! | `popular_products:in:Books` | `popular_products:in:{Books}` | Sorted Set | the same for one category |
//! | `popular_products:in:Books:landmark` | `popular_products:in:{Books}:landmark` | String | the same for one category |
//! | `also_bought:PROD123` | `also_bought:{PROD123}` | Sorted Set | SKU, scored by the orders it shared with this one |
//! | `also_bought:PROD123:orders` | `also_bought:{PROD123}:orders` | Sorted Set | orders counted lately, scored by when |
//! | `also_bought:PROD123:support` | `also_bought:{PROD123}:support` | String | how many orders it was in |
//! | `product_vectors` | the same | vector set | SKU and its vector |
//!
//! `popular_products` keeps its name to the letter: on a cluster the braces are around the whole of it.

use crate::{CustomerId, Label, Sku};

impl super::Keys {
    /// The List of what a customer looked at.
    #[must_use]
    pub fn recent_views(&self, customer: &CustomerId) -> String {
        format!("{}recent_views:{customer}", self.prefix)
    }

    /// The Set of what a customer likes.
    #[must_use]
    pub fn interests(&self, customer: &CustomerId) -> String {
        format!("{}interests:{customer}", self.prefix)
    }

    /// The Sorted Set of the customers who like this.
    #[must_use]
    pub fn interested(&self, interest: &Label) -> String {
        format!("{}interested:{interest}", self.prefix)
    }

    /// The Sorted Set of what a customer bought.
    #[must_use]
    pub fn purchases(&self, customer: &CustomerId) -> String {
        format!("{}purchases:{customer}", self.prefix)
    }

    /// The Sorted Set of the customers who bought this.
    #[must_use]
    pub fn buyers(&self, sku: &Sku) -> String {
        format!("{}buyers:{sku}", self.prefix)
    }

    /// The Sorted Set of all products by popularity.
    #[must_use]
    pub fn popular_products(&self) -> String {
        format!("{}{}", self.prefix, self.tagged("popular_products"))
    }

    /// The Sorted Set of one category's products by popularity.
    #[must_use]
    pub fn popular_products_in(&self, category: &Label) -> String {
        format!("{}popular_products:in:{}", self.prefix, self.tagged(category.as_str()))
    }

    /// The moment that belongs to a Sorted Set of popularity.
    pub(crate) fn landmark_of(popular: &str) -> String {
        format!("{popular}:landmark")
    }

    /// The Sorted Set of what was bought together with this product.
    #[must_use]
    pub fn also_bought(&self, sku: &Sku) -> String {
        format!("{}also_bought:{}", self.prefix, self.tagged(sku.as_str()))
    }

    /// The orders with this product that were counted lately.
    #[must_use]
    pub fn also_bought_orders(&self, sku: &Sku) -> String {
        format!("{}:orders", self.also_bought(sku))
    }

    /// How many orders this product was in.
    #[must_use]
    pub fn also_bought_support(&self, sku: &Sku) -> String {
        format!("{}:support", self.also_bought(sku))
    }

    /// The vector set of all products.
    #[must_use]
    pub fn product_vectors(&self) -> String {
        format!("{}product_vectors", self.prefix)
    }
}
