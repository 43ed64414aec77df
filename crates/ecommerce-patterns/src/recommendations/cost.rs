//! What it costs to report what somebody does.

use std::sync::LazyLock;

use futures_util::{FutureExt, StreamExt, TryStreamExt, stream};
use lab_runner::{Approach, Comparison, Outcome, Page, Wire};
use redis::{RedisResult, Script};
use storefront::recommendations::{BoughtTogether, PopularProducts, RecentViews};
use storefront::{CustomerId, Keys, OrderId, Sku};

use super::Shop;
use super::trial::failed;
use crate::names::known;

static EMPTY: LazyLock<Script> = LazyLock::new(|| Script::new("return 1"));

const REPORTS: usize = 300;
const AT_ONCE: usize = 50;

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
    keys: Keys,
    operations: usize,
    products: Vec<Sku>,
}

impl Reports {
    /// So many reports behind a prefix of their own, `bench:` after that of `keys`' owner.
    #[must_use]
    pub fn of(operations: usize, prefix: &str, layout: storefront::Layout) -> Self {
        let keys = Keys::new(&format!("{prefix}bench:"), layout);
        Self { keys, operations, products: (0..12).map(|number| known(&format!("PROD{number}"))).collect() }
    }

    /// Every key that the reports write.
    #[must_use]
    pub fn keys(&self) -> Vec<String> {
        let popular = self.keys.popular_products();
        let mut keys = vec![self.counter(), format!("{popular}:landmark"), popular];
        keys.extend((0..10).map(|customer| self.keys.recent_views(&customer_number(customer))));
        for sku in &self.products {
            keys.extend([self.keys.also_bought(sku), self.keys.also_bought_orders(sku)]);
            keys.push(self.keys.also_bought_support(sku));
        }
        keys
    }

    fn counter(&self) -> String {
        self.keys.recent_views(&known("counter"))
    }

    fn product(&self, number: usize) -> &Sku {
        &self.products[number * 7 % self.products.len()]
    }
}

fn customer_number(number: usize) -> CustomerId {
    known(&format!("user{}", number % 10))
}

impl Approach for Report {
    type Subject = Reports;
    /// How many reports were answered.
    type Observed = usize;

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

    async fn reset<C: Wire>(self, reports: &Reports, connection: &mut C) -> RedisResult<()> {
        for key in reports.keys() {
            redis::cmd("UNLINK").arg(key).exec_async(connection).await?;
        }
        // The server learns the scripts.
        self.report(reports, connection, 0).await
    }

    async fn run<C: Wire>(self, reports: &Reports, connection: &mut C) -> RedisResult<usize> {
        let connection: &C = connection;
        let reports_of = |number| self.report(reports, connection, number).boxed();
        let all: Vec<_> = (1..=reports.operations).map(reports_of).collect();
        let answered: Vec<()> = stream::iter(all).buffer_unordered(AT_ONCE).try_collect().await?;
        Ok(answered.len())
    }
}

impl Report {
    async fn report<C: Wire>(self, reports: &Reports, connection: &C, number: usize) -> RedisResult<()> {
        let (connection, keys) = (connection.clone(), reports.keys.clone());
        let (customer, sku) = (customer_number(number), reports.product(number));
        match self {
            Self::Incr => redis::cmd("INCR").arg(reports.counter()).exec_async(&mut connection.clone()).await,
            Self::EmptyScript => {
                EMPTY.key(reports.counter()).arg(sku.as_str()).invoke_async(&mut connection.clone()).await
            }
            Self::PushAndTrim => {
                let key = keys.recent_views(&customer);
                let mut both = redis::pipe();
                both.cmd("LPUSH").arg(&key).arg(sku.as_str()).ignore();
                both.cmd("LTRIM").arg(&key).arg(0).arg(49).ignore();
                both.exec_async(&mut connection.clone()).await
            }
            Self::RecentView => {
                RecentViews::new(connection, keys).viewed(&customer, sku).await.map_err(failed)
            }
            Self::PopularView => {
                PopularProducts::new(connection, keys).viewed(sku, None).await.map_err(failed)
            }
            Self::Order => {
                let order: OrderId = known(&format!("ORD-{number}"));
                let bought = [0, 1, 2].map(|of| reports.product(number + of).clone());
                let counted = BoughtTogether::new(connection, keys).count(&order, &bought).await;
                counted.map(|_| ()).map_err(failed)
            }
        }
    }
}

pub(super) async fn compare(page: &Page, shop: &Shop) -> Outcome {
    let reports = Reports::of(REPORTS, page.prefix(), shop.keys.layout());
    page.say(format!(
        "What does it cost to report? {REPORTS} reports, {AT_ONCE} at a time over one connection; the first row is the floor, one \
         INCR each. An order of three products is nine keys: for each product a Sorted Set of pairs, a memory of orders and a \
         counter of them, in one round trip (on a cluster one for each product).",
    ));
    let comparison =
        Comparison { title: "Reporting what customers do", approaches: &Report::ALL, subject: &reports };
    page.compare(comparison).await?;
    page.start_clean(&reports.keys()).await?;
    page.say(
        "What holds them back: a server with one thread does the work of all clients. A script that does nothing costs more \
         than INCR already; then every command in it takes its time: four for a view, five where the product was in the list \
         and LREM takes it out, as it mostly was here; about three dozen for the three products of an order. Still one round \
         trip, and on a real network that is what counts.",
    );
    page.say(
        "Rule: begin with what he bought, fall back on what he likes, then on what is popular; let popularity fade; divide by \
         how common a thing is, for taste and variety; and measure against orders you held back.",
    );
    Ok(())
}
