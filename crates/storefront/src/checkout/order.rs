//! An order as its Hash has it.

use std::fmt;
use std::str::FromStr;

use serde::Serialize;

use crate::store::StoreError;
use crate::{CartOwner, Cents, OrderId, Quantity, Sku, money};

/// An order.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Order {
    /// The id that the customer's client has chosen.
    pub id: OrderId,
    /// Whose cart it was made of.
    pub owner: CartOwner,
    /// How far it is.
    pub state: OrderState,
    /// What is bought, ordered by SKU.
    pub lines: Vec<OrderLine>,
    /// What it costs: written down once, when it was opened.
    #[serde(serialize_with = "money::both")]
    pub total: Cents,
    /// Why it is cancelled, if it is.
    pub reason: Option<Reason>,
    /// Whether money may have been asked for, and whether it is known to have been paid.
    pub(super) asked_for_money: bool,
    pub(super) paid: bool,
}

/// One product of an order.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct OrderLine {
    /// The product.
    pub sku: Sku,
    /// How many.
    pub units: Quantity,
    /// What one costs.
    #[serde(serialize_with = "money::both")]
    pub unit_price: Cents,
}

/// How far an order is. `Done` and `Cancelled` are the ends.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum OrderState {
    /// Written down. Its lines are being held.
    Open,
    /// Held, and about to be charged. From here on only [`Payments`](super::Payments) knows whether it is.
    Paying,
    /// Charged. Its lines are being sold.
    Paid,
    /// All lines are sold. The cart still has them.
    Sold,
    /// Bought.
    Done,
    /// It is to be undone: the money refunded, the holds released.
    Cancelling,
    /// Undone: nothing is charged, nothing is held, the cart is as it was.
    Cancelled,
}

/// Why an order is cancelled.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// Fewer units of a product were available than were in the cart.
    OutOfStock {
        /// The product.
        sku: Sku,
        /// The units that were.
        available: u64,
    },
    /// No stock is kept of a product.
    NotInStock {
        /// The product.
        sku: Sku,
    },
    /// The payment was declined.
    Declined,
    /// A product was no longer held when it was to be sold: it took too long. What was paid is refunded.
    LostHold {
        /// The product.
        sku: Sku,
    },
    /// The buyer did not come back in time.
    Abandoned,
}

const STATES: [(OrderState, &str); 7] = [
    (OrderState::Open, "open"),
    (OrderState::Paying, "paying"),
    (OrderState::Paid, "paid"),
    (OrderState::Sold, "sold"),
    (OrderState::Done, "done"),
    (OrderState::Cancelling, "cancelling"),
    (OrderState::Cancelled, "cancelled"),
];

impl OrderState {
    /// Whether there is nothing left to do.
    #[must_use]
    pub fn is_finished(self) -> bool {
        matches!(self, Self::Done | Self::Cancelled)
    }
}

impl fmt::Display for OrderState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = STATES.iter().find(|(state, _)| state == self).map_or("", |(_, name)| name);
        f.pad(name)
    }
}

impl FromStr for OrderState {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        STATES.iter().find(|(_, name)| *name == text).map(|(state, _)| *state).ok_or(())
    }
}

/// As the Hash has it: `out_of_stock PROD123 2`.
impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OutOfStock { sku, available } => write!(f, "out_of_stock {sku} {available}"),
            Self::NotInStock { sku } => write!(f, "not_in_stock {sku}"),
            Self::Declined => write!(f, "declined"),
            Self::LostHold { sku } => write!(f, "lost_hold {sku}"),
            Self::Abandoned => write!(f, "abandoned"),
        }
    }
}

impl FromStr for Reason {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let words: Vec<&str> = text.split(' ').collect();
        let sku = |text: &str| text.parse::<Sku>().map_err(|_| ());
        match words[..] {
            ["out_of_stock", product, available] => {
                Ok(Self::OutOfStock { sku: sku(product)?, available: available.parse().map_err(|_| ())? })
            }
            ["not_in_stock", product] => Ok(Self::NotInStock { sku: sku(product)? }),
            ["declined"] => Ok(Self::Declined),
            ["lost_hold", product] => Ok(Self::LostHold { sku: sku(product)? }),
            ["abandoned"] => Ok(Self::Abandoned),
            _ => Err(()),
        }
    }
}

impl Order {
    /// Reads the fields of the Hash at `key`.
    pub(super) fn parse(id: &OrderId, key: &str, stored: &[(String, String)]) -> Result<Self, StoreError> {
        let bad = |field: &str| StoreError::malformed(key, field);
        let field = |name: &str| stored.iter().find(|(field, _)| field == name).map(|(_, value)| value);
        let needed = |name: &str| field(name).ok_or_else(|| bad(name));
        let mut lines = Vec::new();
        for (name, value) in stored {
            if let Some(sku) = name.strip_prefix("line:") {
                lines.push(OrderLine::parse(sku, value).ok_or_else(|| bad(name))?);
            }
        }
        lines.sort_unstable_by(|a, b| a.sku.cmp(&b.sku));
        let total = needed("total_cents")?.parse().ok().and_then(Cents::new);
        Ok(Self {
            id: id.clone(),
            owner: needed("owner")?.parse().map_err(|_| bad("owner"))?,
            state: needed("state")?.parse().map_err(|()| bad("state"))?,
            lines,
            total: total.ok_or_else(|| bad("total_cents"))?,
            reason: field("reason").map(|reason| reason.parse().map_err(|()| bad("reason"))).transpose()?,
            asked_for_money: field("asked_for_money").is_some(),
            paid: field("paid").is_some(),
        })
    }
}

impl OrderLine {
    fn parse(sku: &str, value: &str) -> Option<Self> {
        let (units, cents) = value.split_once(' ')?;
        Some(Self {
            sku: sku.parse().ok()?,
            units: units.parse().ok()?,
            unit_price: cents.parse().ok().and_then(Cents::new)?,
        })
    }

    /// As the Hash has it: units, and cents each.
    pub(super) fn stored(&self) -> (String, String) {
        (format!("line:{}", self.sku), format!("{} {}", self.units, self.unit_price.get()))
    }
}
