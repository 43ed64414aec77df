//! What one call of a pattern costs, compared with INCR. Three lessons each show some of these rows.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::FutureExt;
use lab_runner::concurrent::concurrently;
use lab_runner::{
    AnyConnection, Approach, BoxError, Comparison, LessonContext, Outcome, into_redis_error, labeled,
};
use patterns::analytics::Analytics;
use patterns::bought_together::BoughtTogether;
use patterns::flash_sale::{FlashSale, MAX_CAP, Plan};
use patterns::key::Key;
use patterns::money::Cents;
use patterns::popular_products::PopularProducts;
use patterns::recent_views::RecentViews;
use redis::{RedisResult, Script};

/// Calls in flight over one connection.
pub const IN_FLIGHT: usize = 50;
const CUSTOMERS: usize = 10;
const PRODUCTS: usize = 12;
const DAY: &str = "2024-01-01";
const SALE: &str = "current";
/// What is written by hand has keys of its own.
const NAIVE_SALE: &str = "naive";
/// In milliseconds since 1970: the year 2100. So the comparison needs no clock.
const SALE_ENDS: u64 = 4_102_444_800_000;

static EMPTY: LazyLock<Script> = LazyLock::new(|| Script::new("return 1"));

labeled! {
    /// One kind of call.
    pub enum Call {
        /// One counter.
        Incr => "INCR (baseline)",
        /// What every script costs before it begins.
        EmptyScript => "EVALSHA of an empty script",
        /// With its repeats.
        PushAndTrim => "view: LPUSH, LTRIM",
        /// [`RecentViews`].
        RecentView => "view: recent_views.lua",
        /// [`PopularProducts`].
        PopularView => "view: popular_products.lua",
        /// [`BoughtTogether`].
        OrderTogether => "order of 3: bought_together.lua",
        /// Wrong if many buy at once.
        ReadThenBuy => "HGET, then HINCRBY (wrong)",
        /// [`FlashSale::buy`].
        Buy => "script: buy",
        /// In a pipeline. An event that is sent twice counts twice.
        CountView => "page view: HINCRBY, PFADD",
        /// [`Analytics::page_view`].
        RecordView => "page view: record",
        /// [`Analytics::order`].
        RecordOrder => "order of 2: record, products",
    }
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
#[derive(Debug)]
pub struct Calls {
    prefix: String,
    count: usize,
    /// Calls of all runs so far, so that each has an ID of its own.
    sent: AtomicUsize,
}

/// A step that asks the question and shows these calls side by side. Fewer of them on a slow network.
pub async fn compare(ctx: &LessonContext, question: String, title: &str, approaches: &[Call]) -> Outcome {
    ctx.step(question).await?;
    // All approaches are verified, and measured twice or more. Each time, the calls take round trips.
    let round_trips = 16 * approaches.len();
    let count = ctx.fit("calls", 10 * IN_FLIGHT, IN_FLIGHT, round_trips as f64 / IN_FLIGHT as f64);
    let input = &Calls::new(count, ctx.prefix());
    ctx.start_clean(&input.keys()?).await?;
    ctx.compare(Comparison { title, approaches, input }).await?;
    ctx.start_clean(&input.keys()?).await
}

impl Calls {
    /// `count` calls, whose keys have `bench:` behind `prefix`.
    pub fn new(count: usize, prefix: &str) -> Self {
        Self { prefix: format!("{prefix}bench:"), count, sent: AtomicUsize::new(0) }
    }

    /// Every key that is written.
    pub fn keys(&self) -> RedisResult<Vec<String>> {
        let mut roots = vec![
            (self.key("popular_products", &[])?, &["clock"][..]),
            (self.key("flash_sale", &[SALE])?, &["bought", "waitlist"]),
            (self.key("flash_sale", &[NAIVE_SALE])?, &["bought", "waitlist"]),
            (self.key("naive_metrics", &[DAY])?, &["visitors"]),
            (self.key("daily_metrics", &[DAY])?, &["ids", "visitors"]),
            (self.key("top_products", &[DAY])?, &["orders"]),
        ];
        for customer in (0..CUSTOMERS).map(customer) {
            roots.push((self.key("recent_views", &[&customer])?, &[]));
            roots.push((self.key("naive_views", &[&customer])?, &[]));
        }
        for sku in (0..PRODUCTS).map(sku) {
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

    const RESET_ONCE: bool = true;

    fn label(self) -> String {
        self.label().to_owned()
    }

    fn operations(self, calls: &Calls) -> u64 {
        calls.count as u64
    }

    async fn reset<C: AnyConnection>(self, calls: &Calls, connection: &mut C) -> RedisResult<()> {
        let sale = match self {
            Self::ReadThenBuy => NAIVE_SALE,
            Self::Buy => SALE,
            // The first call also sends the script, if the server does not know it.
            _ => return self.send(calls, connection.clone(), 0).await.map_err(into_redis_error),
        };
        let [name, product] = ["Compared", "PROD123"].map(str::to_owned);
        let plan =
            Plan { name, product, starts: 0, ends: SALE_ENDS, units: u32::MAX, cap: MAX_CAP, places: 0 };
        let sales = FlashSale::new(connection.clone(), &calls.prefix);
        sales.close(sale).await.map_err(into_redis_error)?;
        sales.open(sale, &plan).await.map_err(into_redis_error)?;
        self.send(calls, connection.clone(), 0).await.map_err(into_redis_error)
    }

    async fn run<C: AnyConnection>(self, calls: &Calls, connection: &mut C) -> RedisResult<usize> {
        let (connection, first) = (&*connection, calls.sent.fetch_add(calls.count, Ordering::Relaxed) + 1);
        let call = |number| self.send(calls, connection.clone(), first + number).boxed();
        Ok(concurrently(IN_FLIGHT, calls.count, call).await.map_err(into_redis_error)?.len())
    }
}

impl Call {
    async fn send<C: AnyConnection>(
        self,
        calls: &Calls,
        mut redis: C,
        number: usize,
    ) -> Result<(), BoxError> {
        let (prefix, id) = (&calls.prefix, format!("id-{number}"));
        let (customer, skus) = (customer(number), [0, 1, 2].map(|line| sku(number + line)));
        let [sku, second, third] = skus.each_ref().map(String::as_str);
        let mut pipeline = redis::pipe();
        match self {
            Self::Incr => redis::cmd("INCR").arg(calls.counter()).exec_async(&mut redis).await?,
            Self::EmptyScript => {
                EMPTY.key(calls.counter()).arg(number).invoke_async::<()>(&mut redis).await?;
            }
            Self::PushAndTrim => {
                let views = calls.key("naive_views", &[&customer])?;
                pipeline.lpush(views.as_str(), sku).ltrim(views.as_str(), 0, 49);
                pipeline.exec_async(&mut redis).await?;
            }
            Self::CountView => {
                let metrics = calls.key("naive_metrics", &[DAY])?;
                pipeline.hincr(metrics.as_str(), "page_views", 1);
                pipeline.pfadd(metrics.companion("visitors"), customer);
                pipeline.exec_async(&mut redis).await?;
            }
            Self::ReadThenBuy => {
                let sale = calls.key("flash_sale", &[NAIVE_SALE])?;
                let bought = sale.companion("bought");
                pipeline.hget(sale.as_str(), "left").hget(&bought, &id);
                let (left, has): (u64, Option<u64>) = pipeline.query_async(&mut redis).await?;
                if left > 0 && has.unwrap_or_default() < u64::from(MAX_CAP) {
                    let mut write = redis::pipe();
                    write.hincr(sale.as_str(), "left", -1).hincr(bought, id, 1);
                    write.exec_async(&mut redis).await?;
                }
            }
            Self::RecentView => RecentViews::new(redis, prefix).record(&customer, sku).await?,
            Self::PopularView => PopularProducts::new(redis, prefix).viewed(sku, None).await?,
            Self::OrderTogether => {
                BoughtTogether::new(redis, prefix).count(&id, &[sku, second, third]).await?;
            }
            Self::Buy => drop(FlashSale::new(redis, prefix).buy(SALE, &id, 1, "order-1").await?),
            Self::RecordView => {
                Analytics::new(redis, prefix).page_view(&id, DAY, &customer).await?;
            }
            Self::RecordOrder => {
                let price = Cents::new(1_999).unwrap_or_default();
                let lines = [(sku, price), (second, price)];
                Analytics::new(redis, prefix).order(&id, DAY, &customer, &lines).await?;
            }
        }
        Ok(())
    }
}
