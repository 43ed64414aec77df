//! Filtering a catalogue by brand, category, price and rating.
//!
//! A shop page shows what is left of the catalogue by what was ticked, and beside each value that can be ticked how many
//! products it would leave. Values of one facet widen (this brand or that one), facets narrow (and at most 25.00). The counts of
//! a facet leave out what was ticked in it: who has ticked one brand still sees what the others would bring.
//!
//! The naive way reads the whole catalogue for each page and filters in the client: all of it goes over the network, for
//! every customer. Here the server holds a Set for each brand and category and a Sorted Set for each thing to sort by.
//! One script reads those that were ticked, marks their products, and counts; see [`Facets::page`] for what that costs.
//! The other trap are products that are changed: who only adds to the Sets of the new brand leaves a ghost in that of the
//! old one. The record of each product lies beside the Sets, so the script of a change knows what to take it out of.
//!
//! On a cluster the whole index is in one slot, so a page is that of one moment; and one primary answers all pages (or its
//! replicas: the script only reads). A catalogue that is too large for that is split by its top categories: a
//! [`Facets`] for each, with a prefix of its own in its [`Keys`], which is how shops let people search anyway.
//!
//! In reading order: `product` (what is known of one), `selection` (what was ticked), `change`, `page`.
//!
//! ```
//! use storefront::facets::{FacetedProduct, Facets, Order, PageOf, Selection, Stars};
//! use storefront::{Keys, Layout};
//!
//! # tokio::runtime::Runtime::new()?.block_on(async {
//! # let server = lab_server::Server::start()?;
//! let connection = redis::Client::open(server.url())?.get_multiplexed_async_connection().await?;
//! let facets = Facets::new(connection, Keys::new("", Layout::Standalone));
//! for (sku, brand, price) in [("mug1", "Acme", "9.99"), ("mug2", "Bolt & Co.", "19.99"), ("mug3", "Acme", "29.99")] {
//!     facets
//!         .put(&FacetedProduct {
//!             sku: sku.parse()?,
//!             name: "Coffee mug".parse()?,
//!             brand: brand.parse()?,
//!             category: "Kitchen".parse()?,
//!             price: price.parse()?,
//!             rating: Stars::new(4).ok_or("no such rating")?,
//!             popularity: 7,
//!         })
//!         .await?;
//! }
//!
//! let acme = Selection { brands: ["Acme".parse()?].into(), ..Selection::default() };
//! let page = facets.page(&acme, Order::PriceAscending, PageOf::first(20)).await?;
//! assert_eq!(page.total, 2);
//! assert_eq!(page.products[0].product.sku, "mug1".parse()?);
//! assert_eq!(page.brands[&"Bolt & Co.".parse()?], 1, "what ticking it too would bring");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod change;
mod error;
mod page;
mod product;
mod selection;

use redis::aio::ConnectionLike;

pub use error::FacetsError;
pub use page::{FacetPage, PriceBand};
pub use product::{FacetedProduct, Listed, Stars};
pub use selection::{Order, PageOf, PriceRange, Selection};

use crate::{Cents, Keys};

/// The most values of one facet in a [`Selection`], and the most bands of prices.
pub const MOST_VALUES: usize = 50;

/// The most products on a page.
pub const MOST_ON_A_PAGE: u32 = 100;

/// From where on a new band of prices begins, in cents, unless [`Facets::with_price_bands`] says otherwise.
const PRICE_BANDS: [i64; 5] = [2_500, 5_000, 10_000, 25_000, 50_000];

/// A catalogue that can be filtered. Nothing in it expires: it is as large as the catalogue.
#[derive(Clone, Debug)]
pub struct Facets<C> {
    connection: C,
    keys: Keys,
    /// Ascending, each once.
    bounds: Vec<Cents>,
}

impl<C: ConnectionLike + Clone> Facets<C> {
    /// The catalogue under `keys`. Prices are counted in bands that begin at 25, 50, 100, 250 and 500.
    pub fn new(connection: C, keys: Keys) -> Self {
        let bounds = PRICE_BANDS.into_iter().filter_map(Cents::new).collect();
        Self { connection, keys, bounds }
    }

    /// Where a new band of prices begins: the first band ends before the first of these. At most [`MOST_VALUES`] are
    /// taken, in ascending order.
    #[must_use]
    pub fn with_price_bands(mut self, mut bounds: Vec<Cents>) -> Self {
        bounds.sort_unstable();
        bounds.dedup();
        bounds.truncate(MOST_VALUES);
        self.bounds = bounds;
        self
    }
}
