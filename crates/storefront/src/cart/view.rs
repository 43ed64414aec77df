use std::time::Duration;

use redis::aio::ConnectionLike;
use serde::{Serialize, Serializer};

use super::scripts::Operation;
use super::{Cart, CartError};
use crate::store::StoreError;
use crate::{CartOwner, Catalogue, Cents, Product, ProductName, Sku, money};

/// A cart as its owner sees it.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct CartView {
    /// Whose it is.
    pub owner: CartOwner,
    /// One line for each product, ordered by SKU.
    pub lines: Vec<Line>,
    /// The total at today's prices, without what is no longer sold.
    #[serde(serialize_with = "money::both")]
    pub total: Cents,
    /// When the cart expires unless it is changed or viewed again; `None` if it is empty. In JSON, milliseconds.
    #[serde(rename = "expires_in_ms", serialize_with = "as_milliseconds")]
    pub expires_in: Option<Duration>,
}

/// One product in a cart.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Line {
    /// The product.
    pub sku: Sku,
    /// What it is called; `None` if it is no longer sold.
    pub name: Option<ProductName>,
    /// The units.
    pub quantity: u32,
    /// What one unit costs now; `None` if it is no longer sold.
    #[serde(serialize_with = "money::both_or_null")]
    pub unit_price: Option<Cents>,
    /// What one unit cost when it was last added; `None` if somebody else wrote the line.
    #[serde(serialize_with = "money::both_or_null")]
    pub seen_price: Option<Cents>,
    /// The quantity times today's price; `None` if it is no longer sold.
    #[serde(serialize_with = "money::both_or_null")]
    pub line_total: Option<Cents>,
    /// What has changed since it was added.
    pub state: LineState,
    /// When the line leaves the cart on its own; `None` if it stays as long as the cart. In JSON, milliseconds.
    #[serde(rename = "expires_in_ms", serialize_with = "as_milliseconds")]
    pub expires_in: Option<Duration>,
}

/// What has changed about a product since it was added to the cart.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LineState {
    /// Nothing: on sale at the price seen.
    OnSale,
    /// On sale at another price.
    PriceChanged {
        /// The price seen when it was added.
        #[serde(serialize_with = "money::both")]
        was: Cents,
    },
    /// No longer on sale. It has no price and counts in no total; it can only be removed.
    NoLongerSold,
}

/// SKU, quantity, price seen in cents, milliseconds until it leaves.
type Stored = (String, u32, Option<i64>, Option<u64>);

impl<C: ConnectionLike + Clone> Cart<C> {
    /// Reads the cart with today's names and prices, and lets it live on. The cart is as it was at one moment; the
    /// products are read just after it.
    ///
    /// Two round trips, one if the cart is empty. On a cluster the products are asked for all at once, each on its own
    /// node.
    pub async fn view(&self, owner: &CartOwner) -> Result<CartView, CartError> {
        let mut call = self.call(Operation::View, owner);
        call.key(self.key_of_user(owner)).arg(self.ttl_ms());
        let mut reply = self.run(&call).await?;
        if reply.outcome != "LINES" {
            return Err(CartError::of(reply, owner));
        }
        let mut stored: Vec<Stored> = reply.next()?;
        stored.sort_unstable();
        let expires_in = u64::try_from(reply.next::<i64>()?).ok().map(Duration::from_millis);

        let key = self.keys.cart(owner, self.representation).quantities;
        let skus = stored.iter().map(|(sku, ..)| sku.parse().map_err(|_| StoreError::malformed(&key, sku)));
        let skus: Vec<Sku> = skus.collect::<Result<_, _>>()?;
        let products = Catalogue::new(self.connection.clone(), self.keys.clone()).get_many(&skus).await?;

        let lines = skus
            .into_iter()
            .zip(stored)
            .zip(products)
            .map(|((sku, stored), product)| line(sku, &stored, product));
        let lines: Vec<Line> = lines.collect::<Option<_>>().ok_or(CartError::TotalTooLarge)?;
        let total = lines
            .iter()
            .filter_map(|line| line.line_total)
            .try_fold(Cents::ZERO, Cents::checked_add)
            .ok_or(CartError::TotalTooLarge)?;
        Ok(CartView { owner: owner.clone(), lines, total, expires_in })
    }
}

/// `None` if the line's total cannot be counted.
fn line(sku: Sku, stored: &Stored, product: Option<Product>) -> Option<Line> {
    let (_, quantity, seen, expires_in) = *stored;
    let seen_price = seen.and_then(Cents::new);
    let state = match (&product, seen_price) {
        (None, _) => LineState::NoLongerSold,
        (Some(product), Some(was)) if was != product.price => LineState::PriceChanged { was },
        (Some(_), _) => LineState::OnSale,
    };
    let line_total = match &product {
        Some(product) => Some(product.price.checked_mul(quantity)?),
        None => None,
    };
    Some(Line {
        sku,
        quantity,
        unit_price: product.as_ref().map(|product| product.price),
        name: product.map(|product| product.name),
        seen_price,
        line_total,
        state,
        expires_in: expires_in.map(Duration::from_millis),
    })
}

#[expect(clippy::ref_option, reason = "the signature is serde's")]
fn as_milliseconds<S: Serializer>(duration: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
    duration.map(|duration| duration.as_millis()).serialize(serializer)
}
