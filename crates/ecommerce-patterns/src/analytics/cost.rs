//! What it costs to record an event.

use std::sync::LazyLock;

use futures_util::{FutureExt, StreamExt, TryStreamExt, stream};
use lab_runner::{AnyConnection, Approach, Comparison, LessonContext, Outcome};
use patterns::analytics::Analytics;
use patterns::key::{Key, KeyError};
use patterns::money::Cents;
use redis::{RedisResult, Script};

use super::{DAY, Shop, failed, not_recorded};

static EMPTY: LazyLock<Script> = LazyLock::new(|| Script::new("return 1"));

const EVENTS: usize = 500;
const AT_ONCE: usize = 50;

/// One way to record an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordEvents {
    /// The floor: INCR of one counter.
    Incr,
    /// A script that does nothing: what every script costs before it begins.
    EmptyScript,
    /// HINCRBY and PFADD in a pipeline: what is sent twice counts twice.
    Pipeline,
    /// A page view by [`Analytics::page_view`].
    PageView,
    /// An order of two products by [`Analytics::order`].
    Order,
}

impl RecordEvents {
    /// All, the floor first.
    pub const ALL: [Self; 5] = [Self::Incr, Self::EmptyScript, Self::Pipeline, Self::PageView, Self::Order];
}

/// What is recorded, and under which names.
#[derive(Clone, Debug)]
pub struct Traffic {
    prefix: String,
    events: usize,
}

impl Traffic {
    /// So many events of one day, behind `bench:` after this prefix.
    #[must_use]
    pub fn of(events: usize, prefix: &str) -> Self {
        Self { prefix: format!("{prefix}bench:"), events }
    }

    /// Every key that is written.
    pub fn keys(&self) -> Result<[String; 6], KeyError> {
        let (metrics, products) = (self.metrics()?, Key::new(&self.prefix, "top_products", &[DAY])?);
        Ok([
            metrics.companion("ids"),
            metrics.companion("visitors"),
            metrics.as_str().to_owned(),
            products.companion("orders"),
            products.as_str().to_owned(),
            self.counter(),
        ])
    }

    fn metrics(&self) -> Result<Key, KeyError> {
        Key::new(&self.prefix, "daily_metrics", &[DAY])
    }

    fn counter(&self) -> String {
        format!("{}funnel:today", self.prefix)
    }
}

impl Approach for RecordEvents {
    type Input = Traffic;
    /// How many events were answered.
    type Output = usize;

    fn label(self) -> String {
        match self {
            Self::Incr => "INCR (floor)",
            Self::EmptyScript => "EVALSHA: do nothing",
            Self::Pipeline => "page view: HINCRBY, PFADD",
            Self::PageView => "page view: record",
            Self::Order => "order of 2: record",
        }
        .to_owned()
    }

    fn operations(self, traffic: &Traffic) -> u64 {
        traffic.events as u64
    }

    async fn reset<C: AnyConnection>(self, traffic: &Traffic, connection: &mut C) -> RedisResult<()> {
        for key in traffic.keys().map_err(|error| failed(error.into()))? {
            redis::cmd("UNLINK").arg(key).exec_async(connection).await?;
        }
        // The server learns the script.
        self.record(traffic, connection, 0).await
    }

    async fn run<C: AnyConnection>(self, traffic: &Traffic, connection: &mut C) -> RedisResult<usize> {
        let connection: &C = connection;
        let record = |number| self.record(traffic, connection, number).boxed();
        let all: Vec<_> = (1..=traffic.events).map(record).collect();
        let answered: Vec<()> = stream::iter(all).buffer_unordered(AT_ONCE).try_collect().await?;
        Ok(answered.len())
    }
}

impl RecordEvents {
    async fn record<C: AnyConnection>(
        self,
        traffic: &Traffic,
        connection: &C,
        number: usize,
    ) -> RedisResult<()> {
        let mut connection = connection.clone();
        let (visitor, id) = (format!("user{}", number % 100), format!("event-{number}"));
        let analytics = Analytics::new(connection.clone(), &traffic.prefix);
        let recorded = match self {
            Self::Incr => {
                return redis::cmd("INCR").arg(traffic.counter()).exec_async(&mut connection).await;
            }
            Self::EmptyScript => {
                return EMPTY.key(traffic.counter()).arg(number).invoke_async(&mut connection).await;
            }
            Self::Pipeline => {
                let metrics = traffic.metrics().map_err(|error| failed(error.into()))?;
                let mut both = redis::pipe();
                both.cmd("HINCRBY").arg(metrics.as_str()).arg("page_views").arg(1).ignore();
                both.cmd("PFADD").arg(metrics.companion("visitors")).arg(visitor).ignore();
                return both.exec_async(&mut connection).await;
            }
            Self::PageView => analytics.page_view(&id, DAY, &visitor).await,
            Self::Order => {
                let skus = [0, 1].map(|of| format!("PROD{}", (number + of) % 40));
                let price = Cents::new(1_999).unwrap_or_default();
                let lines = skus.each_ref().map(|sku| (sku.as_str(), price));
                analytics.order(&id, DAY, &visitor, &lines).await
            }
        };
        recorded.map(|_| ()).map_err(not_recorded)
    }
}

pub(super) async fn compare(ctx: &LessonContext, shop: &Shop) -> Outcome {
    let traffic = Traffic::of(EVENTS, &shop.prefix);
    ctx.step(format!(
        "And the price? {EVENTS} events, {AT_ONCE} at a time over one connection. The first row is the floor, one INCR each; \
         then a script that does nothing, the naive way in a pipeline for each event, and the script that counts each once.",
    )).await?;
    let comparison =
        Comparison { title: "Recording events", approaches: &RecordEvents::ALL, input: &traffic };
    ctx.compare(comparison).await?;
    ctx.start_clean(&traffic.keys().map_err(|error| failed(error.into()))?).await?;
    ctx.step(
        "What holds it back: a server with one thread does the work of all clients. A script that does nothing costs half as \
         much again as INCR. The script for a page view passes three keys and eight values, and runs eight commands: five that \
         read (TIME, HMGET, SCARD, STRLEN, SISMEMBER), and PFADD, SADD, and HINCRBY. An order runs a second script for its \
         products. That is the price of counting once.",
    ).await?;
    ctx.step(
        "Rule: name every event where it happens, count it on the day it happened, in one step with looking its name up; count \
         people by HyperLogLog or bitmap, not by page loads; close a day before you report it.",
    ).await?;
    Ok(())
}
