//! How does a flash sale stay fair, and how does news reach everyone?
//!
//! `cargo ecommerce real-time`

mod buying;
mod flash_sale;
mod live_stock;
mod nearby;
mod notices;
mod rush;

use std::time::Duration;

use futures_util::{Stream, StreamExt};
use lab_runner::{Lesson, LessonContext, LessonError, Outcome};
use patterns::flash_sale::FlashSale;
use patterns::notifications::Notifications;
use patterns::stock_feed::StockFeed;
use patterns::stores::Stores;
use redis::Msg;
use tokio::time::timeout;

pub use self::buying::{BuyAtOnce, Purchases};
pub use self::rush::{Rush, RushOutcome};

/// Longer than any message takes.
const PATIENCE: Duration = Duration::from_secs(10);

/// Flash sale, notifications, stores nearby, live stock.
pub static LESSON: Lesson = Lesson {
    name: "real-time",
    title: "Real time",
    question: "How does a flash sale stay fair, and how does news reach everyone?",
    commands: &["EVALSHA", "HGETALL", "HMGET", "ZRANGE", "LRANGE", "PUBLISH", "GEOSEARCH", "GEODIST"],
    needs: &[],
    sources: &[lab_runner::source!("src/real_time.rs")],
    rule: "",
    takeaways: &[],
    quiz: &[],
    run: |ctx| Box::pin(run(ctx)),
};

/// The ID of the flash sale, of the product, and of the customer.
const SALE: &str = "current";
const PRODUCT: &str = "PROD123";
const CUSTOMER: &str = "user123";

async fn run(ctx: &mut LessonContext) -> Outcome {
    let prefix = ctx.prefix().to_owned();
    let sale = FlashSale::new(ctx.untraced("TODO"), &prefix).keys(SALE).map_err(unexpected)?;
    let notifications =
        Notifications::new(ctx.untraced("TODO"), &prefix).keys(CUSTOMER).map_err(unexpected)?;
    let stores = Stores::new(ctx.untraced("TODO"), &prefix).keys().map_err(unexpected)?;
    let stock = StockFeed::new(ctx.untraced("TODO"), &prefix).key(PRODUCT).map_err(unexpected)?;
    // The sale that is compared has keys of its own, and they are removed: afterwards, only the lesson's are there.
    let compared = format!("{prefix}compared:");
    ctx.start_clean(&sale).await?;
    ctx.start_clean(&buying::keys_of(&compared)?).await?;
    ctx.start_clean(&notifications).await?;
    ctx.start_clean(&stores).await?;
    ctx.start_clean(&[stock.as_str().to_owned()]).await?;

    flash_sale::run(ctx).await?;
    buying::compare(ctx, &compared).await?;
    ctx.start_clean(&buying::keys_of(&compared)?).await?;
    notices::run(ctx).await?;
    nearby::run(ctx).await?;
    live_stock::run(ctx).await?;

    let [sale, _, waitlist] = sale;
    let [waiting, ..] = notifications;
    let [map, details] = stores;
    ctx.keys([sale, waitlist, waiting, map, details, stock.as_str().to_owned()]);
    Ok(())
}

/// What is not Redis's own error breaks the claim that it would work.
fn unexpected(error: impl std::fmt::Display) -> lab_runner::LessonError {
    lab_runner::LessonError::Check(error.to_string())
}

/// The next message; a lesson waits for none that does not come.
async fn next_message(messages: &mut (impl Stream<Item = Msg> + Unpin)) -> Result<Vec<u8>, LessonError> {
    match timeout(PATIENCE, messages.next()).await {
        Ok(Some(message)) => Ok(message.get_payload_bytes().to_vec()),
        Ok(None) => Err(unexpected("the subscription goes on")),
        Err(_) => Err(unexpected(format!("a message comes within {} s", PATIENCE.as_secs()))),
    }
}
