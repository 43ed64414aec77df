//! The names of cached documents.
//!
//! | on one server | on a cluster | type | holds |
//! |---|---|---|---|
//! | `product:123` | `product:{123}` | String | a product as JSON |
//! | `search:query:page:1` | `search:{query}:page:1` | String | one page of what a search found, as JSON |
//! | `api:rates:EUR` | `api:{rates:EUR}` | String | the answer of another service, as JSON |
//! | `product:123:load` | `product:{123}:load` | String | the token of whoever is loading the document now |
//!
//! What people type becomes [`KeyText`] first, so no search can name a key of its own choice.

use crate::Sku;
use crate::cache::{CacheKey, KeyText};

impl super::Keys {
    /// A product's page.
    #[must_use]
    pub fn cached_product(&self, id: &Sku) -> CacheKey {
        CacheKey::of(format!("{}product:{}", self.prefix, self.tagged(id.as_str())))
    }

    /// One page of what a search found.
    #[must_use]
    pub fn cached_search(&self, query: &KeyText, page: u32) -> CacheKey {
        CacheKey::of(format!("{}search:{}:page:{page}", self.prefix, self.tagged(query.as_str())))
    }

    /// What the service `name` answered to `question`.
    #[must_use]
    pub fn cached_answer(&self, name: &KeyText, question: &KeyText) -> CacheKey {
        CacheKey::of(format!("{}api:{}", self.prefix, self.tagged(&format!("{name}:{question}"))))
    }
}
