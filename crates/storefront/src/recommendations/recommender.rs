use std::collections::BTreeSet;

use futures_util::future::{try_join, try_join_all};
use redis::aio::ConnectionLike;

use super::{BoughtTogether, Interests, PopularProducts, Purchases, RecentViews};
use crate::store::StoreError;
use crate::{CustomerId, Keys, Label, OrderId, Sku};

/// From how many things a customer bought or looked at it is told what goes with them: all that
/// [`BoughtTogether::with_all`] takes. Of these at most so many are views, which may not be crowded out by purchases.
const SEEDS: usize = 20;
const VIEWS: usize = 10;
/// The most of his interests that are looked at, and pages of the catalogue that are read when nobody has looked at anything
/// yet.
const MOST_LABELS: usize = 5;
const PAGES: usize = 10;
/// The most recommendations at a time.
const MOST: usize = 100;

/// All of it together: something to show to everybody, also to who comes for the first time.
///
/// First what goes with what a customer bought and looked at; then what is popular among what he likes; then what is popular
/// at all; and in a shop where nobody has looked at anything yet, what is on sale. So the answer is empty only if there is
/// no product.
#[derive(Clone, Debug)]
pub struct Recommender<C> {
    connection: C,
    keys: Keys,
    views: RecentViews<C>,
    interests: Interests<C>,
    popular: PopularProducts<C>,
    bought_together: BoughtTogether<C>,
    purchases: Purchases<C>,
}

/// A product to show, and why.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Recommendation {
    /// The product.
    pub sku: Sku,
    /// The reason, which a shop should tell.
    pub because: Because,
}

/// Why a product is recommended.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Because {
    /// It is often bought together with what he bought or looked at.
    BoughtTogether,
    /// Many look at it, in a category that he likes.
    PopularInInterests,
    /// Many look at it.
    Popular,
    /// It is on sale.
    OnSale,
}

impl<C: ConnectionLike + Clone> Recommender<C> {
    /// The recommender over `keys`.
    pub fn new(connection: C, keys: Keys) -> Self {
        Self {
            views: RecentViews::new(connection.clone(), keys.clone()),
            interests: Interests::new(connection.clone(), keys.clone()),
            popular: PopularProducts::new(connection.clone(), keys.clone()),
            bought_together: BoughtTogether::new(connection.clone(), keys.clone()),
            purchases: Purchases::new(connection.clone(), keys.clone()),
            connection,
            keys,
        }
    }

    /// The same with this popularity: another half-life, say.
    #[must_use]
    pub fn with_popular(mut self, popular: PopularProducts<C>) -> Self {
        self.popular = popular;
        self
    }

    /// A customer looks at a product. Two round trips in flight at once; on a cluster three, if there is a category.
    pub async fn viewed(
        &self,
        customer: &CustomerId,
        sku: &Sku,
        category: Option<&Label>,
    ) -> Result<(), StoreError> {
        try_join(self.views.viewed(customer, sku), self.popular.viewed(sku, category)).await?;
        Ok(())
    }

    /// A customer has ordered; the same order counts once. Three round trips, two of them in flight at once; on a cluster one,
    /// and at most two for each product.
    pub async fn ordered(
        &self,
        customer: &CustomerId,
        order: &OrderId,
        products: &[Sku],
    ) -> Result<(), StoreError> {
        try_join(self.purchases.add(customer, products), self.bought_together.count(order, products)).await?;
        Ok(())
    }

    /// What to show to a customer: at most `count` and at most 100 products, each once, none that he has bought unless there is
    /// nothing else.
    ///
    /// Two round trips in flight at once for the customer and two for what goes together. Only where that is not enough:
    /// one for his interests, one for each of at most five of them, all in flight at once, one for what is popular, and one
    /// for each page of the catalogue, at most ten.
    pub async fn recommend(
        &self,
        customer: &CustomerId,
        count: usize,
    ) -> Result<Vec<Recommendation>, StoreError> {
        let count = count.min(MOST);
        let (bought, viewed) =
            try_join(self.purchases.of(customer, usize::MAX), self.views.of(customer, VIEWS)).await?;
        let mut offer = Offer { count, without: bought.iter().cloned().collect(), shown: Vec::new() };
        let seeds: Vec<Sku> =
            bought.iter().take(SEEDS.saturating_sub(viewed.len())).chain(&viewed).cloned().collect();
        // Products that he bought are among the best, and left out only here.
        let wanted = count.saturating_add(bought.len());
        let together = self.bought_together.with_all(&seeds, wanted).await?;
        offer.put(together.into_iter().map(|scored| scored.sku), Because::BoughtTogether);
        if !offer.is_full() {
            offer.put(self.popular_for(customer, wanted).await?, Because::PopularInInterests);
        }
        if !offer.is_full() {
            offer.put(self.popular(wanted).await?, Because::Popular);
        }
        if !offer.is_full() {
            offer.put(self.on_sale(wanted).await?, Because::OnSale);
        }
        if offer.shown.is_empty() {
            // He has everything there is.
            offer.without.clear();
            offer.put(self.popular(count).await?, Because::Popular);
            offer.put(bought, Because::BoughtTogether);
        }
        Ok(offer.shown)
    }

    async fn popular(&self, count: usize) -> Result<Vec<Sku>, StoreError> {
        Ok(self.popular.top(count).await?.into_iter().map(|popular| popular.sku).collect())
    }

    /// The most popular of each category he likes, by views over all of them.
    async fn popular_for(&self, customer: &CustomerId, count: usize) -> Result<Vec<Sku>, StoreError> {
        let likes = self.interests.of(customer).await?;
        let mut tops = Vec::new();
        for label in likes.iter().take(MOST_LABELS) {
            tops.push(self.popular.top_in(label, count));
        }
        let mut popular: Vec<_> = try_join_all(tops).await?.into_iter().flatten().collect();
        popular.sort_by(|a, b| b.views.total_cmp(&a.views).then_with(|| a.sku.cmp(&b.sku)));
        Ok(popular.into_iter().map(|popular| popular.sku).collect())
    }

    /// Some products of the catalogue.
    async fn on_sale(&self, count: usize) -> Result<Vec<Sku>, StoreError> {
        let (mut cursor, mut skus) = (0_u64, BTreeSet::new());
        for _ in 0..PAGES {
            let mut scan = redis::cmd("HSCAN");
            scan.arg(self.keys.skus()).arg(cursor).arg("COUNT").arg(count.clamp(10, 1_000));
            let (next, page): (u64, Vec<(String, String)>) =
                scan.query_async(&mut self.connection.clone()).await?;
            skus.extend(page.iter().filter_map(|(sku, _)| sku.parse::<Sku>().ok()));
            cursor = next;
            if cursor == 0 || skus.len() >= count {
                break;
            }
        }
        Ok(skus.into_iter().collect())
    }
}

/// Recommendations, filled up until there are enough.
struct Offer {
    count: usize,
    without: BTreeSet<Sku>,
    shown: Vec<Recommendation>,
}

impl Offer {
    fn put(&mut self, skus: impl IntoIterator<Item = Sku>, because: Because) {
        for sku in skus {
            if !self.is_full() && self.without.insert(sku.clone()) {
                self.shown.push(Recommendation { sku, because });
            }
        }
    }

    fn is_full(&self) -> bool {
        self.shown.len() >= self.count
    }
}
