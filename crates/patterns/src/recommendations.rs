//! Recommendations: products to show to every customer, even a new one.
//!
//! The naive way shows the bestsellers to all customers. They suit no customer in particular, and they stay bestsellers because
//! they are shown. This pattern uses four sources in order: what is bought together with what the customer bought or viewed;
//! what is popular in the customer's interests; what is popular; and what you pass in. So the page is empty only if the shop
//! is.
//!
//! It uses [`crate::recent_views`], [`crate::interests`], [`crate::popular_products`], [`crate::bought_together`], and
//! [`crate::similar_customers`] (for the purchases), and has no keys of its own.
//!
//! - **Promise**: at most the number you ask for, each product once, and none of the customer's last 200 purchases, unless there
//!   is nothing else.
//! - **Cost**: two round trips for the customer and what goes together; up to three more if that is not enough. In each, many
//!   calls are in flight at once.
//! - **Memory**, **Faults**: those of the patterns it uses. Whatever is lost, a later source fills the page.
//!
//! ```
//! use patterns::recommendations::{Reason, Recommendations};
//!
//! # tokio::runtime::Runtime::new()?.block_on(async {
//! # let server = lab_server::Server::start()?;
//! # let url = server.url();
//! let connection = redis::Client::open(url)?.get_multiplexed_async_connection().await?;
//! let shop = Recommendations::new(connection, "");
//! shop.ordered("ann", "order-1", &["TENT", "STOVE"]).await?;
//! shop.ordered("ann", "order-2", &["TENT", "STOVE"]).await?;
//! shop.viewed("ann", "KETTLE", None).await?;
//! shop.ordered("bob", "order-3", &["TENT"]).await?;
//!
//! let for_bob = shop.recommend("bob", 3, &["LAMP"]).await?;
//! assert_eq!((for_bob[0].sku.as_str(), for_bob[0].reason), ("STOVE", Reason::BoughtTogether));
//! assert_eq!((for_bob[1].sku.as_str(), for_bob[1].reason), ("KETTLE", Reason::Popular));
//! assert_eq!((for_bob[2].sku.as_str(), for_bob[2].reason), ("LAMP", Reason::OnSale));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::collections::BTreeSet;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;

use redis::aio::ConnectionLike;

use crate::bought_together::BoughtTogether;
use crate::interests::Interests;
use crate::popular_products::PopularProducts;
use crate::recent_views::RecentViews;
use crate::script::{StoreError, join_all};
use crate::similar_customers::{MAX_PURCHASES, SimilarCustomers};

/// The most recommendations at a time.
pub const MAX_RECOMMENDATIONS: usize = 100;
/// How many things a customer bought or looked at are the start. Of these at most so many are views, which the purchases of a
/// good customer must not crowd out.
const SEEDS: usize = 20;
const VIEWS: usize = 10;
/// How many interests are looked at.
const MAX_INTERESTS: usize = 5;

/// The recommendations under a prefix.
#[derive(Clone, Debug)]
pub struct Recommendations<C> {
    views: RecentViews<C>,
    interests: Interests<C>,
    popular: PopularProducts<C>,
    bought_together: BoughtTogether<C>,
    customers: SimilarCustomers<C>,
}

/// A product to show, and why.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Recommendation {
    /// The product.
    pub sku: String,
    /// The reason, which a shop should show.
    pub reason: Reason,
}

/// Why a product is recommended.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Reason {
    /// It is often bought together with what the customer bought or viewed.
    BoughtTogether,
    /// It is popular in a category that the customer likes.
    PopularInInterests,
    /// Many look at it.
    Popular,
    /// You passed it in.
    OnSale,
}

impl<C: ConnectionLike + Clone> Recommendations<C> {
    /// Recommendations from the data under a prefix.
    pub fn new(connection: C, prefix: &str) -> Self {
        Self {
            views: RecentViews::new(connection.clone(), prefix),
            interests: Interests::new(connection.clone(), prefix),
            popular: PopularProducts::new(connection.clone(), prefix),
            bought_together: BoughtTogether::new(connection.clone(), prefix),
            customers: SimilarCustomers::new(connection, prefix),
        }
    }

    /// Records that a customer viewed a product. Two calls in flight at once; with a category, three.
    pub async fn viewed(&self, customer: &str, sku: &str, category: Option<&str>) -> Result<(), StoreError> {
        let (viewed, counted) =
            both(self.views.record(customer, sku), self.popular.viewed(sku, category)).await;
        viewed.and(counted)
    }

    /// Records that a customer ordered; the same order counts once. Two calls for each product and one more, all in flight at
    /// once. After an error, send it again.
    pub async fn ordered(&self, customer: &str, order: &str, products: &[&str]) -> Result<(), StoreError> {
        let purchases = self.customers.bought(customer, products);
        let (bought, counted) = both(purchases, self.bought_together.count(order, products)).await;
        bought.and(counted.map(|_| ()))
    }

    /// What to show to a customer, at most `count` and at most [`MAX_RECOMMENDATIONS`]. The last to be shown are `on_sale`: some
    /// products of your catalog.
    pub async fn recommend(
        &self,
        customer: &str,
        count: usize,
        on_sale: &[&str],
    ) -> Result<Vec<Recommendation>, StoreError> {
        let purchases = self.customers.purchases(customer, MAX_PURCHASES);
        let (bought, viewed) = both(purchases, self.views.latest(customer, VIEWS)).await;
        let (bought, viewed) = (bought?, viewed?);
        let count = count.min(MAX_RECOMMENDATIONS);
        let mut page = Page { count, hidden: bought.iter().cloned().collect(), shown: Vec::new() };
        // The customer's purchases are among the best. They are removed here.
        let wanted = count + bought.len();
        let seeds = bought.iter().take(SEEDS - viewed.len()).chain(&viewed).map(String::as_str);
        let together = self.bought_together.with_all(&seeds.collect::<Vec<_>>(), wanted).await?;
        page.fill(together.into_iter().map(|related| related.sku), Reason::BoughtTogether);
        if !page.is_full() {
            page.fill(self.popular_in_interests(customer, wanted).await?, Reason::PopularInInterests);
        }
        if !page.is_full() {
            let popular = self.popular.top(wanted).await?;
            page.fill(popular.into_iter().map(|popular| popular.sku), Reason::Popular);
        }
        page.fill(on_sale.iter().map(|sku| (*sku).to_owned()), Reason::OnSale);
        if page.shown.is_empty() {
            // The customer has everything there is.
            page.hidden.clear();
            page.fill(bought, Reason::BoughtTogether);
        }
        Ok(page.shown)
    }

    /// The most popular products of the categories that the customer likes, by views over all of them.
    async fn popular_in_interests(&self, customer: &str, count: usize) -> Result<Vec<String>, StoreError> {
        let interests = self.interests.of(customer).await?;
        let tops = interests.iter().take(MAX_INTERESTS).map(|category| self.popular.top_in(category, count));
        let mut popular = Vec::new();
        for top in join_all(tops).await {
            popular.extend(top?);
        }
        popular.sort_by(|a, b| b.views.total_cmp(&a.views).then_with(|| a.sku.cmp(&b.sku)));
        Ok(popular.into_iter().map(|popular| popular.sku).collect())
    }
}

/// Recommendations that are filled up until there are enough.
struct Page {
    count: usize,
    hidden: BTreeSet<String>,
    shown: Vec<Recommendation>,
}

impl Page {
    fn fill(&mut self, skus: impl IntoIterator<Item = String>, reason: Reason) {
        for sku in skus {
            if !self.is_full() && self.hidden.insert(sku.clone()) {
                self.shown.push(Recommendation { sku, reason });
            }
        }
    }

    fn is_full(&self) -> bool {
        self.shown.len() >= self.count
    }
}

/// Awaits two futures at once, in the caller's task.
async fn both<A, B>(one: impl Future<Output = A>, other: impl Future<Output = B>) -> (A, B) {
    let (mut one, mut other) = (pin!(one), pin!(other));
    let (mut first, mut second) = (None, None);
    poll_fn(|context| {
        if first.is_none()
            && let Poll::Ready(output) = one.as_mut().poll(context)
        {
            first = Some(output);
        }
        if second.is_none()
            && let Poll::Ready(output) = other.as_mut().poll(context)
        {
            second = Some(output);
        }
        match (first.take(), second.take()) {
            (Some(one), Some(other)) => Poll::Ready((one, other)),
            (one, other) => {
                (first, second) = (one, other);
                Poll::Pending
            }
        }
    })
    .await
}
