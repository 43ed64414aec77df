//! The names of stores on the map.
//!
//! | on one server | on a cluster | type | holds |
//! |---|---|---|---|
//! | `stores` | `{store}s` | Sorted Set | every store, scored by its place |
//! | `store:harbour` | `{store}:harbour` | Hash | `name`, `longitude`, `latitude`, and the hours of each day, `mon` to `sun` |
//!
//! On a cluster all stores share a slot with their map, so adding, moving and removing one is one step there too. The
//! map is one key, and so on one node, in any case.

use crate::stores::StoreId;

impl super::Keys {
    /// The Sorted Set of all stores by place.
    #[must_use]
    pub fn stores(&self) -> String {
        format!("{}{}s", self.prefix, self.tagged("store"))
    }

    /// The Hash of one store.
    #[must_use]
    pub fn store(&self, id: &StoreId) -> String {
        format!("{}{}:{id}", self.prefix, self.tagged("store"))
    }
}
