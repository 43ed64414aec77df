//! A morning in the shop, and ways to count it.

use std::sync::Arc;

use futures_util::future::try_join_all;
use lab_connection::Connection;
use redis::RedisResult;
use storefront::analytics::{DailyMetrics, Day, Event, Happening};
use storefront::{Cents, Keys};
use tokio::sync::Barrier;

use super::not_recorded;
use crate::names::known;

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
    /// [`DailyMetrics::record`].
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

    /// Lets the clients report the morning of a day, and tells what was counted.
    pub async fn morning(self, redis: &Connection, keys: &Keys, day: Day) -> RedisResult<Counted> {
        let together = Arc::new(Barrier::new(CLIENTS));
        let events = events(day);
        let mut clients = Vec::new();
        for client in 0..CLIENTS {
            let report = Report { count: self, redis: redis.clone(), keys, day };
            clients.push(report.all(&events, client, Arc::clone(&together)));
        }
        try_join_all(clients).await?;
        self.counted(redis, keys, day).await
    }

    async fn counted(self, redis: &Connection, keys: &Keys, day: Day) -> RedisResult<Counted> {
        if self == Self::Record {
            let metrics =
                DailyMetrics::new(redis.clone(), keys.clone()).of(day).await.map_err(super::failed)?;
            let [page_views, orders, revenue] =
                ["page_views", "orders", "revenue"].map(|metric| metrics.get(metric));
            let visitors = metrics.visitors.cast_signed();
            return Ok(Counted { page_views, visitors, orders, revenue });
        }
        let mut read = redis::cmd("HMGET");
        read.arg(keys.daily_metrics(day)).arg(&["page_views", "visitors", "orders", "revenue"]);
        let counts: Vec<Option<i64>> = read.query_async(&mut redis.clone()).await?;
        let [page_views, visitors, orders, revenue] = counts[..] else { return Ok(Counted::default()) };
        let [page_views, visitors, orders, revenue] =
            [page_views, visitors, orders, revenue].map(Option::unwrap_or_default);
        Ok(Counted { page_views, visitors, orders, revenue })
    }
}

/// Every visitor loads his pages, then some order.
fn events(day: Day) -> Vec<Event> {
    let visitor = |number: usize| known(&format!("user{}", number % VISITORS + 1));
    let views = (0..VISITORS * LOADS)
        .map(|number| Event::page_view(known(&format!("view-{number}")), day, visitor(number)));
    let order = |number: usize| {
        let lines = vec![(known("PROD123"), Cents::new(1_999).unwrap_or_default())];
        Event::order(known(&format!("order-{number}")), day, visitor(number), lines)
    };
    views.chain((0..ORDERS).map(order)).collect()
}

/// One client.
struct Report<'a> {
    count: Count,
    redis: Connection,
    keys: &'a Keys,
    day: Day,
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
                    let metrics = DailyMetrics::new(self.redis.clone(), self.keys.clone());
                    for _ in 0..times {
                        metrics.record(event).await.map_err(not_recorded)?;
                    }
                }
            }
        }
        Ok(())
    }

    async fn read_and_write(&mut self, event: &Event, together: &Barrier) -> RedisResult<()> {
        let key = self.keys.daily_metrics(self.day);
        let mut new = Vec::new();
        for (metric, amount) in changes(event) {
            let mut read = redis::cmd("HGET");
            let old: Option<i64> = read.arg(&key).arg(metric).query_async(&mut self.redis).await?;
            new.push((metric, old.unwrap_or_default() + amount));
        }
        together.wait().await;
        redis::cmd("HSET").arg(&key).arg(&new).exec_async(&mut self.redis).await?;
        together.wait().await;
        Ok(())
    }

    async fn increment(&mut self, event: &Event) -> RedisResult<()> {
        let mut pipeline = redis::pipe();
        for (metric, amount) in changes(event) {
            pipeline.cmd("HINCRBY").arg(self.keys.daily_metrics(self.day)).arg(metric).arg(amount).ignore();
        }
        pipeline.exec_async(&mut self.redis).await
    }
}

/// What those count who take a page load for a visitor.
fn changes(event: &Event) -> Vec<(&'static str, i64)> {
    match &event.what {
        Happening::Order { lines } => {
            vec![("orders", 1), ("revenue", lines.iter().map(|(_, cents)| cents.get()).sum())]
        }
        _ => vec![("page_views", 1), ("visitors", 1)],
    }
}
