//! What it costs to report what somebody does.

use std::sync::LazyLock;

use futures_util::{FutureExt, StreamExt, TryStreamExt, stream};
use lab_runner::{AnyConnection, Approach, Comparison, LessonContext, Outcome};
use patterns::bought_together::BoughtTogether;
use patterns::key::{Key, KeyError};
use patterns::popular_products::PopularProducts;
use patterns::recent_views::RecentViews;
use redis::{RedisResult, Script};

use super::Shop;
use super::trial::failed;

static EMPTY: LazyLock<Script> = LazyLock::new(|| Script::new("return 1"));

const REPORTS: usize = 300;
const AT_ONCE: usize = 50;
const PRODUCTS: usize = 12;

/// One way to report something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Report {
    /// The floor: INCR of one counter.
    Incr,
    /// A script that does nothing: what every script costs before it begins.
    EmptyScript,
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
    /// All, the floor first.
    pub const ALL: [Self; 6] =
        [Self::Incr, Self::EmptyScript, Self::PushAndTrim, Self::RecentView, Self::PopularView, Self::Order];
}

/// What is reported, and under which names.
#[derive(Clone, Debug)]
pub struct Reports {
    prefix: String,
    operations: usize,
}

impl Reports {
    /// So many reports behind a prefix of their own, `bench:` after this one.
    #[must_use]
    pub fn of(operations: usize, prefix: &str) -> Self {
        Self { prefix: format!("{prefix}bench:"), operations }
    }

    /// Every key that the reports write.
    pub fn keys(&self) -> Result<Vec<String>, KeyError> {
        let popular = Key::new(&self.prefix, "popular_products", &[])?;
        let mut keys = vec![self.counter(), popular.companion("clock"), popular.as_str().to_owned()];
        for number in 0..10 {
            keys.push(Key::new(&self.prefix, "recent_views", &[&customer(number)])?.as_str().to_owned());
        }
        for number in 0..PRODUCTS {
            let key = Key::new(&self.prefix, "also_bought", &[&sku(number)])?;
            keys.extend([key.companion("orders"), key.as_str().to_owned()]);
        }
        Ok(keys)
    }

    fn counter(&self) -> String {
        format!("{}recent_views:counter", self.prefix)
    }
}

fn customer(number: usize) -> String {
    format!("user{}", number % 10)
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
            Self::Incr => "INCR (floor)",
            Self::EmptyScript => "EVALSHA: do nothing",
            Self::PushAndTrim => "view: LPUSH, LTRIM",
            Self::RecentView => "view: RecentViews",
            Self::PopularView => "view: PopularProducts",
            Self::Order => "order of 3: BoughtTogether",
        }
        .to_owned()
    }

    fn operations(self, reports: &Reports) -> u64 {
        reports.operations as u64
    }

    async fn reset<C: AnyConnection>(self, reports: &Reports, connection: &mut C) -> RedisResult<()> {
        for key in reports.keys().map_err(|error| failed(error.into()))? {
            redis::cmd("UNLINK").arg(key).exec_async(connection).await?;
        }
        // The server learns the scripts.
        self.report(reports, connection, 0).await
    }

    async fn run<C: AnyConnection>(self, reports: &Reports, connection: &mut C) -> RedisResult<usize> {
        let connection: &C = connection;
        let reports_of = |number| self.report(reports, connection, number).boxed();
        let all: Vec<_> = (1..=reports.operations).map(reports_of).collect();
        let answered: Vec<()> = stream::iter(all).buffer_unordered(AT_ONCE).try_collect().await?;
        Ok(answered.len())
    }
}

impl Report {
    async fn report<C: AnyConnection>(
        self,
        reports: &Reports,
        connection: &C,
        number: usize,
    ) -> RedisResult<()> {
        let (connection, prefix) = (connection.clone(), &reports.prefix);
        let (customer, sku) = (customer(number), sku(number));
        match self {
            Self::Incr => redis::cmd("INCR").arg(reports.counter()).exec_async(&mut connection.clone()).await,
            Self::EmptyScript => {
                EMPTY.key(reports.counter()).arg(sku).invoke_async(&mut connection.clone()).await
            }
            Self::PushAndTrim => {
                let key = RecentViews::new(connection.clone(), prefix).key(&customer).map_err(failed)?;
                let mut both = redis::pipe();
                both.cmd("LPUSH").arg(key.as_str()).arg(sku).ignore();
                both.cmd("LTRIM").arg(key.as_str()).arg(0).arg(49).ignore();
                both.exec_async(&mut connection.clone()).await
            }
            Self::RecentView => {
                RecentViews::new(connection, prefix).record(&customer, &sku).await.map_err(failed)
            }
            Self::PopularView => {
                PopularProducts::new(connection, prefix).viewed(&sku, None).await.map_err(failed)
            }
            Self::Order => {
                let bought = [0, 1, 2].map(|of| self::sku(number + of));
                let bought = bought.each_ref().map(String::as_str);
                let together = BoughtTogether::new(connection, prefix);
                together.count(&format!("ORD-{number}"), &bought).await.map(|_| ()).map_err(failed)
            }
        }
    }
}

pub(super) async fn compare(ctx: &LessonContext, shop: &Shop) -> Outcome {
    let reports = Reports::of(REPORTS, &shop.prefix);
    ctx.step(format!(
        "What does it cost to report? {REPORTS} reports, {AT_ONCE} at a time over one connection; the first row is the floor, one \
         INCR each. An order of three products is three calls in flight at once: for each product a Sorted Set of pairs, and the \
         orders that were counted.",
    )).await?;
    let comparison =
        Comparison { title: "Reporting what customers do", approaches: &Report::ALL, input: &reports };
    ctx.compare(comparison).await?;
    ctx.start_clean(&reports.keys().map_err(|error| failed(error.into()))?).await?;
    ctx.step(
        "What holds them back: a server with one thread does the work of all clients. A script that does nothing costs more \
         than INCR already; then every command in it takes its time: four for a recent view, five where LREM takes the product \
         out of its old place, as it mostly did here; ten for each of the three products of an order.",
    ).await?;
    ctx.step(
        "Rule: begin with what the customer bought, fall back on what they like, then on what is popular; let popularity fade; \
         divide by how common a thing is, for taste and variety; and measure against orders that you held back.",
    ).await?;
    Ok(())
}
