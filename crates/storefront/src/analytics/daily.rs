use std::collections::BTreeMap;
use std::sync::LazyLock;
use std::time::Duration;

use redis::aio::ConnectionLike;
use redis::{RedisError, Script, Value};

use super::event::{Event, MOST_ORDER_LINES};
use super::{DEFAULT_KEEP, Day, INEXACT, milliseconds};
use crate::script;
use crate::store::{Reply, StoreError, holds_store_error};
use crate::together::together;
use crate::{Cents, Keys, Layout, Sku};

static RECORD: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("scripts/record.lua")));
static CLOSE: LazyLock<Script> = LazyLock::new(|| {
    Script::new(concat!(include_str!("../scripts/types.lua"), include_str!("scripts/close.lua")))
});

/// How long a day is open for events that come late.
const OPEN_FOR: Duration = Duration::from_hours(3 * 24);
/// How many events of one day are counted: about 80 bytes each, while the day is open.
const MOST_EVENTS: u64 = 10_000_000;

/// What happened on each day, every event once.
///
/// A day opens with its first event and stays open for three days of the server's clock (see
/// [`DailyMetrics::with_open_for`]), or until [`DailyMetrics::close`]. As long as it is open, the ids of its events are
/// remembered: after a timeout or a lost connection, send the same event again. What comes later is told so, and not
/// counted. So no event counts twice, nor for a day that was reported already, as long as the day is kept (400 days; see
/// [`DailyMetrics::with_keep`]); what comes even later would open its day anew.
///
/// All keys of one day are in one slot: on a cluster one node counts a whole day.
#[derive(Clone, Debug)]
pub struct DailyMetrics<C> {
    connection: C,
    keys: Keys,
    open_for: Duration,
    keep: Duration,
    most_events: u64,
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

/// The counts of a day or a week.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Metrics {
    /// Metric to number; `revenue` is in cents.
    pub values: BTreeMap<String, i64>,
    /// How many different visitors came, within about 1 % (a HyperLogLog: see [`super::UniqueVisitors`]).
    pub visitors: u64,
}

impl Metrics {
    /// One metric, 0 if nothing was counted.
    #[must_use]
    pub fn get(&self, metric: &str) -> i64 {
        self.values.get(metric).copied().unwrap_or_default()
    }
}

impl<C: ConnectionLike + Clone> DailyMetrics<C> {
    /// The metrics under `keys`.
    pub fn new(connection: C, keys: Keys) -> Self {
        Self { connection, keys, open_for: OPEN_FOR, keep: DEFAULT_KEEP, most_events: MOST_EVENTS }
    }

    /// How long a day takes events, counted from the first of them: a second to ten years.
    #[must_use]
    pub fn with_open_for(mut self, open_for: Duration) -> Self {
        self.open_for = open_for;
        self
    }

    /// How long counts are kept, but never shorter than a day is open: a second to ten years.
    #[must_use]
    pub fn with_keep(mut self, keep: Duration) -> Self {
        self.keep = keep;
        self
    }

    /// The most events of one day, at least 1. Beyond it [`RecordError::TooManyEvents`] is better than to forget ids and
    /// count twice.
    #[must_use]
    pub fn with_most_events(mut self, most_events: u64) -> Self {
        self.most_events = most_events.max(1);
        self
    }

    /// Counts an event on the day it happened, once. One round trip; O(products of the order).
    pub async fn record(&self, event: &Event) -> Result<Recorded, RecordError> {
        let overflow = |metric: &str| RecordError::Overflow { metric: metric.to_owned() };
        let changes = event.changes().ok_or_else(|| overflow(event.metric()))?;
        let revenues = event.revenues().ok_or_else(|| overflow("revenue"))?;
        if revenues.len() > MOST_ORDER_LINES {
            return Err(RecordError::TooManyLines { lines: revenues.len() });
        }
        let day = event.day;
        let mut call = RECORD.key(self.keys.daily_metrics(day));
        call.key(self.keys.daily_events(day)).key(self.keys.daily_visitors(day));
        if !revenues.is_empty() {
            call.key(self.keys.top_products(day));
        }
        call.arg(event.id.as_str()).arg(event.visitor.as_ref().map_or("", |visitor| visitor.as_str()));
        call.arg(milliseconds(self.open_for)).arg(self.keep_ms()).arg(self.most_events).arg(changes.len());
        for (metric, amount) in changes {
            call.arg(metric).arg(amount);
        }
        for (sku, cents) in revenues {
            call.arg(sku.as_str()).arg(cents.get());
        }
        let mut reply: Reply = script::run(&call, &self.connection).await?;
        match reply.outcome.as_str() {
            "COUNTED" => Ok(Recorded::Counted),
            "DUPLICATE" => Ok(Recorded::Duplicate),
            "TOO_LATE" => Ok(Recorded::TooLate),
            "FULL" => Err(RecordError::TooManyEvents { limit: self.most_events }),
            "OVERFLOW" => Err(overflow(&reply.next::<String>()?)),
            _ => Err(reply.into_error().into()),
        }
    }

    /// Closes a day: events that come for it from now on are too late, and their ids need no memory any more. Closing again
    /// changes nothing. One round trip.
    pub async fn close(&self, day: Day) -> Result<(), StoreError> {
        let mut call = CLOSE.key(self.keys.daily_metrics(day));
        call.key(self.keys.daily_events(day)).arg(self.keep_ms());
        let reply: Reply = script::run(&call, &self.connection).await?;
        if reply.outcome == "CLOSED" { Ok(()) } else { Err(reply.into_error()) }
    }

    /// The counts of a day; all zero if nothing happened. One round trip; on a cluster two commands in flight at once.
    pub async fn of(&self, day: Day) -> Result<Metrics, StoreError> {
        Ok(self.of_days(&[day]).await?.pop().unwrap_or_default())
    }

    /// The products with the most revenue on a day, the highest first; among equals by SKU. (Where `count` cuts through
    /// equals, those whose SKUs come last are shown.) One round trip.
    pub async fn top(&self, day: Day, count: usize) -> Result<Vec<(Sku, Cents)>, StoreError> {
        top(&self.connection, &self.keys.top_products(day), count).await
    }

    /// The counts of several days, in their order. One round trip, two commands for each day; on a cluster all in flight
    /// at once.
    pub async fn of_days(&self, days: &[Day]) -> Result<Vec<Metrics>, StoreError> {
        let keys = days.iter().map(|day| (self.keys.daily_metrics(*day), self.keys.daily_visitors(*day)));
        read(&self.connection, self.keys.layout(), keys.collect()).await
    }

    fn keep_ms(&self) -> u64 {
        milliseconds(self.keep.max(self.open_for))
    }
}

/// Hashes of metrics, each with the HyperLogLog beside it.
pub(super) async fn read<C: ConnectionLike + Clone>(
    connection: &C,
    layout: Layout,
    keys: Vec<(String, String)>,
) -> Result<Vec<Metrics>, StoreError> {
    let hashes = keys.iter().map(|(hash, _)| redis::cmd("HGETALL").arg(hash).take());
    let counts = keys.iter().map(|(_, visitors)| redis::cmd("PFCOUNT").arg(visitors).take());
    let mut hashes: Vec<Value> = together(connection, layout, hashes.chain(counts).collect()).await?;
    let counts = hashes.split_off(keys.len());
    let metrics = |((fields, visitors), (hash, _)): ((Value, Value), &(String, String))| {
        let fields = redis::from_redis_value(fields).map_err(RedisError::from)?;
        let visitors = redis::from_redis_value(visitors).map_err(RedisError::from)?;
        Ok(Metrics { values: numbers(fields, hash)?, visitors })
    };
    hashes.into_iter().zip(counts).zip(&keys).map(metrics).collect()
}

fn numbers(fields: BTreeMap<String, String>, key: &str) -> Result<BTreeMap<String, i64>, StoreError> {
    let number = |(metric, text): (String, String)| match text.parse() {
        Ok(number) => Ok((metric, number)),
        Err(_) => Err(StoreError::malformed(key, &metric)),
    };
    fields.into_iter().map(number).collect()
}

/// The highest of a Sorted Set of products by cents; among equals by SKU.
pub(super) async fn top<C: ConnectionLike + Clone>(
    connection: &C,
    key: &str,
    count: usize,
) -> Result<Vec<(Sku, Cents)>, StoreError> {
    let Some(last) = i64::try_from(count).unwrap_or(i64::MAX).checked_sub(1).filter(|last| *last >= 0) else {
        return Ok(Vec::new());
    };
    let mut range = redis::cmd("ZREVRANGE");
    range.arg(key).arg(0).arg(last).arg("WITHSCORES");
    let stored: Vec<(String, f64)> = range.query_async(&mut connection.clone()).await?;
    let mut top = stored.iter().map(|(sku, score)| parse(key, sku, *score)).collect::<Result<Vec<_>, _>>()?;
    top.sort_by(|(a, less), (b, more)| more.cmp(less).then_with(|| a.cmp(b)));
    Ok(top)
}

pub(super) fn parse(key: &str, sku: &str, score: f64) -> Result<(Sku, Cents), StoreError> {
    let malformed = || StoreError::malformed(key, sku);
    if score.fract() != 0.0 || !(0.0..INEXACT as f64).contains(&score) {
        return Err(malformed());
    }
    #[expect(clippy::cast_possible_truncation, reason = "a whole number below 2^53")]
    let cents = Cents::new(score as i64).ok_or_else(malformed)?;
    Ok((sku.parse().map_err(|_| malformed())?, cents))
}

/// Why an event was not counted. Nothing was changed, unless the connection failed: then send it again.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecordError {
    /// A metric would leave `i64`, or a product's revenue would reach 2^53 cents, from where doubles are inexact.
    #[error("{metric} would grow beyond what can be counted exactly")]
    Overflow {
        /// The metric or the product.
        metric: String,
    },
    /// The order has more than [`MOST_ORDER_LINES`] products.
    #[error("the order has {lines} products; the most is {MOST_ORDER_LINES}")]
    TooManyLines {
        /// How many it has.
        lines: usize,
    },
    /// The day has as many events as may be remembered.
    #[error("the day has {limit} events already, the most that are remembered")]
    TooManyEvents {
        /// The most events of a day.
        limit: u64,
    },
    /// Redis, or the data in it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

holds_store_error!(RecordError);
