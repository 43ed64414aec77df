//! Two browser tabs, one cart: read-modify-write loses clicks, one atomic step does not.

use std::sync::Arc;

use lab_runner::table::Table;
use lab_runner::{LessonContext, Outcome};
use patterns::cart::Owner;
use redis::AsyncCommands;
use tokio::sync::Barrier;
use tokio::task::JoinSet;

use super::{QuietCart, price, unexpected};

/// Browser tabs that click at once.
const TABS: u32 = 16;
/// The guest whose cart is raced for; it is removed afterwards.
const RACER: Owner<'_> = Owner::Guest("tabs");

/// Runs the naive way, counts the damage, then runs the right way and counts none.
pub(super) async fn race(ctx: &LessonContext, cart: &QuietCart) -> Outcome {
    ctx.step(format!(
        "Now {TABS} browser tabs click 'add' at the same moment. The naive way reads the quantity, adds one, and writes \
         it back. The right way is the script."
    )).await?;
    let own = cart.keys(RACER).map_err(|error| unexpected(&error))?;
    ctx.start_clean(&own).await?;
    let naive = read_then_write(ctx, &own[0]).await?;
    ctx.start_clean(&own).await?;
    let atomic = one_script(ctx, cart, &own[0]).await?;
    ctx.start_clean(&own).await?;

    let lost = TABS - naive;
    ctx.table(
        Table::new("Units in the cart", &["way", "clicks", "units", "lost"])
            .row(["HGET, add one, HSET".to_owned(), TABS.to_string(), naive.to_string(), lost.to_string()])
            .row([
                "one script".to_owned(),
                TABS.to_string(),
                atomic.to_string(),
                (TABS - atomic).to_string(),
            ]),
    );
    ctx.check(format!("reading and writing back lost {lost} of {TABS} clicks"), lost > 0)?;
    ctx.check_eq("the script lost none", &atomic, &TABS)
}

/// Every tab reads before any writes: the schedule that a busy server produces sooner or later, here every time.
async fn read_then_write(ctx: &LessonContext, cart: &str) -> Result<u32, redis::RedisError> {
    let all_have_read = Arc::new(Barrier::new(TABS as usize));
    let mut tabs = JoinSet::new();
    for _ in 0..TABS {
        let (mut connection, cart, barrier) =
            (ctx.untraced("TODO"), cart.to_owned(), Arc::clone(&all_have_read));
        tabs.spawn(async move {
            let units = connection.hget::<_, _, Option<u32>>(&cart, "sku123").await;
            barrier.wait().await;
            connection.hset::<_, _, _, ()>(&cart, "sku123", units?.unwrap_or(0) + 1).await
        });
    }
    while let Some(tab) = tabs.join_next().await {
        tab.map_err(|error| unexpected(&error))??;
    }
    ctx.untraced("TODO").hget(cart, "sku123").await
}

async fn one_script(ctx: &LessonContext, cart: &QuietCart, key: &str) -> Result<u32, redis::RedisError> {
    let mut tabs = JoinSet::new();
    for _ in 0..TABS {
        let (cart, mouse) = (cart.clone(), price("sku123")?);
        tabs.spawn(async move { cart.add(RACER, "sku123", 1, mouse).await });
    }
    while let Some(tab) = tabs.join_next().await {
        tab.map_err(|error| unexpected(&error))?.map_err(|error| unexpected(&error))?;
    }
    ctx.untraced("TODO").hget(key, "sku123").await
}
