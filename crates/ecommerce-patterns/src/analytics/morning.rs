//! A morning in the shop, and ways to count it.

use std::sync::Arc;

use futures_util::future::try_join_all;
use lab_connection::Connection;
use patterns::analytics::{Analytics, Recorded};
use patterns::money::Cents;
use redis::RedisResult;
use tokio::sync::Barrier;

use super::{failed, not_recorded};

/// Reports come from so many clients at once.
pub const CLIENTS: usize = 8;
/// Visitors, and how often each of them loads a page.
pub const VISITORS: usize = 16;
/// Pages that each of them loads.
pub const LOADS: usize = 3;
/// How many of them order, once.
pub const ORDERS: usize = 8;
/// Every so-many-th answer is lost, so the event is sent again.
pub const LOST_EACH: usize = 7;

/// How to count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Count {
    /// GET the number, add one, SET it; all clients have read before any of them writes.
    ReadAndWrite,
    /// HINCRBY of each metric, in a pipeline; a page load is a visitor.
    Increment,
    /// The pattern `analytics`: one script for each event.
    Record,
}

/// What was counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counted {
    /// Pages that were loaded.
    pub page_views: i64,
    /// Different visitors.
    pub visitors: i64,
    /// Orders.
    pub orders: i64,
    /// Cents.
    pub revenue: i64,
}

impl Counted {
    /// What really happened.
    pub const TRUTH: Self = Self {
        page_views: (VISITORS * LOADS).cast_signed() as i64,
        visitors: VISITORS.cast_signed() as i64,
        orders: ORDERS.cast_signed() as i64,
        revenue: ORDERS.cast_signed() as i64 * 1_999,
    };
}

impl Count {
    /// All, the right one last.
    pub const ALL: [Self; 3] = [Self::ReadAndWrite, Self::Increment, Self::Record];

    /// Its row in the table.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::ReadAndWrite => "HGET, then HSET",
            Self::Increment => "HINCRBY",
            Self::Record => "record: one script",
        }
    }

    /// Lets the clients report the morning of a day, and returns what was counted.
    pub async fn morning(self, redis: &Connection, prefix: &str, day: &str) -> RedisResult<Counted> {
        let together = Arc::new(Barrier::new(CLIENTS));
        let events = events();
        let analytics = Analytics::new(redis.clone(), prefix);
        let key = analytics.key(day).map_err(failed)?;
        let mut clients = Vec::new();
        for client in 0..CLIENTS {
            let (redis, analytics) = (redis.clone(), analytics.clone());
            let report = Report { count: self, redis, analytics, key: key.as_str(), day };
            clients.push(report.all(&events, client, Arc::clone(&together)));
        }
        try_join_all(clients).await?;
        self.counted(redis, &analytics, day).await
    }

    async fn counted(
        self,
        redis: &Connection,
        analytics: &Analytics<Connection>,
        day: &str,
    ) -> RedisResult<Counted> {
        if self == Self::Record {
            let metrics = analytics.of(day).await.map_err(failed)?;
            let [page_views, orders, revenue] =
                ["page_views", "orders", "revenue"].map(|metric| metrics.get(metric));
            let visitors = metrics.visitors.cast_signed();
            return Ok(Counted { page_views, visitors, orders, revenue });
        }
        let mut read = redis::cmd("HMGET");
        let key = analytics.key(day).map_err(failed)?;
        read.arg(key.as_str()).arg(&["page_views", "visitors", "orders", "revenue"]);
        let counts: Vec<Option<i64>> = read.query_async(&mut redis.clone()).await?;
        let [page_views, visitors, orders, revenue] = counts[..] else { return Ok(Counted::default()) };
        let [page_views, visitors, orders, revenue] =
            [page_views, visitors, orders, revenue].map(Option::unwrap_or_default);
        Ok(Counted { page_views, visitors, orders, revenue })
    }
}

/// Something that happened in the shop.
pub(super) struct Event {
    pub(super) id: String,
    pub(super) visitor: String,
    /// The lines of an order; none for a page view.
    pub(super) lines: Vec<(String, Cents)>,
}

impl Event {
    /// Counts it, once.
    pub(super) async fn record(&self, analytics: &Analytics<Connection>, day: &str) -> RedisResult<Recorded> {
        let lines: Vec<(&str, Cents)> =
            self.lines.iter().map(|(sku, cents)| (sku.as_str(), *cents)).collect();
        let recorded = if lines.is_empty() {
            analytics.page_view(&self.id, day, &self.visitor).await
        } else {
            analytics.order(&self.id, day, &self.visitor, &lines).await
        };
        recorded.map_err(not_recorded)
    }

    /// How a page load is counted when it is taken for a visitor.
    fn changes(&self) -> Vec<(&'static str, i64)> {
        if self.lines.is_empty() {
            vec![("page_views", 1), ("visitors", 1)]
        } else {
            vec![("orders", 1), ("revenue", self.lines.iter().map(|(_, cents)| cents.get()).sum())]
        }
    }
}

/// Every visitor loads some pages, then some order.
fn events() -> Vec<Event> {
    let visitor = |number: usize| format!("user{}", number % VISITORS + 1);
    let view =
        |number: usize| Event { id: format!("view-{number}"), visitor: visitor(number), lines: Vec::new() };
    let order = |number: usize| Event {
        id: format!("order-{number}"),
        visitor: visitor(number),
        lines: vec![("PROD123".to_owned(), Cents::new(1_999).unwrap_or_default())],
    };
    (0..VISITORS * LOADS).map(view).chain((0..ORDERS).map(order)).collect()
}

/// One client.
struct Report<'a> {
    count: Count,
    redis: Connection,
    analytics: Analytics<Connection>,
    /// The Hash of the day.
    key: &'a str,
    day: &'a str,
}

impl Report<'_> {
    /// Each client has every eighth event, so all of them have as many.
    async fn all(mut self, events: &[Event], client: usize, together: Arc<Barrier>) -> RedisResult<()> {
        for (number, event) in events.iter().enumerate().filter(|(number, _)| number % CLIENTS == client) {
            // The answer to the first sending is lost, and nobody knows whether it was counted.
            let times = if number % LOST_EACH == 0 { 2 } else { 1 };
            match self.count {
                Count::ReadAndWrite => self.read_and_write(event, &together).await?,
                Count::Increment => {
                    for _ in 0..times {
                        self.increment(event).await?;
                    }
                }
                Count::Record => {
                    for _ in 0..times {
                        event.record(&self.analytics, self.day).await?;
                    }
                }
            }
        }
        Ok(())
    }

    async fn read_and_write(&mut self, event: &Event, together: &Barrier) -> RedisResult<()> {
        let mut new = Vec::new();
        for (metric, amount) in event.changes() {
            let mut read = redis::cmd("HGET");
            let old: Option<i64> = read.arg(self.key).arg(metric).query_async(&mut self.redis).await?;
            new.push((metric, old.unwrap_or_default() + amount));
        }
        together.wait().await;
        redis::cmd("HSET").arg(self.key).arg(&new).exec_async(&mut self.redis).await?;
        together.wait().await;
        Ok(())
    }

    async fn increment(&mut self, event: &Event) -> RedisResult<()> {
        let mut pipeline = redis::pipe();
        for (metric, amount) in event.changes() {
            pipeline.cmd("HINCRBY").arg(self.key).arg(metric).arg(amount).ignore();
        }
        pipeline.exec_async(&mut self.redis).await
    }
}
