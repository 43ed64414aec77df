//! What happened today, counted once, in how much memory?
//!
//! `cargo ecommerce analytics`

mod active;
mod cost;
mod funnel;
pub mod morning;
mod once;
mod visitors;
mod week;

use lab_connection::Connection;
use lab_runner::{Lesson, LessonContext, Outcome};
use patterns::active_users::ActiveUsers;
use patterns::analytics::{Analytics, RecordError};
use patterns::funnel::Funnel;
use patterns::script::StoreError;
use patterns::weekly_metrics::WeeklyMetrics;
use redis::{RedisError, RedisResult};

pub use self::cost::{RecordEvents, Traffic};
use self::visitors::Counting;
use crate::data::{Data, Size};

/// Metrics, visitors, revenue, funnels, retention.
pub static LESSON: Lesson = Lesson {
    name: "analytics",
    title: "Analytics",
    question: "What happened today, counted once, in how much memory?",
    commands: &[
        "HINCRBY",
        "HGETALL",
        "EVALSHA",
        "SCARD",
        "BITCOUNT",
        "PFCOUNT",
        "PFMERGE",
        "HMGET",
        "ZREVRANGE",
    ],
    needs: &[],
    sources: &[lab_runner::source!("src/analytics.rs")],
    rule: "",
    takeaways: &[],
    quiz: &[],
    run: |ctx| Box::pin(run(ctx)),
};

const SIZE: Size = Size { products: 200, customers: 300, orders: 280 };
const SEED: u64 = 7;

/// The first day of the lesson, a Monday, and its week.
const DAY: &str = "2024-01-01";
const WEEK: &str = "2024-W01";

async fn run(ctx: &mut LessonContext) -> Outcome {
    let shop = Shop::new(ctx);
    ctx.start_clean(&explained(shop.all_keys(ctx))?).await?;
    once::count_a_morning(ctx, &shop).await?;
    visitors::count_in_three_ways(ctx, &shop).await?;
    funnel::follow_visitors(ctx, &shop).await?;
    week::add_up(ctx, &shop).await?;
    active::who_comes_back(ctx, &shop).await?;
    cost::compare(ctx, &shop).await?;
    let keys = [shop.analytics.key(DAY), shop.analytics.products_key(DAY)];
    let [metrics, products] = keys.map(|key| key.map_err(failed));
    let (week, week_products) = (shop.weekly.key(WEEK).map_err(failed)?, shop.weekly.products_key(WEEK));
    let funnel = explained(Funnel::today(ctx.untraced("TODO"), &shop.prefix, &funnel::STEPS))?;
    ctx.keys([
        metrics?.as_str(),
        products?.as_str(),
        funnel.key().as_str(),
        week.as_str(),
        week_products.map_err(failed)?.as_str(),
    ]);
    Ok(())
}

/// The patterns on a connection that is not shown, and the data of the lesson.
struct Shop {
    prefix: String,
    /// For the names of what is done the obvious way.
    naive: String,
    analytics: Analytics<Connection>,
    weekly: WeeklyMetrics<Connection>,
    active: ActiveUsers<Connection>,
    data: Data,
}

impl Shop {
    fn new(ctx: &LessonContext) -> Self {
        let (prefix, redis) = (ctx.target().prefix(), ctx.untraced("TODO"));
        Self {
            prefix: prefix.to_owned(),
            naive: format!("{prefix}naive:"),
            analytics: Analytics::new(redis.clone(), prefix),
            weekly: WeeklyMetrics::new(redis.clone(), prefix),
            active: ActiveUsers::new(redis, prefix),
            data: Data::new(SEED, SIZE),
        }
    }

    fn all_keys(&self, ctx: &LessonContext) -> Result<Vec<String>, Box<dyn std::error::Error + Send + Sync>> {
        let mut all = Vec::new();
        for prefix in [&self.prefix, &self.naive] {
            let redis = ctx.untraced("TODO");
            let funnel = Funnel::today(redis.clone(), prefix, &funnel::STEPS)?;
            all.extend([funnel.key().companion("visitors"), funnel.key().as_str().to_owned()]);
            let (analytics, active) =
                (Analytics::new(redis.clone(), prefix), ActiveUsers::new(redis, prefix));
            for day in days() {
                let (key, products) = (analytics.key(&day)?, analytics.products_key(&day)?);
                all.extend([key.companion("ids"), key.companion("visitors"), key.as_str().to_owned()]);
                all.extend([products.companion("orders"), products.as_str().to_owned(), active.key(&day)?]);
                all.extend(Counting::ALL.map(|counting| counting.key(prefix)));
            }
        }
        let (week, products) = (self.weekly.key(WEEK)?, self.weekly.products_key(WEEK)?);
        all.extend([week.companion("visitors"), week.as_str().to_owned(), products.as_str().to_owned()]);
        Ok(all)
    }
}

/// The days of the lesson: four weeks.
fn days() -> impl Iterator<Item = String> {
    (1..=28).map(|day| format!("2024-01-{day:02}"))
}

/// The error of Redis, or what the pattern says.
fn failed(error: StoreError) -> RedisError {
    match error {
        StoreError::Redis(error) => error,
        other => RedisError::from(std::io::Error::other(other)),
    }
}

/// The same of an event that was not recorded.
fn not_recorded(error: RecordError) -> RedisError {
    match error {
        RecordError::Store(error) => failed(error),
        other => RedisError::from(std::io::Error::other(other)),
    }
}

/// An error that a pattern gives a name of its own.
fn explained<T>(result: Result<T, impl Into<Box<dyn std::error::Error + Send + Sync>>>) -> RedisResult<T> {
    result.map_err(|error| RedisError::from(std::io::Error::other(error)))
}
