//! Answers that never arrive: was it done or not?

use std::time::Duration;

use lab_runner::table::Facts;
use lab_runner::{LessonError, Outcome, Page, Patience};
use redis::AsyncTypedCommands;
use storefront::{Inventory, Keys, Quantity, ReservationId, Sku};

use super::failed;
use crate::names::known;

/// Buyers whose first answer is lost.
const UNLUCKY: u32 = 12;
const STOCK: u32 = 100;
/// Longer than any server needs for one command.
const PATIENCE: Duration = Duration::from_secs(10);
const TEN_MINUTES: Duration = Duration::from_mins(10);

/// What the unlucky buy.
pub(super) fn product() -> Sku {
    known("UNLUCKY")
}

pub(super) async fn teach(page: &Page, keys: &Keys) -> Outcome {
    page.say(format!(
        "Connections break, also after the server has done what was asked and before the answer came. Each of {UNLUCKY} buyers \
         sends his request and loses his connection; then he asks again. With DECR he takes a second unit. With a reservation \
         he asks with the same id, and finds what he has already.",
    ));
    let by_decr = STOCK.saturating_sub(decr_twice(page, keys).await?);
    let by_id = STOCK.saturating_sub(reserve_twice(page, keys).await?);
    let facts = Facts::new("Lost answers", &["approach", "buyers", "units taken", "too many"])
        .row([
            "DECR, and again".to_owned(),
            UNLUCKY.to_string(),
            by_decr.to_string(),
            by_decr.saturating_sub(UNLUCKY).to_string(),
        ])
        .row([
            "reserve, and again with the same id".to_owned(),
            UNLUCKY.to_string(),
            by_id.to_string(),
            by_id.saturating_sub(UNLUCKY).to_string(),
        ]);
    page.facts(facts);
    page.check_eq(
        "DECR took two units for each buyer, the reservation one",
        &[by_decr, by_id],
        &[2 * UNLUCKY, UNLUCKY],
    )
}

/// The units left.
async fn decr_twice(page: &Page, keys: &Keys) -> Result<u32, LessonError> {
    let mut redis = page.quietly();
    let key = keys.inventory(&product()).free;
    redis.set(&key, STOCK).await?;
    for buyer in 1..=UNLUCKY {
        let mut own = page.target().dedicated().await?;
        tokio::select! {
            biased;
            done = until_left(page, &key, STOCK + 1 - 2 * buyer) => done?,
            _unread = own.decr(&key, 1) => {}
        }
        drop(own);
        redis.decr(&key, 1).await?;
    }
    left(page, &key).await
}

/// The units left.
async fn reserve_twice(page: &Page, keys: &Keys) -> Result<u32, LessonError> {
    let mut redis = page.quietly();
    let key = keys.inventory(&product()).free;
    redis.set(&key, STOCK).await?;
    let inventory = Inventory::new(redis, keys.clone());
    for buyer in 1..=UNLUCKY {
        let id: ReservationId = known(&format!("unlucky-{buyer}"));
        let own = page.target().dedicated().await?;
        let product = product();
        let lost = Inventory::new(own.clone(), keys.clone());
        tokio::select! {
            biased;
            done = until_left(page, &key, STOCK - buyer) => done?,
            _unread = lost.reserve(&product, &id, Quantity::ONE, TEN_MINUTES) => {}
        }
        drop((lost, own));
        let again = inventory.reserve(&product, &id, Quantity::ONE, TEN_MINUTES).await;
        if !again.map_err(|error| failed(&error))?.again {
            return Ok(0);
        }
    }
    left(page, &key).await
}

async fn left(page: &Page, key: &str) -> Result<u32, LessonError> {
    let count = page.quietly().get(key).await?;
    Ok(count.and_then(|count| count.parse().ok()).unwrap_or_default())
}

/// Until the server has done it: only then is the connection dropped, and its answer with it.
async fn until_left(page: &Page, key: &str, expected: u32) -> Outcome {
    let mut patience = Patience::of(PATIENCE);
    let claim = format!("of {key}, {expected} are left: nobody else takes any");
    while left(page, key).await? != expected {
        patience.look_again(&claim).await?;
    }
    Ok(())
}
