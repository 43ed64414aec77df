use std::collections::BTreeMap;
use std::sync::LazyLock;
use std::time::Duration;

use redis::aio::ConnectionLike;
use redis::{Cmd, RedisError, Script, Value};

use super::daily::{self, DailyMetrics, Metrics};
use super::{DEFAULT_KEEP, Day, INEXACT, Week, milliseconds};
use crate::script;
use crate::store::{Reply, StoreError, holds_store_error};
use crate::together::together;
use crate::{Cents, Keys, Layout, Sku};

static REPLACE: LazyLock<Script> = LazyLock::new(|| {
    Script::new(concat!(include_str!("../scripts/types.lua"), include_str!("scripts/week.lua")))
});

/// Weeks, added up of days.
///
/// A roll-up reads seven days and replaces the week in one step, so nobody sees half of one. It can be done again at
/// any time, and should be once all seven days are closed.
#[derive(Clone, Debug)]
pub struct WeeklyMetrics<C> {
    connection: C,
    keys: Keys,
    keep: Duration,
}

impl<C: ConnectionLike + Clone> WeeklyMetrics<C> {
    /// The weeks under `keys`, each kept for 400 days after it was added up.
    pub fn new(connection: C, keys: Keys) -> Self {
        Self { connection, keys, keep: DEFAULT_KEEP }
    }

    /// How long a week is kept: a second to ten years.
    #[must_use]
    pub fn with_keep(mut self, keep: Duration) -> Self {
        self.keep = keep;
        self
    }

    /// Adds the days of a week up. Its visitors are those of the union: who came on three days counts once.
    ///
    /// On one server three round trips; ZUNIONSTORE and PFMERGE do the work there. On a cluster the days are in slots of
    /// their own: they are read, all at once, and written to the slot of the week. O(products of the week).
    pub async fn roll_up(&self, week: Week) -> Result<Metrics, RollUpError> {
        let days: Vec<Day> = week.days().collect();
        let sums = self.sum(&days).await?;
        self.check_types_and_scores(week, &days).await?;
        let visitors = match self.keys.layout() {
            Layout::Standalone => self.combine_there(week, &days, &sums).await?,
            Layout::Cluster => self.combine_here(week, &days, &sums).await?,
        };
        Ok(Metrics { values: sums, visitors })
    }

    /// The counts of a week as they were rolled up last; all zero if they never were. One round trip; on a cluster two
    /// commands in flight at once.
    pub async fn of(&self, week: Week) -> Result<Metrics, StoreError> {
        let keys = vec![(self.keys.weekly_metrics(week), self.keys.weekly_visitors(week))];
        Ok(daily::read(&self.connection, self.keys.layout(), keys).await?.pop().unwrap_or_default())
    }

    /// The products with the most revenue in a week, in the order of [`DailyMetrics::top`]. One round trip.
    pub async fn top(&self, week: Week, count: usize) -> Result<Vec<(Sku, Cents)>, StoreError> {
        daily::top(&self.connection, &self.keys.top_products_of_week(week), count).await
    }

    /// Every metric, summed over the days.
    async fn sum(&self, days: &[Day]) -> Result<BTreeMap<String, i64>, RollUpError> {
        let metrics = DailyMetrics::new(self.connection.clone(), self.keys.clone());
        let mut sums = BTreeMap::<String, i64>::new();
        for day in metrics.of_days(days).await? {
            for (metric, number) in day.values {
                let sum = sums.get(&metric).copied().unwrap_or_default().checked_add(number);
                let sum = sum.ok_or_else(|| RollUpError::Overflow { metric: metric.clone() })?;
                sums.insert(metric, sum);
            }
        }
        Ok(sums)
    }

    /// A transaction goes on after a command that fails, so what could fail in it is asked for before: a key of another
    /// type, and sums of scores that a double cannot hold.
    async fn check_types_and_scores(&self, week: Week, days: &[Day]) -> Result<(), RollUpError> {
        let [metrics, visitors, products] = self.keys_of(week);
        let ask = |command: &str, key: String| redis::cmd(command).arg(key).take();
        let ours = vec![ask("HLEN", metrics), ask("PFCOUNT", visitors), ask("ZCARD", products)];
        let highest = |day: &Day| ask("ZREVRANGE", self.keys.top_products(*day)).arg(&[0, 0]).take();
        let highest = days.iter().map(|day| highest(day).arg("WITHSCORES").take());
        let commands: Vec<Cmd> = ours.into_iter().chain(highest).collect();
        let replies: Vec<Value> = together(&self.connection, self.keys.layout(), commands).await?;
        let mut most = 0.0;
        for reply in replies.into_iter().skip(3) {
            let first: Vec<(String, f64)> = redis::from_redis_value(reply).map_err(RedisError::from)?;
            most += first.first().map_or(0.0, |(_, score)| *score);
        }
        if most < INEXACT as f64 {
            Ok(())
        } else {
            Err(RollUpError::Overflow { metric: "the revenue of a product".into() })
        }
    }

    /// One server has all days: it combines them itself. Answers how many visitors the week had.
    async fn combine_there(
        &self,
        week: Week,
        days: &[Day],
        sums: &BTreeMap<String, i64>,
    ) -> Result<u64, StoreError> {
        let [metrics, visitors, products] = self.keys_of(week);
        let products_of_days: Vec<String> = days.iter().map(|day| self.keys.top_products(*day)).collect();
        let visitors_of_days: Vec<String> = days.iter().map(|day| self.keys.daily_visitors(*day)).collect();
        let mut write = redis::pipe();
        write.atomic().cmd("UNLINK").arg(&[&metrics, &visitors, &products]).ignore();
        if !sums.is_empty() {
            write.cmd("HSET").arg(&metrics).ignore();
            for (metric, sum) in sums {
                write.arg(metric).arg(sum);
            }
        }
        write.cmd("ZUNIONSTORE").arg(&products).arg(days.len()).arg(products_of_days).ignore();
        write.cmd("PFMERGE").arg(&visitors).arg(visitors_of_days).ignore();
        for key in [&metrics, &visitors, &products] {
            write.cmd("PEXPIRE").arg(key).arg(milliseconds(self.keep)).ignore();
        }
        write.cmd("PFCOUNT").arg(&visitors);
        let (visitors,) = write.query_async(&mut self.connection.clone()).await?;
        Ok(visitors)
    }

    /// The days of a cluster are read, combined here, and sent to the slot of the week. A HyperLogLog is a String, which can
    /// be copied like any other. Not in MULTI: when the slot has moved, a cluster's client can send a script again, but
    /// hands on that a transaction was aborted.
    async fn combine_here(
        &self,
        week: Week,
        days: &[Day],
        sums: &BTreeMap<String, i64>,
    ) -> Result<u64, StoreError> {
        let layout = self.keys.layout();
        let read = |day: &Day| redis::cmd("GET").arg(self.keys.daily_visitors(*day)).take();
        let read = days.iter().map(read).collect();
        let visitors: Vec<Option<Vec<u8>>> = together(&self.connection, layout, read).await?;
        let range = |day: &Day| redis::cmd("ZRANGE").arg(self.keys.top_products(*day)).arg(&[0, -1]).take();
        let range = days.iter().map(|day| range(day).arg("WITHSCORES").take()).collect();
        let products: Vec<Vec<(String, f64)>> = together(&self.connection, layout, range).await?;
        let mut revenues = BTreeMap::<String, f64>::new();
        for (sku, revenue) in products.into_iter().flatten() {
            *revenues.entry(sku).or_default() += revenue;
        }

        let mut call = REPLACE.prepare_invoke();
        call.key(&self.keys_of(week)).key(self.keys.weekly_visitors_of_a_day(week));
        call.arg(milliseconds(self.keep)).arg(sums.len());
        for (metric, sum) in sums {
            call.arg(metric).arg(sum);
        }
        call.arg(revenues.len());
        for (sku, revenue) in &revenues {
            call.arg(sku).arg(revenue);
        }
        for copy in visitors.into_iter().flatten() {
            call.arg(copy);
        }
        let mut reply: Reply = script::run(&call, &self.connection).await?;
        match reply.outcome.as_str() {
            "REPLACED" => reply.next(),
            _ => Err(reply.into_error()),
        }
    }

    fn keys_of(&self, week: Week) -> [String; 3] {
        let keys = &self.keys;
        [keys.weekly_metrics(week), keys.weekly_visitors(week), keys.top_products_of_week(week)]
    }
}

/// Why a week was not added up. Nothing was changed, unless the connection failed: then do it again.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RollUpError {
    /// A sum leaves `i64`, or the revenue of a product may reach 2^53 cents.
    #[error("{metric} adds up to more than can be counted exactly")]
    Overflow {
        /// The metric.
        metric: String,
    },
    /// Redis, or the data in it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

holds_store_error!(RollUpError);
