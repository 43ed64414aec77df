//! How is stock held, sold and returned so that no unit is sold twice and none is lost?
//!
//! `cargo ecommerce inventory`

mod bank;
mod checkout;
mod holds;
mod lost_answers;
mod oversell;
mod take_stock;

use lab_connection::Connection;
use lab_runner::{Comparison, Lesson, LessonContext, LessonError, Outcome};
use patterns::inventory::Inventory;

pub use self::oversell::{Rush, SellLast};
pub use self::take_stock::{Stock, TakeStock};

/// Stock that is held, sold and returned, and checkout.
pub static LESSON: Lesson = Lesson {
    name: "inventory",
    title: "Inventory",
    question: "How is stock held, sold and returned so that no unit is sold twice and none is lost?",
    commands: &["GET", "EVALSHA", "HGETALL", "ZRANGE", "LRANGE"],
    needs: &[],
    sources: &[lab_runner::source!("src/inventory.rs")],
    rule: "",
    takeaways: &[],
    quiz: &[],
    run: |ctx| Box::pin(run(ctx)),
};

/// Buyers at the same moment, and how much there is.
pub const BUYERS: u32 = 20;
/// See [`BUYERS`].
pub const UNITS: u32 = 5;
/// How many units the comparison takes.
const TAKEN: u32 = 600;

/// The product of the seeds.
const PRODUCT: &str = "PROD123";

async fn run(ctx: &mut LessonContext) -> Outcome {
    ctx.start_clean(&all_keys(ctx)?).await?;

    oversell::run(ctx).await?;
    holds::run(ctx).await?;
    lost_answers::run(ctx).await?;
    checkout::run(ctx).await?;
    compare(ctx).await?;

    let inventory = quiet(ctx);
    let [stock, ledger, deadlines, settled, _] = inventory.keys(PRODUCT).map_err(|error| failed(&error))?;
    let mut keys = vec![stock, ledger, deadlines, settled];
    keys.extend(shared_keys(&inventory)?.into_iter().step_by(2));
    keys.extend(checkout::orders_of(ctx)?);
    ctx.keys(keys);
    Ok(())
}

/// The inventory on a connection whose commands are not shown.
fn quiet(ctx: &LessonContext) -> Inventory<Connection> {
    Inventory::new(ctx.untraced("TODO"), ctx.target().prefix())
}

async fn compare(ctx: &LessonContext) -> Outcome {
    let stock = Stock::new(TAKEN, ctx.target().prefix());
    ctx.step(format!(
"What does it cost? {TAKEN} units are taken over one connection, 50 requests at a time. The floor is INCR, which \
         knows no limit. DECR alone goes below zero. GET and then DECR takes two round trips, and is wrong, as you have seen. A \
         reservation takes one round trip: the script reads the ledger, returns what has expired, and writes the hold, its \
         deadline, and an entry for the feed. Buying takes two: reserve, then confirm. INCR costs the server next to nothing, \
         so the ratio shows what eight commands in a script cost: some ten microseconds for each reservation, during which \
         the server does nothing else. Other products can be on other nodes of a cluster.",
    )).await?;
    let title = format!("Taking {TAKEN} units, 50 at a time");
    ctx.compare(Comparison { title: &title, approaches: &TakeStock::ALL, input: &stock }).await
}

/// The feed and the alerts, each with its companion.
fn shared_keys(inventory: &Inventory<Connection>) -> Result<Vec<String>, LessonError> {
    let mut keys = Vec::new();
    for key in [inventory.alerts_key(), inventory.updates_key()] {
        let key = key.map_err(|error| failed(&error))?;
        keys.extend([key.as_str().to_owned(), key.companion("versions")]);
    }
    Ok(keys)
}

/// Whatever an earlier run may have left.
fn all_keys(ctx: &LessonContext) -> Result<Vec<String>, LessonError> {
    let inventory = quiet(ctx);
    let mut all = shared_keys(&inventory)?;
    for product in [PRODUCT, oversell::PRODUCT, lost_answers::PRODUCT, take_stock::PRODUCT] {
        all.extend(inventory.keys(product).map_err(|error| failed(&error))?);
    }
    all.extend(checkout::keys_of(ctx)?);
    Ok(all)
}

/// Anything a pattern can fail with, as a failure of the lesson.
fn failed(error: &(dyn std::error::Error + 'static)) -> LessonError {
    LessonError::Check(format!("the pattern does what it is asked for ({error})"))
}

/// The same for what must be a failure of Redis.
fn as_redis(error: &dyn std::error::Error) -> redis::RedisError {
    std::io::Error::other(error.to_string()).into()
}
