//! What it costs to report what customers do.

use futures_util::FutureExt;
use futures_util::future::try_join;
use lab_runner::{AnyConnection, Approach};
use patterns::bought_together::BoughtTogether;
use patterns::key::Key;
use patterns::popular_products::PopularProducts;
use patterns::recent_views::RecentViews;
use redis::RedisResult;

use crate::concurrent::concurrently;
use crate::failed;

/// Reports in flight over one connection.
pub(super) const IN_FLIGHT: usize = 50;
const CUSTOMERS: usize = 10;
const PRODUCTS: usize = 12;

/// One way to report something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Report {
    /// The baseline: INCR of one counter.
    Incr,
    /// A view by LPUSH and LTRIM, with its repeats.
    PushAndTrim,
    /// A view by [`RecentViews`].
    RecentView,
    /// A view by [`PopularProducts`].
    PopularView,
    /// An order of three products by [`BoughtTogether`].
    Order,
}

impl Report {
    /// All of them, the baseline first.
    pub const ALL: [Self; 5] =
        [Self::Incr, Self::PushAndTrim, Self::RecentView, Self::PopularView, Self::Order];
}

/// Reports of a few customers on a few products.
#[derive(Clone, Debug)]
pub struct Reports {
    prefix: String,
    count: usize,
}

impl Reports {
    /// `count` reports, whose keys have `bench:` behind `prefix`.
    #[must_use]
    pub fn new(count: usize, prefix: &str) -> Self {
        Self { prefix: format!("{prefix}bench:"), count }
    }

    /// Every key that is written.
    pub fn keys(&self) -> RedisResult<Vec<String>> {
        let key = |name, ids: &[&str]| Key::new(&self.prefix, name, ids).map_err(failed);
        let popular = key("popular_products", &[])?;
        let mut keys = vec![self.counter(), popular.companion("clock"), popular.as_str().to_owned()];
        for number in 0..CUSTOMERS {
            keys.push(key("recent_views", &[&customer(number)])?.as_str().to_owned());
        }
        for number in 0..PRODUCTS {
            let product = key("also_bought", &[&sku(number)])?;
            keys.extend([product.companion("orders"), product.as_str().to_owned()]);
        }
        Ok(keys)
    }

    fn counter(&self) -> String {
        format!("{}reports", self.prefix)
    }
}

fn customer(number: usize) -> String {
    format!("user{}", number % CUSTOMERS)
}

fn sku(number: usize) -> String {
    format!("PROD{}", number * 7 % PRODUCTS)
}

impl Approach for Report {
    type Input = Reports;
    /// How many reports were answered.
    type Output = usize;

    fn label(self) -> String {
        match self {
            Self::Incr => "INCR (baseline)",
            Self::PushAndTrim => "view: LPUSH, LTRIM",
            Self::RecentView => "view: recent_views.lua",
            Self::PopularView => "view: popular_products.lua",
            Self::Order => "order of 3: bought_together.lua",
        }
        .to_owned()
    }

    fn operations(self, reports: &Reports) -> u64 {
        reports.count as u64
    }

    async fn reset<C: AnyConnection>(self, reports: &Reports, connection: &mut C) -> RedisResult<()> {
        let mut unlink = redis::cmd("UNLINK");
        unlink.arg(reports.keys()?);
        let first_call = connection.clone();
        // The first call also sends the script, if the server does not know it.
        try_join(unlink.exec_async(connection), self.report(reports, first_call, 0)).await.map(|_| ())
    }

    async fn run<C: AnyConnection>(self, reports: &Reports, connection: &mut C) -> RedisResult<usize> {
        let connection = &*connection;
        let report = |number| self.report(reports, connection.clone(), number + 1).boxed();
        Ok(concurrently(IN_FLIGHT, reports.count, report).await?.len())
    }
}

impl Report {
    async fn report<C: AnyConnection>(
        self,
        reports: &Reports,
        mut redis: C,
        number: usize,
    ) -> RedisResult<()> {
        let (prefix, customer, sku) = (&reports.prefix, customer(number), sku(number));
        match self {
            Self::Incr => redis::cmd("INCR").arg(reports.counter()).exec_async(&mut redis).await,
            Self::PushAndTrim => {
                let key = RecentViews::new(redis.clone(), prefix).key(&customer).map_err(failed)?;
                let mut both = redis::pipe();
                both.lpush(key.as_str(), sku).ltrim(key.as_str(), 0, 49);
                both.exec_async(&mut redis).await
            }
            Self::RecentView => RecentViews::new(redis, prefix).record(&customer, &sku).await.map_err(failed),
            Self::PopularView => PopularProducts::new(redis, prefix).viewed(&sku, None).await.map_err(failed),
            Self::Order => {
                let bought = [0, 1, 2].map(|line| self::sku(number + line));
                let bought = bought.each_ref().map(String::as_str);
                let (order, pairs) = (format!("ORD-{number}"), BoughtTogether::new(redis, prefix));
                pairs.count(&order, &bought).await.map(|_| ()).map_err(failed)
            }
        }
    }
}
