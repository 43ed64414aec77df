use serde::Deserialize;

use crate::Sku;

/// One change of a product's stock, as [`Keys::inventory_updates`](crate::Keys::inventory_updates) has it.
///
/// ```
/// use storefront::inventory::{Alert, StockUpdate};
///
/// let update = StockUpdate::parse(
///     br#"{"n":7,"product":"PROD123","event":"held","id":"ann-1","units":2,"free":5,"held":2,"sold":3,"at_ms":1700000000000,"alert":"raised"}"#,
/// )?;
/// assert_eq!((update.event.as_str(), update.free, update.alert), ("held", 5, Some(Alert::Raised)));
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
pub struct StockUpdate {
    /// The number of the change: 1, 2, 3 for each product.
    pub n: u64,
    /// The product.
    pub product: Sku,
    /// `set_up`, `restocked`, `held`, `sold`, `released`, `expired`, `returned` (sold, and taken back) or `threshold`.
    pub event: String,
    /// The reservation or delivery; empty where there is none.
    pub id: String,
    /// The units it was about.
    pub units: u64,
    /// The units free to sell after it.
    pub free: u64,
    /// The units held after it.
    pub held: u64,
    /// The units sold after it.
    pub sold: u64,
    /// When: milliseconds of the Unix epoch by the server's clock.
    pub at_ms: u64,
    /// Whether it raised or cleared the low-stock alert.
    pub alert: Option<Alert>,
}

/// What a change has done to the low-stock alert.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "snake_case")]
pub enum Alert {
    /// The stock has become low.
    Raised,
    /// It is no longer low.
    Cleared,
}

impl StockUpdate {
    /// Reads an entry of the list. Others may write there, so it can be anything.
    pub fn parse(entry: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(entry)
    }
}
