//! How is stock held, sold and returned so that no unit is sold twice and none is lost?
//!
//! `cargo ecommerce inventory`

mod bank;
mod checkout;
mod holds;
mod lost_answers;
mod oversell;
mod take_stock;

use lab_runner::{Comparison, Lesson, LessonError, Outcome, Page};
use storefront::{Keys, Sku};

pub use self::oversell::{Rush, SellLast};
pub use self::take_stock::{Stock, TakeStock};
use crate::keys_on;
use crate::names::known;

/// Stock that is held, sold and returned, and checkout.
pub static LESSON: Lesson = Lesson {
    name: "inventory",
    title: "Inventory",
    asks: "How is stock held, sold and returned so that no unit is sold twice and none is lost?",
    teaches: &["GET", "EVALSHA", "HGETALL", "ZRANGE", "LRANGE"],
    needs: &[],
    teach: |page| Box::pin(teach(page)),
};

/// Buyers at the same moment, and how much there is.
pub const BUYERS: u32 = 20;
/// See [`BUYERS`].
pub const UNITS: u32 = 5;
/// How many units the comparison takes.
const TAKEN: u32 = 600;

async fn teach(page: &mut Page) -> Outcome {
    let keys = keys_on(page.target());
    page.start_clean(&all_keys(&keys)).await?;

    oversell::teach(page, &keys).await?;
    holds::teach(page, &keys).await?;
    lost_answers::teach(page, &keys).await?;
    checkout::teach(page, &keys).await?;
    compare(page, &keys).await?;

    let product = keys.inventory(&product());
    page.keys([
        product.free,
        product.ledger,
        product.deadlines,
        product.settled,
        keys.low_stock_alerts(),
        keys.inventory_updates(),
        keys.order(&checkout::first()),
        keys.order(&checkout::second()),
    ]);
    Ok(())
}

async fn compare(page: &Page, keys: &Keys) -> Outcome {
    let stock = Stock::new(TAKEN, keys);
    page.say(format!(
        "What does it cost? {TAKEN} units are taken over one connection, 50 requests at a time. The floor is INCR, which \
         knows no limit. DECR alone goes below zero; GET and then DECR is two round trips, and wrong as seen above. A \
         reservation is one round trip: the script reads the count and the ledger, returns what has expired, and writes \
         the hold, its deadline and an entry in the list of updates. Buying is two: reserve, then confirm. INCR costs the server next \
         to nothing, so the ratio shows what seven commands in a script cost: some ten microseconds for each reservation, \
         during which the server does nothing else. Other products can be on other nodes of a cluster.",
    ));
    let title = format!("Taking {TAKEN} units, 50 at a time");
    page.compare(Comparison { title: &title, approaches: &TakeStock::ALL, subject: &stock }).await
}

/// The product of the seeds.
fn product() -> Sku {
    known("PROD123")
}

/// Whatever an earlier run may have left.
fn all_keys(keys: &Keys) -> Vec<String> {
    let mut all = vec![
        keys.inventory_updates(),
        keys.low_stock_alerts(),
        keys.inventory_delivered(),
        keys.unfinished_orders(),
    ];
    for product in [product(), oversell::product(), lost_answers::product(), take_stock::product()] {
        all.extend(keys.all_of_inventory(&product));
    }
    all.extend(checkout::keys_of(keys));
    all
}

/// Anything the storefront can fail with, as a failure of the lesson.
fn failed(error: &(dyn std::error::Error + 'static)) -> LessonError {
    LessonError::Check(format!("the storefront does as it is told ({error})"))
}

/// The same for what must be a failure of Redis.
fn as_redis(error: &dyn std::error::Error) -> redis::RedisError {
    std::io::Error::other(error.to_string()).into()
}
