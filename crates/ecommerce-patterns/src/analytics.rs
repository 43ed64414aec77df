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

use lab_runner::{Lesson, LessonError, Outcome, Page};
use redis::{RedisError, RedisResult};
use storefront::analytics::{Counting, Day, RecordError, Week};
use storefront::{Keys, StoreError};

pub use self::cost::{RecordEvents, Traffic};
use crate::data::{Data, Size};
use crate::keys_on;

/// Metrics, visitors, revenue, funnels, retention.
pub static LESSON: Lesson = Lesson {
    name: "analytics",
    title: "Analytics",
    asks: "What happened today, counted once, in how much memory?",
    teaches: &[
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
    teach: |page| Box::pin(teach(page)),
};

const SIZE: Size = Size { products: 200, customers: 300, orders: 280 };
const SEED: u64 = 7;

async fn teach(page: &mut Page) -> Outcome {
    let shop = Shop::new(page)?;
    page.start_clean(&shop.all_keys()).await?;
    once::count_a_morning(page, &shop).await?;
    visitors::count_in_three_ways(page, &shop).await?;
    funnel::follow_visitors(page, &shop).await?;
    week::add_up(page, &shop).await?;
    active::who_comes_back(page, &shop).await?;
    cost::compare(page, &shop).await?;
    page.keys([
        shop.keys.daily_metrics(shop.day),
        shop.keys.top_products(shop.day),
        shop.keys.funnel_today(),
        shop.keys.weekly_metrics(shop.week),
        shop.keys.top_products_of_week(shop.week),
    ]);
    Ok(())
}

/// The names and the data of the lesson.
struct Shop {
    keys: Keys,
    /// Keys of those who do it the obvious way.
    naive: Keys,
    data: Data,
    day: Day,
    week: Week,
}

impl Shop {
    fn new(page: &Page) -> Result<Self, LessonError> {
        let keys = keys_on(page.target());
        let naive = Keys::new(&format!("{}naive:", page.prefix()), keys.layout());
        let day = Day::new(2024, 1, 1).ok_or_else(|| LessonError::Check("2024 began".into()))?;
        Ok(Self { keys, naive, data: Data::new(SEED, SIZE), day, week: day.week() })
    }

    /// The days of the lesson: four weeks.
    fn days(&self) -> impl Iterator<Item = Day> {
        (0..28).filter_map(|later| self.day.plus(later))
    }

    fn all_keys(&self) -> Vec<String> {
        let mut all = Vec::new();
        for keys in [&self.keys, &self.naive] {
            let funnel = keys.funnel_today();
            all.extend([format!("{funnel}:visitors"), funnel]);
            for day in self.days() {
                all.extend([keys.daily_metrics(day), keys.daily_events(day), keys.daily_visitors(day)]);
                all.extend([keys.top_products(day), keys.active_users(day)]);
                all.extend(Counting::ALL.map(|counting| keys.unique_visitors(counting, day)));
            }
            all.extend([keys.weekly_metrics(self.week), keys.weekly_visitors(self.week)]);
            all.push(keys.top_products_of_week(self.week));
        }
        all
    }
}

/// The error of Redis, or what the storefront says.
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

/// An error that the storefront gives a name of its own.
fn explained<T>(result: Result<T, impl std::error::Error + Send + Sync + 'static>) -> RedisResult<T> {
    result.map_err(|error| RedisError::from(std::io::Error::other(error)))
}
