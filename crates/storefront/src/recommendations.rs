//! What a customer may like: recent views, popularity, bought together, similar customers.
//!
//! The naive way shows everybody the bestsellers. They are right for nobody in particular, and they stay bestsellers because
//! they are shown. What a shop knows of somebody is what he looked at, what he says he likes and what he bought; each leads
//! to something else to show, and [`Recommender`] puts them in order, so that who comes for the first time sees something
//! too.
//!
//! In reading order: [`RecentViews`]; [`Interests`]; [`PopularProducts`], where views fade; [`BoughtTogether`] counts pairs
//! in orders; [`Purchases`] and [`SimilarCustomers`]; [`ProductVectors`] where the server has vector sets; [`Recommender`].
//!
//! The same data gives the same recommendations: ties are broken by the name of the product or the customer.
//!
//! ```
//! use storefront::recommendations::{Because, Recommender};
//! use storefront::{CustomerId, Keys, Layout};
//!
//! # tokio::runtime::Runtime::new()?.block_on(async {
//! # let server = lab_server::Server::start()?;
//! let connection = redis::Client::open(server.url())?.get_multiplexed_async_connection().await?;
//! let shop = Recommender::new(connection, Keys::new("", Layout::Standalone));
//!
//! let (tent, stove, kettle) = ("TENT".parse()?, "STOVE".parse()?, "KETTLE".parse()?);
//! let (ann, bob): (CustomerId, CustomerId) = ("ann".parse()?, "bob".parse()?);
//! shop.ordered(&ann, &"order-1".parse()?, &[tent, stove]).await?;
//! shop.ordered(&ann, &"order-2".parse()?, &["TENT".parse()?, "STOVE".parse()?]).await?;
//! shop.ordered(&bob, &"order-3".parse()?, &["TENT".parse()?]).await?;
//! shop.viewed(&ann, &kettle, None).await?;
//!
//! let for_bob = shop.recommend(&bob, 2).await?;
//! assert_eq!((for_bob[0].sku.as_str(), for_bob[0].because), ("STOVE", Because::BoughtTogether));
//! assert_eq!((for_bob[1].sku.as_str(), for_bob[1].because), ("KETTLE", Because::Popular));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod bought_together;
mod interests;
mod memory;
mod popular;
mod purchases;
mod recent_views;
mod recommender;
mod similar;
mod vectors;

use crate::span::history_milliseconds as milliseconds;
use std::cmp::Ordering;

pub use bought_together::{BoughtTogether, MOST_PAIRED};
pub use interests::{InterestError, Interests, MOST_INTERESTS};
pub use popular::{Popular, PopularProducts};
pub use purchases::Purchases;
pub use recent_views::{MOST_VIEWS, RecentViews, VIEWED};
pub use recommender::{Because, Recommendation, Recommender};
pub use similar::{Basis, Similar, SimilarCustomers};
pub use vectors::{DIMENSIONS, Embedding, ProductVectors, Search};

use crate::Sku;

/// A product with how well it fits; more is better.
#[derive(Clone, Debug, PartialEq)]
pub struct Scored {
    /// The product.
    pub sku: Sku,
    /// How well it fits, as the method that answers defines it.
    pub score: f64,
}

impl Scored {
    /// The best first, among equals by SKU.
    fn order(one: &Self, other: &Self) -> Ordering {
        other.score.total_cmp(&one.score).then_with(|| one.sku.cmp(&other.sku))
    }
}

/// The best of these.
fn best(scores: impl IntoIterator<Item = (Sku, f64)>, count: usize) -> Vec<Scored> {
    let mut best: Vec<Scored> = scores.into_iter().map(|(sku, score)| Scored { sku, score }).collect();
    best.sort_by(Scored::order);
    best.truncate(count);
    best
}
