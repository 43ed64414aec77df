//! What it costs to record an event.

use std::sync::LazyLock;

use futures_util::FutureExt;
use futures_util::future::try_join;
use lab_runner::{AnyConnection, Approach};
use patterns::analytics::Analytics;
use patterns::key::Key;
use patterns::money::Cents;
use redis::{RedisResult, Script};

use super::DAY;
use crate::concurrent::concurrently;
use crate::failed;

static EMPTY: LazyLock<Script> = LazyLock::new(|| Script::new("return 1"));

/// Events in flight over one connection.
pub(super) const IN_FLIGHT: usize = 50;

/// One way to record an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordEvents {
    /// The baseline: INCR of one counter.
    Incr,
    /// A script that does nothing: what every script costs before it begins.
    EmptyScript,
    /// HINCRBY and PFADD in a pipeline. An event that is sent twice counts twice.
    Pipeline,
    /// A page view by [`Analytics::page_view`].
    PageView,
    /// An order of two products by [`Analytics::order`].
    Order,
}

/// Events of one day.
#[derive(Clone, Debug)]
pub struct Events {
    prefix: String,
    count: usize,
}

/// The keys that are written.
struct Keys {
    metrics: Key,
    products: Key,
    counter: String,
}

impl RecordEvents {
    /// All of them, the baseline first.
    pub const ALL: [Self; 5] = [Self::Incr, Self::EmptyScript, Self::Pipeline, Self::PageView, Self::Order];
}

impl Events {
    /// `count` events, whose keys have `bench:` behind `prefix`.
    #[must_use]
    pub fn new(count: usize, prefix: &str) -> Self {
        Self { prefix: format!("{prefix}bench:"), count }
    }

    /// Every key that is written.
    pub fn keys(&self) -> RedisResult<Vec<String>> {
        let Keys { metrics, products, counter } = self.named()?;
        let companions =
            [metrics.companion("ids"), metrics.companion("visitors"), products.companion("orders")];
        Ok([vec![metrics.as_str().to_owned(), products.as_str().to_owned(), counter], companions.to_vec()]
            .concat())
    }

    fn named(&self) -> RedisResult<Keys> {
        let key = |name| Key::new(&self.prefix, name, &[DAY]).map_err(failed);
        let counter = format!("{}events", self.prefix);
        Ok(Keys { metrics: key("daily_metrics")?, products: key("top_products")?, counter })
    }
}

impl Approach for RecordEvents {
    type Input = Events;
    /// How many events were answered.
    type Output = usize;

    fn label(self) -> String {
        match self {
            Self::Incr => "INCR (baseline)",
            Self::EmptyScript => "EVALSHA of an empty script",
            Self::Pipeline => "page view: HINCRBY, PFADD",
            Self::PageView => "page view: record",
            Self::Order => "order of 2: record, products",
        }
        .to_owned()
    }

    fn operations(self, events: &Events) -> u64 {
        events.count as u64
    }

    async fn reset<C: AnyConnection>(self, events: &Events, connection: &mut C) -> RedisResult<()> {
        let mut unlink = redis::cmd("UNLINK");
        unlink.arg(events.keys()?);
        let (keys, first_call) = (events.named()?, connection.clone());
        // The first call also sends the script, if the server does not know it.
        try_join(unlink.exec_async(connection), self.record(events, &keys, first_call, 0)).await.map(|_| ())
    }

    async fn run<C: AnyConnection>(self, events: &Events, connection: &mut C) -> RedisResult<usize> {
        let (keys, connection) = (events.named()?, &*connection);
        let record = |number| self.record(events, &keys, connection.clone(), number + 1).boxed();
        Ok(concurrently(IN_FLIGHT, events.count, record).await?.len())
    }
}

impl RecordEvents {
    async fn record<C: AnyConnection>(
        self,
        events: &Events,
        keys: &Keys,
        mut redis: C,
        number: usize,
    ) -> RedisResult<()> {
        let (visitor, id) = (format!("user{}", number % 100), format!("event-{number}"));
        let analytics = Analytics::new(redis.clone(), &events.prefix);
        match self {
            Self::Incr => redis::cmd("INCR").arg(&keys.counter).exec_async(&mut redis).await,
            Self::EmptyScript => EMPTY.key(&keys.counter).arg(number).invoke_async(&mut redis).await,
            Self::Pipeline => {
                let mut both = redis::pipe();
                both.hincr(keys.metrics.as_str(), "page_views", 1).ignore();
                both.pfadd(keys.metrics.companion("visitors"), visitor).ignore();
                both.exec_async(&mut redis).await
            }
            Self::PageView => analytics.page_view(&id, DAY, &visitor).await.map(|_| ()).map_err(failed),
            Self::Order => {
                let skus = [0, 1].map(|line| format!("PROD{}", (number + line) % 40));
                let price = Cents::new(1_999).unwrap_or_default();
                let lines = skus.each_ref().map(|sku| (sku.as_str(), price));
                analytics.order(&id, DAY, &visitor, &lines).await.map(|_| ()).map_err(failed)
            }
        }
    }
}
