//! What web servers report, and three ways to count it.

use lab_connection::Connection;
use lab_runner::concurrent::try_join_all;
use lab_runner::{into_redis_error, labeled};
use patterns::analytics::{Analytics, Recorded};
use patterns::money::Cents;
use redis::RedisResult;
use tokio::sync::Barrier;

/// Web servers that report events concurrently.
pub const CLIENTS: usize = 8;
/// Visitors, and the pages that each of them loads.
pub const VISITORS: usize = 16;
/// Pages that each visitor loads.
pub const LOADS: usize = 3;
/// Visitors who order, once each.
pub const ORDERS: usize = 8;
/// One reply in so many is lost, and the client sends the event again.
pub const ONE_LOST_IN: usize = 7;

labeled! {
    /// How to count.
    pub enum Count {
        /// All clients read before any of them writes: the worst case.
        ReadAddWrite => "HMGET, then HSET",
        /// A page load counts as a visitor.
        Increment => "HINCRBY",
        /// The pattern `analytics`: one script for each event.
        Record => "script: record",
    }
}

/// The numbers of a day.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counted {
    /// Pages that were loaded.
    pub page_views: i64,
    /// Different visitors.
    pub visitors: i64,
    /// Orders.
    pub orders: i64,
    /// In cents.
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
    /// Lets the clients report the workload, and returns what was counted on this day.
    pub async fn run_workload(self, redis: &Connection, prefix: &str, day: &str) -> RedisResult<Counted> {
        let analytics = Analytics::new(redis.clone(), prefix);
        let key = analytics.key(day).map_err(into_redis_error)?.as_str().to_owned();
        let (events, barrier) = (events(), Barrier::new(CLIENTS));
        let clients = (0..CLIENTS).map(|client| {
            let (redis, analytics, barrier) = (redis.clone(), &analytics, &barrier);
            Reporter { redis, analytics, barrier, key: &key, day }.report(self, &events, client)
        });
        try_join_all(clients).await?;
        if self == Self::Record {
            let metrics = analytics.of(day).await.map_err(into_redis_error)?;
            let [page_views, orders, revenue] =
                ["page_views", "orders", "revenue"].map(|metric| metrics.get(metric));
            return Ok(Counted { page_views, visitors: metrics.visitors.cast_signed(), orders, revenue });
        }
        let mut read = redis::cmd("HMGET");
        read.arg(&key).arg(&["page_views", "visitors", "orders", "revenue"]);
        let (page_views, visitors, orders, revenue) = read.query_async(&mut redis.clone()).await?;
        Ok(Counted { page_views, visitors, orders, revenue })
    }
}

/// Something that happened in the shop.
pub(super) struct Event {
    pub(super) id: String,
    pub(super) visitor: String,
    /// SKU and price of each line of an order; none for a page view.
    pub(super) lines: Vec<(String, Cents)>,
}

impl Event {
    /// Counts it, once.
    pub(super) async fn record(&self, analytics: &Analytics<Connection>, day: &str) -> RedisResult<Recorded> {
        let lines: Vec<(&str, Cents)> = self.lines.iter().map(|(sku, price)| (&**sku, *price)).collect();
        let recorded = if lines.is_empty() {
            analytics.page_view(&self.id, day, &self.visitor).await
        } else {
            analytics.order(&self.id, day, &self.visitor, &lines).await
        };
        recorded.map_err(into_redis_error)
    }

    /// What it adds to the metrics if every page load counts as a visitor.
    fn metrics(&self) -> [(&'static str, i64); 2] {
        if self.lines.is_empty() {
            [("page_views", 1), ("visitors", 1)]
        } else {
            [("orders", 1), ("revenue", self.lines.iter().map(|(_, price)| price.get()).sum())]
        }
    }
}

/// Every visitor loads some pages, then some of them order.
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

/// One web server.
struct Reporter<'a> {
    redis: Connection,
    analytics: &'a Analytics<Connection>,
    barrier: &'a Barrier,
    /// The Hash of the day.
    key: &'a str,
    day: &'a str,
}

impl Reporter<'_> {
    /// Reports every eighth event, so that all clients have as many.
    async fn report(mut self, count: Count, events: &[Event], client: usize) -> RedisResult<()> {
        for (number, event) in events.iter().enumerate().skip(client).step_by(CLIENTS) {
            // Clients that wait for each other repeat nothing.
            let is_sent_again = count != Count::ReadAddWrite && number % ONE_LOST_IN == 0;
            for _ in 0..if is_sent_again { 2 } else { 1 } {
                match count {
                    Count::ReadAddWrite => self.read_add_write(event).await?,
                    Count::Increment => self.increment(event).await?,
                    Count::Record => event.record(self.analytics, self.day).await.map(drop)?,
                }
            }
        }
        Ok(())
    }

    async fn read_add_write(&mut self, event: &Event) -> RedisResult<()> {
        let [(one, add_one), (other, add_other)] = event.metrics();
        let mut read = redis::cmd("HMGET");
        let had: [Option<i64>; 2] =
            read.arg(self.key).arg(&[one, other]).query_async(&mut self.redis).await?;
        let [had_one, had_other] = had.map(Option::unwrap_or_default);
        let sums = [(one, had_one + add_one), (other, had_other + add_other)];
        self.barrier.wait().await; // All clients have read.
        redis::cmd("HSET").arg(self.key).arg(&sums).exec_async(&mut self.redis).await?;
        self.barrier.wait().await; // All clients have written.
        Ok(())
    }

    async fn increment(&mut self, event: &Event) -> RedisResult<()> {
        let [(one, add_one), (other, add_other)] = event.metrics();
        let mut both = redis::pipe();
        both.hincr(self.key, one, add_one).hincr(self.key, other, add_other);
        both.exec_async(&mut self.redis).await
    }
}
