//! Answers that never arrive: was it done or not?

use std::time::Duration;

use lab_runner::table::Table;
use lab_runner::{LessonContext, LessonError, Outcome, Retry};
use patterns::inventory::Inventory;
use redis::AsyncTypedCommands;

use super::{failed, quiet};

/// Buyers whose first answer is lost.
const UNLUCKY: u32 = 12;
const STOCK: u32 = 100;
/// Longer than any server needs for one command.
const PATIENCE: Duration = Duration::from_secs(10);
const TEN_MINUTES: Duration = Duration::from_mins(10);

/// What the unlucky buy.
pub(super) const PRODUCT: &str = "UNLUCKY";

pub(super) async fn run(ctx: &LessonContext) -> Outcome {
    ctx.step(format!(
        "Connections break, also after the server has done what was asked and before the answer comes. Each of {UNLUCKY} buyers \
         sends a request, loses the connection, and asks again. With DECR, that takes a second unit. With a reservation, the \
         buyer asks with the same ID and finds the unit that is held already.",
    )).await?;
    let by_decr = STOCK.saturating_sub(decr_twice(ctx).await?);
    let by_id = STOCK.saturating_sub(reserve_twice(ctx).await?);
    let table = Table::new("Lost answers", &["approach", "buyers", "units taken", "too many"])
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
    ctx.table(table);
    ctx.check_eq(
        "DECR took two units for each buyer, the reservation one",
        &[by_decr, by_id],
        &[2 * UNLUCKY, UNLUCKY],
    )
}

/// The units left.
async fn decr_twice(ctx: &LessonContext) -> Result<u32, LessonError> {
    let mut redis = ctx.untraced("TODO");
    let key = count_of(ctx)?;
    redis.set(&key, STOCK).await?;
    for buyer in 1..=UNLUCKY {
        let mut own = ctx.target().dedicated().await?;
        tokio::select! {
            biased;
            done = until_left(ctx, &key, STOCK + 1 - 2 * buyer) => done?,
            _unread = own.decr(&key, 1) => {}
        }
        drop(own);
        redis.decr(&key, 1).await?;
    }
    left(ctx, &key).await
}

/// The units left.
async fn reserve_twice(ctx: &LessonContext) -> Result<u32, LessonError> {
    let inventory = quiet(ctx);
    let key = count_of(ctx)?;
    // Nothing is left of the count that DECR took from.
    ctx.start_clean(std::slice::from_ref(&key)).await?;
    inventory.set_up(PRODUCT, STOCK.into(), None).await.map_err(|error| failed(&error))?;
    for buyer in 1..=UNLUCKY {
        let id = format!("unlucky-{buyer}");
        let own = ctx.target().dedicated().await?;
        let lost = Inventory::new(own.clone(), ctx.target().prefix());
        tokio::select! {
            biased;
            done = until_left(ctx, &key, STOCK - buyer) => done?,
            _unread = lost.reserve(PRODUCT, &id, 1, TEN_MINUTES) => {}
        }
        drop((lost, own));
        let again = inventory.reserve(PRODUCT, &id, 1, TEN_MINUTES).await;
        if !again.map_err(|error| failed(&error))?.again {
            return Ok(0);
        }
    }
    left(ctx, &key).await
}

/// The key of the plain count.
fn count_of(ctx: &LessonContext) -> Result<String, LessonError> {
    let key = quiet(ctx).key(PRODUCT).map_err(|error| failed(&error))?;
    Ok(key.as_str().to_owned())
}

async fn left(ctx: &LessonContext, key: &str) -> Result<u32, LessonError> {
    let count = ctx.untraced("TODO").get(key).await?;
    Ok(count.and_then(|count| count.parse().ok()).unwrap_or_default())
}

/// Until the server has done it: only then is the connection dropped, and its answer with it.
async fn until_left(ctx: &LessonContext, key: &str, expected: u32) -> Outcome {
    let mut retry = Retry::within(PATIENCE);
    let claim = format!("of {key}, {expected} are left: nobody else takes any");
    while left(ctx, key).await? != expected {
        retry.again(&claim).await?;
    }
    Ok(())
}
