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
use redis::Msg;
use storefront::{CustomerId, Keys, Sku};
use tokio::time::timeout;

use crate::names::known;

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

async fn teach(page: &mut Page) -> Outcome {
    let keys = crate::keys_on(page.target());
    let compared = compared_keys(page);
    let sale = |keys: &Keys| keys.flash_sale().all().map(str::to_owned);
    page.start_clean(&[sale(&keys), sale(&compared)].concat()).await?;
    page.start_clean(&[compared.stock(&product())]).await?;
    page.start_clean(&keys.notifications(&customer()).all().map(str::to_owned)).await?;
    page.start_clean(&nearby::keys_of(&keys)).await?;
    page.start_clean(&[keys.stock(&product())]).await?;

    flash_sale::teach(page, &keys).await?;
    buying::compare(page, &compared).await?;
    page.start_clean(&sale(&compared)).await?;
    page.start_clean(&[compared.stock(&product())]).await?;
    notices::teach(page, &keys).await?;
    nearby::teach(page, &keys).await?;
    live_stock::teach(page, &keys).await?;

    page.keys([
        keys.flash_sale().sale,
        keys.flash_sale().line,
        keys.notifications(&customer()).waiting,
        keys.stores(),
        keys.store(&nearby::nearest()),
        keys.stock(&product()),
    ]);
    Ok(())
}

/// The sale that is compared has keys of its own, and they are removed: what one finds afterwards is the lesson's.
fn compared_keys(page: &Page) -> Keys {
    let layout = crate::keys_on(page.target()).layout();
    Keys::new(&format!("{}compared:", page.prefix()), layout)
}

fn product() -> Sku {
    known("PROD123")
}

fn customer() -> CustomerId {
    known("user123")
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
