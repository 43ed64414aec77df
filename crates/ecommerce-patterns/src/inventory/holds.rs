//! Units that are held, sold, released, and that return by themselves.

use std::time::Duration;

use lab_runner::{Outcome, Page};
use redis::AsyncTypedCommands;
use storefront::inventory::StockUpdate;
use storefront::{Inventory, Keys, ReservationId, ReserveError, SettleError};

use super::{failed, product};
use crate::names::known;

const TEN_MINUTES: Duration = Duration::from_mins(10);

pub(super) async fn teach(page: &Page, keys: &Keys) -> Outcome {
    // So that the page need not show how the server learns each script.
    let quiet = Inventory::new(page.quietly(), keys.clone());
    let product = product();
    quiet.set_up(&product, 10, Some(5)).await.map_err(|error| failed(&error))?;
    warm_up(&quiet).await?;
    let own = keys.inventory(&product);
    let inventory = Inventory::new(page.redis(), keys.clone());
    let (ann, bob, eve): (ReservationId, ReservationId, ReservationId) =
        (known("ann-1"), known("bob-1"), known("eve-1"));

    page.say(
        "But a buyer who has put something into his basket has not paid yet. So a unit is not free or sold: it is free, \
         held, or sold. Ann reserves two of ten for ten minutes, under an id of her own. The reply: held; no alert; eight \
         are free; until when, in milliseconds of the server's clock; two units.",
    );
    let held =
        inventory.reserve(&product, &ann, known("2"), TEN_MINUTES).await.map_err(|error| failed(&error))?;
    let again =
        inventory.reserve(&product, &ann, known("2"), TEN_MINUTES).await.map_err(|error| failed(&error))?;
    page.check("asked again with the same id, she has the same two", again.again && held.free == again.free)?;

    page.say("She pays, and her hold is confirmed. Bob changes his mind and releases his.");
    inventory.confirm(&product, &ann).await.map_err(|error| failed(&error))?;
    quiet.reserve(&product, &bob, known("3"), TEN_MINUTES).await.map_err(|error| failed(&error))?;
    inventory.release(&product, &bob).await.map_err(|error| failed(&error))?;
    let level = inventory.level(&product).await.map_err(|error| failed(&error))?;
    page.check("eight are free, none held, two sold", (level.free, level.held, level.sold) == (8, 0, 2))?;

    page.say(
        "Eve reserves four for ten minutes, and is never seen again. Then only four are free: no more than the threshold of \
         five, so the same script raises the alert.",
    );
    quiet.reserve(&product, &eve, known("4"), TEN_MINUTES).await.map_err(|error| failed(&error))?;
    let mut redis = page.redis();
    let low: Vec<String> = redis::cmd("ZRANGE")
        .arg(keys.low_stock_alerts())
        .arg(0)
        .arg(-1)
        .arg("WITHSCORES")
        .query_async(&mut redis)
        .await?;
    page.check_eq(
        "the alert says which product, and how many are free",
        &low,
        &vec![product.to_string(), "4".to_owned()],
    )?;
    let greedy = quiet.reserve(&product, &known("zoe-1"), known("5"), TEN_MINUTES).await;
    page.check(
        "Zoe wants five: she gets none, and hears that there are four",
        matches!(greedy, Err(ReserveError::OutOfStock { available: 4 })),
    )?;

    page.say(
        "Nobody waits ten minutes here: the end of each hold is a score in a Sorted Set, and hers is set into the past. Nothing \
         has run since, so the plain count still says four; whoever sends the next script, any script on this product, gets \
         her units back first, once. (A service runs a Sweeper, so that the plain count is right within half a second too.)",
    );
    redis.zadd(&own.deadlines, "r:eve-1", 1).await?;
    let plain = redis.get(&own.free).await?;
    let level = inventory.level(&product).await.map_err(|error| failed(&error))?;
    page.check(
        "GET said four; the script returned what had expired: eight",
        plain.as_deref() == Some("4") && (level.free, level.held) == (8, 0),
    )?;
    let late = quiet.confirm(&product, &eve).await;
    page.check("Eve comes back too late: nothing is sold", matches!(late, Err(SettleError::Expired)))?;
    quiet.deliver(&product).await.map_err(|error| failed(&error))?;
    let left: Option<f64> = redis::cmd("ZSCORE")
        .arg(keys.low_stock_alerts())
        .arg(product.as_str())
        .query_async(&mut page.quietly())
        .await?;
    page.check("and the alert is cleared", left.is_none())?;

    page.say("What happened to a product is in its ledger, and the latest of all products in a capped list.");
    let ledger = redis.hgetall(&own.ledger).await?;
    let records = [("r:ann-1", "sold 2"), ("r:bob-1", "released 3"), ("r:eve-1", "expired 4")];
    let kept = records.iter().all(|(id, record)| ledger.get(*id).is_some_and(|kept| kept == record));
    page.check("each id is remembered with what became of it", kept)?;
    let latest = redis.lrange(keys.inventory_updates(), 0, 1).await?;
    let latest: Vec<StockUpdate> =
        latest.iter().filter_map(|entry| StockUpdate::parse(entry.as_bytes()).ok()).collect();
    let expired =
        latest.first().is_some_and(|update| (update.event.as_str(), update.units) == ("expired", 4));
    page.check("the latest change is that four have expired", expired)?;
    // For Redis Insight: somebody who is still thinking, and a stock that is low.
    let thinking = known("fay-1");
    quiet
        .reserve(&product, &thinking, known("5"), Duration::from_hours(1))
        .await
        .map_err(|error| failed(&error))?;
    quiet.deliver(&product).await.map_err(|error| failed(&error))
}

async fn warm_up<C: redis::aio::ConnectionLike + Clone>(inventory: &Inventory<C>) -> Outcome {
    let (other, id) = (super::oversell::product(), known("warm-up"));
    // What comes of these does not matter.
    drop(inventory.release(&other, &id).await);
    drop(inventory.reserve(&other, &id, known("1"), TEN_MINUTES).await);
    drop(inventory.confirm(&other, &id).await);
    inventory.level(&other).await.map_err(|error| failed(&error))?;
    Ok(())
}
