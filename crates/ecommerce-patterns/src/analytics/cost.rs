//! What it costs to record an event.

use std::sync::LazyLock;

use futures_util::{FutureExt, StreamExt, TryStreamExt, stream};
use lab_runner::{Approach, Comparison, Outcome, Page, Wire};
use redis::{RedisResult, Script};
use storefront::analytics::{DailyMetrics, Day, Event};
use storefront::{Cents, CustomerId, Keys, Layout};

use super::{Shop, not_recorded};
use crate::names::known;

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
    /// A page view by [`DailyMetrics::record`].
    PageView,
    /// An order of two products by [`DailyMetrics::record`].
    Order,
}

impl RecordEvents {
    /// All, the floor first.
    pub const ALL: [Self; 5] = [Self::Incr, Self::EmptyScript, Self::Pipeline, Self::PageView, Self::Order];
}

/// What is recorded, and under which names.
#[derive(Clone, Debug)]
pub struct Traffic {
    keys: Keys,
    day: Day,
    events: usize,
}

impl Traffic {
    /// So many events of one day, behind `bench:` after this prefix.
    #[must_use]
    pub fn of(events: usize, prefix: &str, layout: Layout) -> Self {
        let keys = Keys::new(&format!("{prefix}bench:"), layout);
        Self { keys, day: Day::of_unix_seconds(1_704_067_200), events }
    }

    /// Every key that is written.
    #[must_use]
    pub fn keys(&self) -> [String; 5] {
        let (keys, day) = (&self.keys, self.day);
        [
            keys.daily_metrics(day),
            keys.daily_events(day),
            keys.daily_visitors(day),
            keys.top_products(day),
            keys.funnel_today(),
        ]
    }
}

impl Approach for RecordEvents {
    type Subject = Traffic;
    /// How many events were answered.
    type Observed = usize;

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

    async fn reset<C: Wire>(self, traffic: &Traffic, connection: &mut C) -> RedisResult<()> {
        for key in traffic.keys() {
            redis::cmd("UNLINK").arg(key).exec_async(connection).await?;
        }
        // The server learns the script.
        self.record(traffic, connection, 0).await
    }

    async fn run<C: Wire>(self, traffic: &Traffic, connection: &mut C) -> RedisResult<usize> {
        let connection: &C = connection;
        let record = |number| self.record(traffic, connection, number).boxed();
        let all: Vec<_> = (1..=traffic.events).map(record).collect();
        let answered: Vec<()> = stream::iter(all).buffer_unordered(AT_ONCE).try_collect().await?;
        Ok(answered.len())
    }
}

impl RecordEvents {
    async fn record<C: Wire>(self, traffic: &Traffic, connection: &C, number: usize) -> RedisResult<()> {
        let mut connection = connection.clone();
        let (keys, day) = (&traffic.keys, traffic.day);
        let visitor: CustomerId = known(&format!("user{}", number % 100));
        let id = known(&format!("event-{number}"));
        let event = match self {
            Self::Incr => {
                return redis::cmd("INCR").arg(keys.funnel_today()).exec_async(&mut connection).await;
            }
            Self::EmptyScript => {
                return EMPTY.key(keys.funnel_today()).arg(number).invoke_async(&mut connection).await;
            }
            Self::Pipeline => {
                let mut both = redis::pipe();
                both.cmd("HINCRBY").arg(keys.daily_metrics(day)).arg("page_views").arg(1).ignore();
                both.cmd("PFADD").arg(keys.daily_visitors(day)).arg(visitor.as_str()).ignore();
                return both.exec_async(&mut connection).await;
            }
            Self::PageView => Event::page_view(id, day, visitor),
            Self::Order => {
                let line = |of: usize| {
                    let sku = known(&format!("PROD{}", (number + of) % 40));
                    (sku, Cents::new(1_999).unwrap_or_default())
                };
                Event::order(id, day, visitor, vec![line(0), line(1)])
            }
        };
        let recorded = DailyMetrics::new(connection, keys.clone()).record(&event).await;
        recorded.map(|_| ()).map_err(not_recorded)
    }
}

pub(super) async fn compare(page: &Page, shop: &Shop) -> Outcome {
    let traffic = Traffic::of(EVENTS, page.prefix(), shop.keys.layout());
    page.say(format!(
        "And the price? {EVENTS} events, {AT_ONCE} at a time over one connection. The first row is the floor, one INCR each; \
         then a script that does nothing, the naive way in a pipeline for each event, and the script that counts each once.",
    ));
    let comparison =
        Comparison { title: "Recording events", approaches: &RecordEvents::ALL, subject: &traffic };
    page.compare(comparison).await?;
    page.start_clean(&traffic.keys()).await?;
    page.say(
        "What holds it back: a server with one thread does the work of all clients. A script that does nothing costs half as \
         much again as INCR; `record` passes it three or four keys and eight or more values, and it runs four commands for a \
         page view (SCARD, SADD, HINCRBY, PFADD), eleven for an order of two. That is the price of counting once.",
    );
    page.say(
        "Rule: name every event where it happens, count it on the day it happened, in one step with looking its name up; count \
         people by HyperLogLog or bitmap, not by page loads; close a day before you report it.",
    );
    Ok(())
}
