use serde::Deserialize;

use crate::{Cents, Sku};

/// One change of a cart, as the script that made it has published it on
/// [`Keys::cart_updates`](crate::Keys::cart_updates).
///
/// Pub/sub delivers at most once: what is published while a subscriber is away, it never hears of. After a reconnect
/// [`Cart::view`](crate::Cart::view) says where things stand. A line or a cart that expires is not published. While a cluster
/// moves the cart's slot, two nodes publish, and an update may overtake the one before it.
///
/// ```
/// use storefront::{CartUpdate, Change};
///
/// let update = CartUpdate::parse(
///     br#"{"event":"added","owner":"1","sku":"sku123","quantity":3,"change":2,"lines":1,"units":3,"total_cents":5997}"#,
/// )?;
/// assert_eq!(update.event, Change::Added);
/// assert_eq!(update.total.to_string(), "59.97");
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
pub struct CartUpdate {
    /// What happened.
    pub event: Change,
    /// Whose cart it is, as [`CartOwner`](crate::CartOwner) is written.
    pub owner: String,
    /// The product, where the change concerns one.
    pub sku: Option<Sku>,
    /// The units now in the product's line; 0 if the line is gone, or the change concerns the whole cart.
    pub quantity: u32,
    /// The units that came (positive) or went (negative).
    pub change: i64,
    /// The lines now in the cart.
    pub lines: usize,
    /// The units now in the cart.
    pub units: u64,
    /// The new total at the prices seen when the lines were added.
    #[serde(rename = "total_cents")]
    pub total: Cents,
}

/// What happened to a cart.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// Units of a product came in.
    Added,
    /// Units of a product, or all of them, were removed.
    Removed,
    /// The cart was emptied.
    Cleared,
    /// A guest logged in: units left the guest's cart, or came into the user's.
    Merged,
    /// An event of a later version of this crate.
    #[serde(other)]
    Other,
}

impl CartUpdate {
    /// Reads a message. The channel is open to whoever may publish, so a message can be anything.
    pub fn parse(message: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(message)
    }
}
