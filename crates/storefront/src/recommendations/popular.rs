use std::sync::LazyLock;
use std::time::Duration;

use futures_util::future::try_join_all;
use redis::Script;
use redis::aio::ConnectionLike;

use super::milliseconds;
use crate::script;
use crate::store::{Reply, StoreError};
use crate::{Keys, Label, Layout, Sku};

static VIEWED: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("scripts/popular.lua")));
static TOP: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("scripts/top.lua")));

/// After so many half-lives all scores are divided by 2^4. A double would hold 1 000 half-lives; fewer keep the scores
/// readable in Redis Insight: at most 16 for a view.
const LONGEST: u32 = 4;
/// How many products are ranked unless told otherwise.
const MOST_PRODUCTS: usize = 10_000;

/// Which products are looked at most, where a view counts half after a half-life, a quarter after two, and so on.
///
/// The naive way is to count for ever, so that last year's bestseller stays on top; or to walk through all products every
/// night and make their counts less. Forward decay (Cormode and others, 2009) writes one score for a view and nothing
/// else: not the old views shrink, the new ones grow. All scores of one moment have the same factor, so the ranking is
/// right as it is stored, and `ZREVRANGE popular_products 0 9 WITHSCORES` shows it.
///
/// A view counts each time it is reported; the views of millions need no ids. All clients must use the same half-life.
#[derive(Clone, Debug)]
pub struct PopularProducts<C> {
    connection: C,
    keys: Keys,
    half_life: Duration,
    most: usize,
}

/// A product and its views as they count now.
#[derive(Clone, Debug, PartialEq)]
pub struct Popular {
    /// The product.
    pub sku: Sku,
    /// Its views, each halved for every half-life since.
    pub views: f64,
}

impl<C: ConnectionLike + Clone> PopularProducts<C> {
    /// The products under `keys`, with a half-life of a week, the best 10 000.
    pub fn new(connection: C, keys: Keys) -> Self {
        Self { connection, keys, half_life: Duration::from_hours(7 * 24), most: MOST_PRODUCTS }
    }

    /// After what time a view counts half: a second to ten years.
    #[must_use]
    pub fn with_half_life(mut self, half_life: Duration) -> Self {
        self.half_life = half_life;
        self
    }

    /// How many products are ranked: 10 to a million; other values become the nearest of these. A tenth more are stored
    /// before the lowest go.
    #[must_use]
    pub fn with_most(mut self, most: usize) -> Self {
        self.most = most.clamp(10, 1_000_000);
        self
    }

    /// Somebody looks at a product now, by the server's clock. One round trip; on a cluster two in flight at once, if there
    /// is a category. O(log products), once in four half-lives O(products).
    pub async fn viewed(&self, sku: &Sku, category: Option<&Label>) -> Result<(), StoreError> {
        self.count(sku, category, None).await
    }

    /// Somebody looked at a product at that moment, in milliseconds of the Unix epoch: for views that come late, or from
    /// another system. In whatever order they come, the ranking is the same. A moment to come counts as now.
    pub async fn viewed_at(
        &self,
        sku: &Sku,
        category: Option<&Label>,
        unix_ms: u64,
    ) -> Result<(), StoreError> {
        self.count(sku, category, Some(unix_ms)).await
    }

    /// The products with the most views, at most 10 000, the highest first; among equals by SKU. (Where `count` cuts through
    /// equals, those whose SKUs come last are shown.) One round trip.
    pub async fn top(&self, count: usize) -> Result<Vec<Popular>, StoreError> {
        self.read(&self.keys.popular_products(), count).await
    }

    /// The same within a category.
    pub async fn top_in(&self, category: &Label, count: usize) -> Result<Vec<Popular>, StoreError> {
        self.read(&self.keys.popular_products_in(category), count).await
    }

    async fn count(
        &self,
        sku: &Sku,
        category: Option<&Label>,
        unix_ms: Option<u64>,
    ) -> Result<(), StoreError> {
        let mut keys = vec![self.keys.popular_products()];
        keys.extend(category.map(|category| self.keys.popular_products_in(category)));
        let at_a_time = if self.keys.layout() == Layout::Standalone { keys.len() } else { 1 };
        let mut steps = Vec::new();
        for keys in keys.chunks(at_a_time) {
            steps.push(self.count_here(keys, sku, unix_ms));
        }
        try_join_all(steps).await?;
        Ok(())
    }

    /// One step: rankings of one slot.
    async fn count_here(
        &self,
        popular: &[String],
        sku: &Sku,
        unix_ms: Option<u64>,
    ) -> Result<(), StoreError> {
        let mut call = VIEWED.prepare_invoke();
        for key in popular {
            call.key(key).key(Keys::landmark_of(key));
        }
        call.arg(sku.as_str()).arg(unix_ms.map_or_else(String::new, |moment| moment.to_string()));
        call.arg(milliseconds(self.half_life)).arg(self.most).arg(LONGEST);
        let reply: Reply = script::run(&call, &self.connection).await?;
        if reply.outcome == "VIEWED" { Ok(()) } else { Err(reply.into_error()) }
    }

    async fn read(&self, key: &str, count: usize) -> Result<Vec<Popular>, StoreError> {
        let Some(last) = count.min(MOST_PRODUCTS).checked_sub(1) else { return Ok(Vec::new()) };
        let mut call = TOP.key(key);
        call.key(Keys::landmark_of(key)).arg(last);
        let mut reply: Reply = script::run(&call, &self.connection).await?;
        if reply.outcome != "TOP" {
            return Err(reply.into_error());
        }
        let (now, landmark): (f64, f64) = (reply.next()?, reply.next()?);
        let fade = ((landmark - now) / milliseconds(self.half_life) as f64).exp2();
        let popular = |(sku, score): (String, f64)| {
            let sku = sku.parse().map_err(|_| StoreError::malformed(key, &sku))?;
            Ok(Popular { sku, views: score * fade })
        };
        let mut top: Vec<Popular> = reply
            .next::<Vec<(String, f64)>>()?
            .into_iter()
            .map(popular)
            .collect::<Result<_, StoreError>>()?;
        top.sort_by(|a, b| b.views.total_cmp(&a.views).then_with(|| a.sku.cmp(&b.sku)));
        Ok(top)
    }
}
