//! What the shop tells browsers.

use serde::{Deserialize, Serialize};

/// What changed.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A customer's cart.
    Cart,
    /// The units of a product.
    Stock,
    /// An order was placed.
    Order,
    /// The flash sale.
    Sale,
    /// A customer has a notification.
    Note,
    /// A session has ended. Its streams end too.
    Bye,
    /// Events are missing. Read the page again.
    Resync,
}

impl Kind {
    /// Its name in the stream.
    pub fn name(self) -> &'static str {
        match self {
            Self::Cart => "cart",
            Self::Stock => "stock",
            Self::Order => "order",
            Self::Sale => "sale",
            Self::Note => "note",
            Self::Bye => "bye",
            Self::Resync => "resync",
        }
    }
}

/// A change, as it is in the stream in Redis.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Change {
    /// What changed.
    pub kind: Kind,
    /// Whom it concerns; nobody else gets it. `None` for all.
    pub to: Option<String>,
    /// The product.
    pub sku: Option<String>,
    /// How many units are left.
    pub left: Option<u64>,
}

impl Change {
    /// For everybody.
    pub fn all(kind: Kind) -> Self {
        Self { kind, to: None, sku: None, left: None }
    }

    /// For one customer.
    pub fn to(kind: Kind, customer: &str) -> Self {
        Self { to: Some(customer.to_owned()), ..Self::all(kind) }
    }

    /// The stock of a product.
    pub fn stock(sku: &str, left: u64) -> Self {
        Self { sku: Some(sku.to_owned()), left: Some(left), ..Self::all(Kind::Stock) }
    }
}
