//! Units that are held, sold, released, and that return by themselves.

use std::time::Duration;

use lab_connection::Connection;
use lab_runner::{LessonContext, Outcome};
use patterns::inventory::{self, Inventory, InventoryError, StockUpdate};
use redis::AsyncTypedCommands;

use super::{PRODUCT, failed, oversell, quiet};

const TEN_MINUTES: Duration = Duration::from_mins(10);

pub(super) async fn run(ctx: &LessonContext) -> Outcome {
    // So that the page need not show how the server learns each script.
    let quiet = quiet(ctx);
    quiet.set_up(PRODUCT, 10, Some(5)).await.map_err(|error| failed(&error))?;
    warm_up(&quiet).await?;
    let [stock, ledger, deadlines, ..] = quiet.keys(PRODUCT).map_err(|error| failed(&error))?;
    let alerts = quiet.alerts_key().map_err(|error| failed(&error))?;
    let inventory = Inventory::new(ctx.redis(), ctx.target().prefix());

    ctx.step(
        "But a buyer who has put something into the basket has not paid yet. So a unit is not just free or sold: it is free, \
         held, or sold. To reserve is one script:",
    ).await?;
    let reserve = inventory::scripts().into_iter().find(|(name, _)| *name == "reserve");
    ctx.listing(reserve.map_or("", |(_, script)| script.source()));
    ctx.step(
        "Ann reserves two of ten for ten minutes, under an ID of her own. The reply: held; nothing else to do; the version of \
         this change; eight free, two held, none sold; and until when, in milliseconds of the server's clock.",
    ).await?;
    let held = inventory.reserve(PRODUCT, "ann-1", 2, TEN_MINUTES).await.map_err(|error| failed(&error))?;
    let again = inventory.reserve(PRODUCT, "ann-1", 2, TEN_MINUTES).await.map_err(|error| failed(&error))?;
    ctx.check("asked again with the same ID, she has the same two", again.again && held.free == again.free)?;

    ctx.step("She pays, and her hold is confirmed. Bob changes his mind and releases his.").await?;
    inventory.confirm(PRODUCT, "ann-1").await.map_err(|error| failed(&error))?;
    quiet.reserve(PRODUCT, "bob-1", 3, TEN_MINUTES).await.map_err(|error| failed(&error))?;
    inventory.release(PRODUCT, "bob-1").await.map_err(|error| failed(&error))?;
    let level = inventory.level(PRODUCT).await.map_err(|error| failed(&error))?;
    ctx.check("eight are free, none held, two sold", (level.free, level.held, level.sold) == (8, 0, 2))?;

    ctx.step(
        "Eve reserves four for ten minutes, and is never seen again. Then only four are free: no more than the threshold of \
         five. The script says so, and the client raises the alert, which is a key of all products.",
    ).await?;
    quiet.reserve(PRODUCT, "eve-1", 4, TEN_MINUTES).await.map_err(|error| failed(&error))?;
    let mut redis = ctx.redis();
    let low: Vec<(String, u64)> = redis::cmd("ZRANGE")
        .arg(alerts.as_str())
        .arg(0)
        .arg(-1)
        .arg("WITHSCORES")
        .query_async(&mut redis)
        .await?;
    ctx.check_eq(
        "the alert says which product, and how many are free",
        &low,
        &vec![(PRODUCT.to_owned(), 4)],
    )?;
    let greedy = quiet.reserve(PRODUCT, "zoe-1", 5, TEN_MINUTES).await;
    ctx.check(
        "Zoe wants five: she gets none, and hears that there are four",
        matches!(greedy, Err(InventoryError::OutOfStock { available: 4 })),
    )?;

    ctx.step(
        "Nobody waits ten minutes here: the end of each hold is a score in a Sorted Set, and hers is set into the past. No script \
         has run since, so the plain count still says four. The next script that looks at the product's level returns her units \
         first, once. (A service runs a sweeper, so that the plain count is right within a second, too.)",
    ).await?;
    redis.zadd(&deadlines, "r:eve-1", 1).await?;
    let plain = redis.get(&stock).await?;
    let level = inventory.level(PRODUCT).await.map_err(|error| failed(&error))?;
    ctx.check(
        "GET said four; the script returned what had expired: eight",
        plain.as_deref() == Some("4") && (level.free, level.held) == (8, 0),
    )?;
    let late = quiet.confirm(PRODUCT, "eve-1").await;
    ctx.check("Eve comes back too late: nothing is sold", matches!(late, Err(InventoryError::Expired)))?;
    let left: Option<f64> =
        redis::cmd("ZSCORE").arg(alerts.as_str()).arg(PRODUCT).query_async(&mut ctx.untraced("TODO")).await?;
    ctx.check("and the alert is cleared", left.is_none())?;

    ctx.step(
        "What happened to a product is in its ledger. The latest changes of all products are in a capped list, to which the \
         sweeper brings them.",
    ).await?;
    quiet.sweep(PRODUCT).await.map_err(|error| failed(&error))?;
    let ledger = redis.hgetall(&ledger).await?;
    let records = [("r:ann-1", "sold 2"), ("r:bob-1", "released 3"), ("r:eve-1", "expired 4")];
    let kept = records.iter().all(|(id, record)| ledger.get(*id).is_some_and(|kept| kept == record));
    ctx.check("each ID is remembered with what became of it", kept)?;
    let feed = quiet.updates_key().map_err(|error| failed(&error))?;
    let latest = redis.lrange(feed.as_str(), 0, 1).await?;
    let latest: Vec<StockUpdate> =
        latest.iter().filter_map(|entry| serde_json::from_str(entry).ok()).collect();
    let expired =
        latest.first().is_some_and(|update| (update.event.as_str(), update.units) == ("expired", 4));
    ctx.check("the latest change is that four have expired", expired)?;
    // For Redis Insight: somebody who is still thinking, and a stock that is low.
    let hour = Duration::from_hours(1);
    quiet.reserve(PRODUCT, "fay-1", 5, hour).await.map_err(|error| failed(&error))?;
    quiet.sweep(PRODUCT).await.map(drop).map_err(|error| failed(&error))
}

async fn warm_up(inventory: &Inventory<Connection>) -> Outcome {
    let product = oversell::PRODUCT;
    // What comes of these does not matter.
    drop(inventory.release(product, "warm-up").await);
    drop(inventory.reserve(product, "warm-up", 1, TEN_MINUTES).await);
    drop(inventory.confirm(product, "warm-up").await);
    inventory.level(product).await.map(drop).map_err(|error| failed(&error))
}
