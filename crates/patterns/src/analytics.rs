//! Analytics: what happened on each day, every event once.
//!
//! The naive way is a counter that you increment when something happens. It is wrong in three ways. An event whose reply was
//! lost is sent again and counts twice. A reloaded page counts as another visitor. An event of 23:59 that arrives at 00:01
//! counts for the wrong day. Here the client picks an ID for each event and says on which day it happened. One script looks up
//! the ID and counts, in one step.
//!
//! | key | type | holds |
//! |---|---|---|
//! | `daily_metrics:2024-01-01` | Hash | metric to number (`revenue` is in cents), `:closes`, `:inexact` |
//! | `daily_metrics:{daily_metrics:2024-01-01}:ids` | Set | the IDs of the events counted, while the day is open |
//! | `daily_metrics:{daily_metrics:2024-01-01}:visitors` | HyperLogLog | the visitors |
//! | `top_products:2024-01-01` | Sorted Set | SKU, scored by revenue in cents |
//! | `top_products:{top_products:2024-01-01}:orders` | Set | the IDs of the orders counted here, while the day is open |
//!
//! A day is open for three days after its first event, or until you close it. It is any name you pick: `2024-01-01` of the
//! time zone of your shop, or an hour.
//!
//! - **Promise**: an event counts once on its day, however often you send it, as long as the day is open. After that, it is too
//!   late, and the numbers are final. Metrics and visitors of a day change in one step. The products are in another slot, so an
//!   order counts there in a second step, also once. If you crash in between, send the order again.
//! - **Cost**: one round trip for a page view, two for an order; O(products of the order), at most 100.
//! - **Memory**: about 80 bytes for each event while its day is open, for at most 10,000,000 events; then the metrics, 12 kB of
//!   visitors, and the products of a day, for 400 days. If a day has millions of events, set `lazyfree-lazy-expire` (Valkey's
//!   default), or close the day yourself.
//! - **Faults**: if the IDs or the metrics of an open day are evicted, the day goes on, and its numbers are marked as not exact:
//!   an event that is sent again then counts again, and lost counts begin at 0. Lost visitors are counted from then on; lost
//!   products, or the IDs of their orders, begin again. A failover may lose the last events, unless they are sent again; on a
//!   cluster, metrics and products may then differ by some orders. If the clock is set forward, days close early; set back, they
//!   are open again. Use `noeviction` for numbers that must be exact.
//!
//! ```
//! use patterns::analytics::{Analytics, Recorded};
//!
//! # tokio::runtime::Runtime::new()?.block_on(async {
//! # let server = lab_server::Server::start()?;
//! # let url = server.url();
//! let connection = redis::Client::open(url)?.get_multiplexed_async_connection().await?;
//! let analytics = Analytics::new(connection, "");
//! let lines = [("PROD123", "19.99".parse()?)];
//! assert_eq!(analytics.page_view("event-1", "2024-01-01", "user123").await?, Recorded::Counted);
//! assert_eq!(analytics.order("event-2", "2024-01-01", "user123", &lines).await?, Recorded::Counted);
//! // The reply was lost, so the client sends it again.
//! assert_eq!(analytics.order("event-2", "2024-01-01", "user123", &lines).await?, Recorded::Duplicate);
//!
//! let day = analytics.of("2024-01-01").await?;
//! assert_eq!((day.get("page_views"), day.get("orders"), day.get("revenue")), (1, 1, 1_999));
//! assert_eq!(day.visitors, 1);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::collections::BTreeMap;
use std::time::Duration;

use redis::aio::ConnectionLike;

use crate::key::{Key, check_id};
use crate::money::Cents;
use crate::script::{Reply, Script, StoreError, by_operation, join_all, milliseconds, quote, send};

/// The most different products of one order.
pub const MAX_ORDER_LINES: usize = 100;
/// The most products that [`Analytics::top`] returns.
pub const MAX_TOP: usize = 1_000;
/// The largest number that is counted, 2^53 - 1. Beyond it, scores and the numbers of scripts are not exact.
const MAX_EXACT: i64 = (1 << 53) - 1;

const FILE: &str = include_str!("analytics.lua");

/// Counts one event on its day, once.
pub static RECORD: Script = Script::new("analytics.lua: record", FILE, &["record"]);
/// Closes a day: no more events are counted.
pub static CLOSE: Script = Script::new("analytics.lua: close", FILE, &["close"]);
/// Adds one order to the revenue of its products, once.
pub static PRODUCTS: Script = Script::new("analytics.lua: products", FILE, &["products"]);
/// Reads a day.
pub static DAY: Script = Script::new("analytics.lua: day", FILE, &["day"]);

/// The scripts of this pattern, by name.
pub fn scripts() -> Vec<(&'static str, &'static Script)> {
    by_operation(&[&RECORD, &CLOSE, &PRODUCTS, &DAY])
}

/// The days under a prefix.
#[derive(Clone, Debug)]
pub struct Analytics<C> {
    connection: C,
    prefix: String,
    open_for: Duration,
    keep: Duration,
    max_events: u64,
}

/// What became of an event.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Recorded {
    /// It was counted.
    Counted,
    /// It had been counted before; nothing was changed.
    Duplicate,
    /// Its day is closed; nothing was changed.
    TooLate,
}

/// The numbers of a day or a week.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Metrics {
    /// Metric to number, below 2^53 and above -2^53; `revenue` is in cents.
    pub values: BTreeMap<String, i64>,
    /// How many different visitors came, with a standard error of 0.81% (a HyperLogLog).
    pub visitors: u64,
    /// Whether the numbers are final: no more events are counted. Otherwise they may still grow.
    pub closed: bool,
    /// Whether the numbers are exact: as far as is known, no key of the day was lost.
    pub exact: bool,
}

impl Metrics {
    /// One metric; 0 if nothing was counted.
    #[must_use]
    pub fn get(&self, metric: &str) -> i64 {
        self.values.get(metric).copied().unwrap_or_default()
    }
}

impl<C: ConnectionLike + Clone> Analytics<C> {
    /// Days of at most 10,000,000 events that are open for three days and kept for 400, so that you can compare a day with that
    /// of a year ago.
    pub fn new(connection: C, prefix: &str) -> Self {
        Self {
            connection,
            prefix: prefix.to_owned(),
            open_for: Duration::from_hours(3 * 24),
            keep: Duration::from_hours(400 * 24),
            max_events: 10_000_000,
        }
    }

    /// How long a day counts events after the first one: a millisecond to a year. For that time, you can send an event again.
    #[must_use]
    pub fn with_open_for(self, open_for: Duration) -> Self {
        Self { open_for, ..self }
    }

    /// How long the numbers of a day are kept after its first event: up to ten years, and at least while it is open. An event
    /// that comes even later opens its day anew.
    #[must_use]
    pub fn with_keep(self, keep: Duration) -> Self {
        Self { keep, ..self }
    }

    /// The most events of one day, at least 1. After that, [`RecordError::TooManyEvents`] is better than to forget IDs and to
    /// count twice.
    #[must_use]
    pub fn with_max_events(self, max_events: u64) -> Self {
        Self { max_events: max_events.max(1), ..self }
    }

    /// Counts a page view: `page_views` grows by one. If you don't know the visitor, pass an empty text. One round trip.
    pub async fn page_view(&self, event: &str, day: &str, visitor: &str) -> Result<Recorded, RecordError> {
        self.record(event, day, visitor, &[("page_views", 1)]).await
    }

    /// Counts an order: `orders` grows by one, `revenue` by the sum of the lines, and the revenue of each product by its own
    /// lines. At most [`MAX_ORDER_LINES`] different products. Two round trips.
    pub async fn order(
        &self,
        event: &str,
        day: &str,
        visitor: &str,
        lines: &[(&str, Cents)],
    ) -> Result<Recorded, RecordError> {
        let overflow = || RecordError::Overflow { metric: "revenue".into() };
        let (mut revenue, mut products) = (Cents::ZERO, BTreeMap::<&str, Cents>::new());
        for (sku, cents) in lines {
            check_id(sku).map_err(StoreError::from)?;
            revenue = revenue.checked_add(*cents).ok_or_else(overflow)?;
            // No product has more than the sum.
            let product = products.entry(sku).or_default();
            *product = product.checked_add(*cents).ok_or_else(overflow)?;
        }
        if products.len() > MAX_ORDER_LINES {
            return Err(RecordError::TooManyLines { lines: products.len() });
        }
        let metrics = [("revenue", revenue.get()), ("orders", 1)];
        let recorded = self.record(event, day, visitor, &metrics).await?;
        // Even for a duplicate: its sender may have crashed between the two steps.
        if recorded != Recorded::TooLate && !products.is_empty() {
            self.count_products(event, day, &products).await?;
        }
        Ok(recorded)
    }

    /// Counts anything else: adds `amount`, which may be negative, to `metric`. One round trip.
    pub async fn add(
        &self,
        event: &str,
        day: &str,
        metric: &str,
        amount: i64,
    ) -> Result<Recorded, RecordError> {
        check_id(metric).map_err(StoreError::from)?;
        // Fields that begin with a colon are those of the pattern.
        let field = if metric.starts_with(':') { format!(":{metric}") } else { metric.to_owned() };
        self.record(event, day, "", &[(&field, amount)]).await
    }

    /// Closes a day: from now on its events are too late, and the memory of their IDs is freed. Closing it again changes
    /// nothing. One round trip.
    pub async fn close(&self, day: &str) -> Result<(), StoreError> {
        let key = self.key(day)?;
        let call = CLOSE.call(&[key.as_str(), &key.companion("ids")]).arg(self.keep_ms());
        call.run::<Reply>(&self.connection).await?.must_be("CLOSED")
    }

    /// The numbers of a day; all 0 if nothing happened. One round trip.
    pub async fn of(&self, day: &str) -> Result<Metrics, StoreError> {
        Ok(self.read(day, false).await?.0)
    }

    /// The numbers of several days, in their order. One call for each, all in flight at once.
    pub async fn of_days(&self, days: &[&str]) -> Result<Vec<Metrics>, StoreError> {
        join_all(days.iter().map(|day| self.of(day))).await.into_iter().collect()
    }

    /// The products with the most revenue on a day, at most [`MAX_TOP`], the highest first. Of equals, those with the greatest
    /// SKU. One round trip.
    pub async fn top(&self, day: &str, count: usize) -> Result<Vec<(String, Cents)>, StoreError> {
        let key = self.products_key(day)?;
        let Some(last) = count.min(MAX_TOP).checked_sub(1) else { return Ok(Vec::new()) };
        let mut range = redis::cmd("ZREVRANGE");
        range.arg(key.as_str()).arg(0).arg(last).arg("WITHSCORES");
        let top: Vec<(String, f64)> = send(&self.connection, &range).await?;
        top.into_iter().map(|(sku, cents)| Ok((sku, to_cents(&key, cents)?))).collect()
    }

    async fn record(
        &self,
        event: &str,
        day: &str,
        visitor: &str,
        metrics: &[(&str, i64)],
    ) -> Result<Recorded, RecordError> {
        check_id(event).map_err(StoreError::from)?;
        if visitor.len() > crate::key::MAX_ID_BYTES {
            check_id(visitor).map_err(StoreError::from)?;
        }
        let key = self.key(day)?;
        let mut call = RECORD
            .call(&[key.as_str(), &key.companion("ids"), &key.companion("visitors")])
            .arg(event)
            .arg(visitor)
            .arg(milliseconds(self.open_for))
            .arg(self.keep_ms())
            .arg(self.max_events)
            .arg(metrics.len());
        for (metric, _) in metrics {
            call = call.arg(*metric);
        }
        for (metric, amount) in metrics {
            if !(-MAX_EXACT..=MAX_EXACT).contains(amount) {
                return Err(RecordError::Overflow { metric: (*metric).to_owned() });
            }
            call = call.arg(*amount);
        }
        let mut reply: Reply = call.run(&self.connection).await?;
        match reply.outcome.as_str() {
            "COUNTED" => Ok(Recorded::Counted),
            "DUPLICATE" => Ok(Recorded::Duplicate),
            "TOO_LATE" => Ok(Recorded::TooLate),
            "FULL" => Err(RecordError::TooManyEvents { limit: self.max_events }),
            "OVERFLOW" => Err(RecordError::Overflow { metric: reply.next()? }),
            _ => Err(reply.unexpected().into()),
        }
    }

    /// The second step of an order. It remembers its own IDs, so you can repeat it too.
    async fn count_products(
        &self,
        event: &str,
        day: &str,
        products: &BTreeMap<&str, Cents>,
    ) -> Result<(), RecordError> {
        let key = self.products_key(day)?;
        let mut call = PRODUCTS.call(&[key.as_str(), &key.companion("orders")]);
        // As long as the day can be open: it opened no later than now. One more minute, as for the other IDs.
        call = call.arg(event).arg(milliseconds(self.open_for) + 60_000).arg(self.keep_ms());
        for (sku, cents) in products {
            call = call.arg(*sku).arg(cents.get());
        }
        let mut reply: Reply = call.run(&self.connection).await?;
        match reply.outcome.as_str() {
            "COUNTED" | "DUPLICATE" => Ok(()),
            "OVERFLOW" => Err(RecordError::Overflow { metric: reply.next()? }),
            _ => Err(reply.unexpected().into()),
        }
    }

    /// A day at one moment, and its HyperLogLog if you want it.
    pub(crate) async fn read(
        &self,
        day: &str,
        with_visitors: bool,
    ) -> Result<(Metrics, Option<Vec<u8>>), StoreError> {
        let key = self.key(day)?;
        let call = DAY.call(&[key.as_str(), &key.companion("visitors")]).arg(u8::from(with_visitors));
        let mut reply: Reply = call.run(&self.connection).await?;
        reply.must_be("DAY")?;
        let now: i64 = reply.next()?;
        let mut metrics = to_metrics(&key, reply.next()?, now)?;
        metrics.visitors = reply.next()?;
        Ok((metrics, reply.next()?))
    }

    pub(crate) fn keep_ms(&self) -> u64 {
        const TEN_YEARS: u128 = 10 * 365 * 24 * 60 * 60 * 1000;
        let keep = self.keep.max(self.open_for).as_millis().clamp(1, TEN_YEARS);
        // At most ten years, so it fits.
        u64::try_from(keep).unwrap_or(u64::MAX)
    }

    /// The key of a day's metrics.
    pub fn key(&self, day: &str) -> Result<Key, StoreError> {
        Ok(Key::new(&self.prefix, "daily_metrics", &[day])?)
    }

    /// The key of a day's products by revenue.
    pub fn products_key(&self, day: &str) -> Result<Key, StoreError> {
        Ok(Key::new(&self.prefix, "top_products", &[day])?)
    }
}

/// The fields of a Hash of metrics, read at this moment in milliseconds.
pub(crate) fn to_metrics(
    key: &Key,
    fields: BTreeMap<String, String>,
    now: i64,
) -> Result<Metrics, StoreError> {
    let mut metrics = Metrics { exact: true, ..Metrics::default() };
    for (field, text) in fields {
        let malformed = || StoreError::Malformed(quote(&format!("{} {field}", key.as_str())));
        let number: i64 = text.parse().map_err(|_| malformed())?;
        match field.strip_prefix(':') {
            None => drop(metrics.values.insert(field, number)),
            Some("closes") => metrics.closed = number <= now,
            Some("inexact") => metrics.exact = number == 0,
            Some(metric) => drop(metrics.values.insert(metric.to_owned(), number)),
        }
    }
    Ok(metrics)
}

/// The cents that a score stands for.
pub(crate) fn to_cents(key: &Key, score: f64) -> Result<Cents, StoreError> {
    #[expect(clippy::cast_possible_truncation, reason = "checked to be a whole number up to 2^53")]
    let cents = (score.fract() == 0.0 && (0.0..=MAX_EXACT as f64).contains(&score)).then_some(score as i64);
    cents
        .and_then(Cents::new)
        .ok_or_else(|| StoreError::Malformed(quote(&format!("{} score {score}", key.as_str()))))
}

/// Why an event was not counted. Nothing was changed, unless the connection failed: then send it again.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecordError {
    /// A metric or the revenue of a product would reach 2^53 (or a metric -2^53), where numbers are no longer exact.
    #[error("{metric} would grow beyond what can be counted exactly")]
    Overflow {
        /// The metric or the product.
        metric: String,
    },
    /// The order has more than [`MAX_ORDER_LINES`] products.
    #[error("the order has {lines} products; the maximum is {MAX_ORDER_LINES}")]
    TooManyLines {
        /// How many it has.
        lines: usize,
    },
    /// The day has as many events as are remembered.
    #[error("the day already has {limit} events, which is the limit")]
    TooManyEvents {
        /// The most events of a day.
        limit: u64,
    },
    /// Redis, or the data in it.
    #[error(transparent)]
    Store(#[from] StoreError),
}
