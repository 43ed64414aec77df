//! What one call of a pattern costs, compared with INCR. Three lessons each show some of these rows.

use std::sync::LazyLock;

use futures_util::FutureExt;
use futures_util::future::try_join;
use lab_runner::{AnyConnection, Approach, Comparison, LessonContext, Outcome};
use patterns::analytics::Analytics;
use patterns::bought_together::BoughtTogether;
use patterns::flash_sale::{FlashSale, MAX_CAP, Plan};
use patterns::key::Key;
use patterns::money::Cents;
use patterns::popular_products::PopularProducts;
use patterns::recent_views::RecentViews;
use redis::{RedisResult, Script};

use lab_runner::concurrent::concurrently;
use lab_runner::into_redis_error;

/// Calls in flight over one connection.
pub const IN_FLIGHT: usize = 50;
const CUSTOMERS: usize = 10;
const PRODUCTS: usize = 12;
const DAY: &str = "2024-01-01";
const SALE: &str = "current";
/// In milliseconds since 1970: the year 2100. So the comparison needs no clock.
const SALE_ENDS: u64 = 4_102_444_800_000;

static EMPTY: LazyLock<Script> = LazyLock::new(|| Script::new("return 1"));

/// One kind of call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    /// The baseline: INCR of one counter.
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
    OrderTogether,
    /// A purchase by HGET twice, then HINCRBY twice: wrong if many buy at once.
    ReadThenBuy,
    /// A purchase by [`FlashSale::buy`].
    Buy,
    /// A page view by HINCRBY and PFADD in a pipeline: an event that is sent twice counts twice.
    CountView,
    /// A page view by [`Analytics::page_view`].
    RecordView,
    /// An order of two products by [`Analytics::order`].
    RecordOrder,
}

impl Call {
    /// The rows of the lesson on recommendations.
    pub const RECOMMENDATIONS: [Self; 5] =
        [Self::Incr, Self::PushAndTrim, Self::RecentView, Self::PopularView, Self::OrderTogether];
    /// The rows of the lesson on real time.
    pub const REAL_TIME: [Self; 3] = [Self::Incr, Self::ReadThenBuy, Self::Buy];
    /// The rows of the lesson on analytics.
    pub const ANALYTICS: [Self; 5] =
        [Self::Incr, Self::EmptyScript, Self::CountView, Self::RecordView, Self::RecordOrder];
}

/// How many calls, and where their keys are.
#[derive(Clone, Debug)]
pub struct Calls {
    prefix: String,
    count: usize,
}

/// A step that asks the question and shows these calls side by side. Fewer of them on a slow network.
pub async fn compare(ctx: &LessonContext, question: String, title: &str, approaches: &[Call]) -> Outcome {
    ctx.step(question).await?;
    // All approaches are verified, and measured three times or more. Each time, a reset and its calls take round trips.
    let round_trips = 16 * approaches.len();
    let count = ctx.fit("calls", 10 * IN_FLIGHT, IN_FLIGHT, round_trips as f64 / IN_FLIGHT as f64);
    let input = &Calls::new(count, ctx.prefix());
    ctx.compare(Comparison { title, approaches, input }).await?;
    ctx.start_clean(&input.keys()?).await
}

impl Calls {
    /// `count` calls, whose keys have `bench:` behind `prefix`.
    #[must_use]
    pub fn new(count: usize, prefix: &str) -> Self {
        Self { prefix: format!("{prefix}bench:"), count }
    }

    /// Every key that is written.
    pub fn keys(&self) -> RedisResult<Vec<String>> {
        let (customers, skus) = ((0..CUSTOMERS).map(customer), (0..PRODUCTS).map(sku));
        let mut roots = vec![
            (self.key("popular_products", &[])?, &["clock"][..]),
            (self.key("flash_sale", &[SALE])?, &["bought", "waitlist"]),
            (self.key("daily_metrics", &[DAY])?, &["ids", "visitors"]),
            (self.key("top_products", &[DAY])?, &["orders"]),
        ];
        for customer in customers {
            roots.push((self.key("recent_views", &[&customer])?, &[]));
        }
        for sku in skus {
            roots.push((self.key("also_bought", &[&sku])?, &["orders"]));
        }
        let mut keys = vec![self.counter()];
        for (root, companions) in roots {
            keys.extend(companions.iter().map(|name| root.companion(name)));
            keys.push(root.as_str().to_owned());
        }
        Ok(keys)
    }

    fn key(&self, name: &str, ids: &[&str]) -> RedisResult<Key> {
        Key::new(&self.prefix, name, ids).map_err(into_redis_error)
    }

    fn counter(&self) -> String {
        format!("{}calls", self.prefix)
    }
}

fn customer(number: usize) -> String {
    format!("user{}", number % CUSTOMERS)
}

fn sku(number: usize) -> String {
    format!("PROD{}", number * 7 % PRODUCTS)
}

impl Approach for Call {
    type Input = Calls;
    /// How many calls were answered.
    type Output = usize;

    fn label(self) -> String {
        match self {
            Self::Incr => "INCR (baseline)",
            Self::EmptyScript => "EVALSHA of an empty script",
            Self::PushAndTrim => "view: LPUSH, LTRIM",
            Self::RecentView => "view: recent_views.lua",
            Self::PopularView => "view: popular_products.lua",
            Self::OrderTogether => "order of 3: bought_together.lua",
            Self::ReadThenBuy => "HGET, then HINCRBY (wrong)",
            Self::Buy => "script: buy",
            Self::CountView => "page view: HINCRBY, PFADD",
            Self::RecordView => "page view: record",
            Self::RecordOrder => "order of 2: record, products",
        }
        .to_owned()
    }

    fn operations(self, calls: &Calls) -> u64 {
        calls.count as u64
    }

    async fn reset<C: AnyConnection>(self, calls: &Calls, connection: &mut C) -> RedisResult<()> {
        let mut unlink = redis::cmd("UNLINK");
        unlink.arg(calls.keys()?);
        if matches!(self, Self::ReadThenBuy | Self::Buy) {
            let [name, product] = ["Compared", "PROD123"].map(str::to_owned);
            let plan =
                Plan { name, product, starts: 0, ends: SALE_ENDS, units: u32::MAX, cap: MAX_CAP, places: 0 };
            let sales = FlashSale::new(connection.clone(), &calls.prefix);
            // One after the other: on a cluster, UNLINK is split and may come late.
            unlink.exec_async(connection).await?;
            return sales.open(SALE, &plan).await.map_err(into_redis_error);
        }
        // The first call also sends the script, if the server does not know it.
        let first_call = connection.clone();
        try_join(unlink.exec_async(connection), self.send(calls, first_call, 0)).await.map(|_| ())
    }

    async fn run<C: AnyConnection>(self, calls: &Calls, connection: &mut C) -> RedisResult<usize> {
        let connection = &*connection;
        let call = |number| self.send(calls, connection.clone(), number + 1).boxed();
        Ok(concurrently(IN_FLIGHT, calls.count, call).await?.len())
    }
}

impl Call {
    async fn send<C: AnyConnection>(self, calls: &Calls, mut redis: C, number: usize) -> RedisResult<()> {
        let (prefix, id) = (&calls.prefix, format!("id-{number}"));
        let (customer, skus) = (customer(number), [0, 1, 2].map(|line| sku(number + line)));
        let [sku, second, third] = skus.each_ref().map(String::as_str);
        let mut pipeline = redis::pipe();
        match self {
            Self::Incr => return redis::cmd("INCR").arg(calls.counter()).exec_async(&mut redis).await,
            Self::EmptyScript => {
                return EMPTY.key(calls.counter()).arg(number).invoke_async(&mut redis).await;
            }
            Self::PushAndTrim => {
                let views = calls.key("recent_views", &[&customer])?;
                pipeline.lpush(views.as_str(), sku).ltrim(views.as_str(), 0, 49);
                return pipeline.exec_async(&mut redis).await;
            }
            Self::CountView => {
                let metrics = calls.key("daily_metrics", &[DAY])?;
                pipeline.hincr(metrics.as_str(), "page_views", 1);
                pipeline.pfadd(metrics.companion("visitors"), customer);
                return pipeline.exec_async(&mut redis).await;
            }
            Self::ReadThenBuy => {
                let sale = calls.key("flash_sale", &[SALE])?;
                let bought = sale.companion("bought");
                pipeline.hget(sale.as_str(), "left").hget(&bought, &id);
                let (left, has): (u64, Option<u64>) = pipeline.query_async(&mut redis).await?;
                if left > 0 && has.unwrap_or_default() < u64::from(MAX_CAP) {
                    let mut write = redis::pipe();
                    write.hincr(sale.as_str(), "left", -1).hincr(bought, id, 1);
                    write.exec_async(&mut redis).await?;
                }
                return Ok(());
            }
            Self::RecentView => RecentViews::new(redis, prefix).record(&customer, sku).await,
            Self::PopularView => PopularProducts::new(redis, prefix).viewed(sku, None).await,
            Self::OrderTogether => {
                let together = BoughtTogether::new(redis, prefix);
                together.count(&id, &[sku, second, third]).await.map(|_| ())
            }
            Self::Buy => {
                let sales = FlashSale::new(redis, prefix);
                return sales.buy(SALE, &id, 1, "order-1").await.map(|_| ()).map_err(into_redis_error);
            }
            Self::RecordView => {
                let analytics = Analytics::new(redis, prefix);
                return analytics.page_view(&id, DAY, &customer).await.map(|_| ()).map_err(into_redis_error);
            }
            Self::RecordOrder => {
                let price = Cents::new(1_999).unwrap_or_default();
                let analytics = Analytics::new(redis, prefix);
                let lines = [(sku, price), (second, price)];
                return analytics
                    .order(&id, DAY, &customer, &lines)
                    .await
                    .map(|_| ())
                    .map_err(into_redis_error);
            }
        }
        .map_err(into_redis_error)
    }
}
