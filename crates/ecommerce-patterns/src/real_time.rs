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
use lab_runner::{Lesson, LessonError, Outcome, Page};
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
    asks: "How does a flash sale stay fair, and how does news reach everyone?",
    teaches: &["EVALSHA", "HGETALL", "HMGET", "ZRANGE", "LRANGE", "PUBLISH", "GEOSEARCH", "GEODIST"],
    needs: &[],
    teach: |page| Box::pin(teach(page)),
};

/// The ID of the flash sale, of the product, and of the customer.
const SALE: &str = "current";
const PRODUCT: &str = "PROD123";
const CUSTOMER: &str = "user123";

async fn teach(page: &mut Page) -> Outcome {
    let prefix = page.prefix().to_owned();
    let sale = FlashSale::new(page.quietly(), &prefix).keys(SALE).map_err(unexpected)?;
    let notifications = Notifications::new(page.quietly(), &prefix).keys(CUSTOMER).map_err(unexpected)?;
    let stores = Stores::new(page.quietly(), &prefix).keys().map_err(unexpected)?;
    let stock = StockFeed::new(page.quietly(), &prefix).key(PRODUCT).map_err(unexpected)?;
    // The sale that is compared has keys of its own, and they are removed: afterwards, only the lesson's are there.
    let compared = format!("{prefix}compared:");
    page.start_clean(&sale).await?;
    page.start_clean(&buying::keys_of(&compared)?).await?;
    page.start_clean(&notifications).await?;
    page.start_clean(&stores).await?;
    page.start_clean(&[stock.as_str().to_owned()]).await?;

    flash_sale::teach(page).await?;
    buying::compare(page, &compared).await?;
    page.start_clean(&buying::keys_of(&compared)?).await?;
    notices::teach(page).await?;
    nearby::teach(page).await?;
    live_stock::teach(page).await?;

    let [sale, _, waitlist] = sale;
    let [waiting, ..] = notifications;
    let [map, details] = stores;
    page.keys([sale, waitlist, waiting, map, details, stock.as_str().to_owned()]);
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
