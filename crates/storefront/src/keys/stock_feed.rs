//! The names of live stock.
//!
//! | on one server | on a cluster | type | holds |
//! |---|---|---|---|
//! | `stock:PROD123` | `stock:PROD123` | Hash | `level`, `version`, `epoch` |
//! | `stock_updates:PROD123` | `stock_updates:PROD123` | channel | every change of it; a channel belongs to no slot |

use crate::Sku;

impl super::Keys {
    /// The Hash of a product's stock as its watchers see it.
    #[must_use]
    pub fn stock(&self, sku: &Sku) -> String {
        format!("{}stock:{sku}", self.prefix)
    }

    /// The channel on which changes of this product's stock are published.
    #[must_use]
    pub fn stock_updates(&self, sku: &Sku) -> String {
        format!("{}stock_updates:{sku}", self.prefix)
    }
}
