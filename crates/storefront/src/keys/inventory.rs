//! The names of stock.
//!
//! | on one server | on a cluster | type | holds |
//! |---|---|---|---|
//! | `inventory:PROD123` | `inventory:{PROD123}` | String | units free to sell now |
//! | `inventory:PROD123:ledger` | `inventory:{PROD123}:ledger` | Hash | `held`, `sold`, and a record of each reservation |
//! | `inventory:PROD123:deadlines` | `inventory:{PROD123}:deadlines` | Sorted Set | holds, scored by the millisecond at which they end |
//! | `inventory:PROD123:settled` | `inventory:{PROD123}:settled` | Sorted Set | settled records, scored by the millisecond at which they are forgotten |
//! | - | `inventory:{PROD123}:outbox` | List | entries on their way to the list of updates, oldest first |
//! | `inventory_updates` | `inventory_updates:{inventory}` | List | the latest changes of all products, latest first, as JSON |
//! | `low_stock_alerts` | `low_stock_alerts:{inventory}` | Sorted Set | products that are low, scored by the units free |
//! | - | `inventory_delivered:{inventory}` | Hash | product to the number of its last change in the two above |
//! | `inventory_due` | `inventory_due` | Sorted Set | products, scored by when the sweeper must come (on a cluster 0: always) |

use super::{Keys, Layout};
use crate::Sku;

impl Keys {
    /// The keys of one product's stock.
    #[must_use]
    pub fn inventory(&self, product: &Sku) -> InventoryKeys {
        let free = format!("{}inventory:{}", self.prefix, self.tagged(product.as_str()));
        InventoryKeys {
            ledger: format!("{free}:ledger"),
            deadlines: format!("{free}:deadlines"),
            settled: format!("{free}:settled"),
            outbox: format!("{free}:outbox"),
            free,
        }
    }

    /// The List of the latest changes of all products' stock.
    #[must_use]
    pub fn inventory_updates(&self) -> String {
        self.beside_the_inventory("inventory_updates")
    }

    /// The Sorted Set of products of which few are left.
    #[must_use]
    pub fn low_stock_alerts(&self) -> String {
        self.beside_the_inventory("low_stock_alerts")
    }

    /// The Hash from a product to the number of its last change that reached the two keys above (cluster only).
    #[must_use]
    pub fn inventory_delivered(&self) -> String {
        self.beside_the_inventory("inventory_delivered")
    }

    /// The Sorted Set of products that the sweeper looks after.
    #[must_use]
    pub fn inventory_due(&self) -> String {
        format!("{}inventory_due", self.prefix)
    }

    /// Every key that the stock of `product` can have beside those of all products.
    #[must_use]
    pub fn all_of_inventory(&self, product: &Sku) -> Vec<String> {
        let InventoryKeys { free, ledger, deadlines, settled, outbox } = self.inventory(product);
        vec![free, ledger, deadlines, settled, outbox]
    }

    /// One script writes them together, so on a cluster they share a slot.
    fn beside_the_inventory(&self, name: &str) -> String {
        match self.layout {
            Layout::Standalone => format!("{}{name}", self.prefix),
            Layout::Cluster => format!("{}{name}:{{inventory}}", self.prefix),
        }
    }
}

/// The keys of one product's stock, all in one slot.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct InventoryKeys {
    /// The units free to sell: a String, a plain count.
    pub free: String,
    /// `held`, `sold`, and a record of each reservation: a Hash.
    pub ledger: String,
    /// Holds by when they end, in milliseconds of the Unix epoch: a Sorted Set.
    pub deadlines: String,
    /// Settled records by when they are forgotten, in milliseconds of the Unix epoch: a Sorted Set.
    pub settled: String,
    /// What the list of updates is still to be told: a List (cluster only).
    pub outbox: String,
}
