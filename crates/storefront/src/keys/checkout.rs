//! The names of orders.
//!
//! | on one server | on a cluster | type | holds |
//! |---|---|---|---|
//! | `order:ORD-1` | `order:{ORD-1}` | Hash | `state`, `owner`, `total_cents`, and `line:SKU` = units and cents each |
//! | `unfinished_orders` | `unfinished_orders` | Sorted Set | orders, scored by the millisecond at which they are given up |
//! | `cart:1:bought:ORD-1` | `cart:{1}:bought:ORD-1` | String | that this order's units were taken out of the cart; has a TTL |

use super::Keys;
use crate::{CartOwner, OrderId};

impl Keys {
    /// The Hash of one order.
    #[must_use]
    pub fn order(&self, order: &OrderId) -> String {
        format!("{}order:{}", self.prefix, self.tagged(order.as_str()))
    }

    /// The Sorted Set of orders that are neither done nor cancelled, by when somebody else must look after them.
    #[must_use]
    pub fn unfinished_orders(&self) -> String {
        format!("{}unfinished_orders", self.prefix)
    }

    /// The mark in a cart's slot that an order's units were taken out of it.
    #[must_use]
    pub fn bought(&self, owner: &CartOwner, order: &OrderId) -> String {
        format!("{}cart:{}:bought:{order}", self.prefix, self.tagged(&owner.to_string()))
    }
}
