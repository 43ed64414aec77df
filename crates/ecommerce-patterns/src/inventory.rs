//! How do you hold, sell, and return stock so that no unit is sold twice and none is lost?
//!
//! `cargo ecommerce inventory`

mod order;
mod sell_last;
mod take_stock;

use std::time::Duration;

use lab_connection::Connection;
use lab_runner::clients::connect;
use lab_runner::concurrent::try_join_all;
use lab_runner::pattern_scripts::{load, lua};
use lab_runner::table::Table;
use lab_runner::{BoxError, Comparison, Lesson, LessonContext, outcome, source};
use patterns::inventory::{self, CONFIRM, Inventory, InventoryError, RESERVE, StockUpdate};
use patterns::{cart, checkout};
use redis::{AsyncTypedCommands, RedisResult};

pub use self::sell_last::{Race, SellLast};
pub use self::take_stock::{Stock, TakeStock};

/// Stock that is held, sold, and returned, and checkout.
pub static LESSON: Lesson = Lesson {
    name: "inventory",
    title: "Inventory",
    question: "How do you hold, sell, and return stock so that no unit is sold twice and none is lost?",
    commands: &["GET", "DECRBY", "EVALSHA", "HGETALL", "ZRANGE", "LRANGE"],
    needs: &[],
    sources: &[
        source!("src/inventory.rs"),
        source!("src/inventory/sell_last.rs"),
        source!("src/inventory/order.rs"),
    ],
    rule: "Let one script check and take the units, hold them for a limited time, and name each hold with an ID that the client \
           picks.",
    takeaways: &[
        "GET, compare, DECRBY sells the last unit to everyone who reads before the first one writes.",
        "With an ID, a client can repeat a call whose reply was lost. The second call changes nothing.",
        "A step that spans several slots, or a bank, is written down first, so that another client can finish it.",
    ],
    quiz: &[33, 61, 72, 75, 91, 97],
    run: |ctx| Box::pin(outcome(run(ctx))),
};

/// Buyers who want one of the last units at the same moment.
pub const BUYERS: u32 = 20;
/// The last units.
pub const UNITS: u32 = 5;
/// Buyers who lose the first reply, and the stock that they buy from.
const UNLUCKY: u32 = 12;
const UNLUCKY_STOCK: u32 = 100;
/// Units that the comparison takes.
const TAKEN: usize = 600;
/// So long that no hold ends while somebody reads the lesson.
const HOUR: Duration = Duration::from_hours(1);

/// The product of the lesson, and products of single parts.
const PRODUCT: &str = "PROD123";
const LOST_REPLIES: &str = "LOST_REPLIES";
const COUNTED_REPLIES: &str = "LOST_REPLIES_COUNT";

async fn run(ctx: &mut LessonContext) -> Result<(), BoxError> {
    let stock = Inventory::new(ctx.target().connection(), ctx.prefix());
    ctx.start_clean(&all_keys(ctx, &stock)?).await?;
    load(ctx, &[inventory::scripts(), checkout::scripts(), cart::scripts()]).await?;

    sell_twice(ctx, stock.key(PRODUCT)?.as_str()).await?;
    hold(ctx, &stock).await?;
    run_low(ctx, &stock).await?;
    let_a_hold_expire(ctx, &stock).await?;
    look_back(ctx, &stock).await?;
    race(ctx).await?;
    lose_replies(ctx, &stock).await?;
    order::check_out(ctx).await?;
    compare(ctx).await?;
    ctx.start_clean(&keys_of_parts(&stock)?).await?;
    keep(ctx, &stock).await?;

    let [copy, ledger, deadlines, ..] = stock.keys(PRODUCT)?;
    let feeds = [stock.alerts_key()?, stock.updates_key()?].map(|key| key.as_str().to_owned());
    ctx.keys([copy, ledger, deadlines].into_iter().chain(feeds).chain(order::orders(ctx)?));
    Ok(())
}

async fn sell_twice(ctx: &LessonContext, stock: &str) -> Result<(), BoxError> {
    let (mut ann, mut bob) = (ctx.redis(), ctx.redis());
    let guess = ctx
        .step(
            "One unit is left, and Ann and Bob both want it. The obvious code reads the count, compares it, and takes one. Both read \
             before either of them takes:",
        )
        .predict("What is the count at the end?", ["1", "0", "-1"])
        .await?;
    ann.set(stock, 1).await?;
    let seen_by_ann = ann.get_int(stock).await?;
    let seen_by_bob = bob.get_int(stock).await?;
    if seen_by_ann >= Some(1) {
        ann.decr(stock, 1).await?;
    }
    if seen_by_bob >= Some(1) {
        bob.decr(stock, 1).await?;
    }
    let left = ann.get_int(stock).await?;
    guess.answer(left.unwrap_or_default())?;
    ctx.check_eq("the unit was sold twice: the count is -1", &left, &Some(-1))?;
    ctx.start_clean(&[stock.to_owned()]).await?;
    Ok(())
}

async fn hold(ctx: &LessonContext, stock: &Inventory<Connection>) -> Result<(), BoxError> {
    ctx.step(
        "So one script has to check and take. And there is more to it: a buyer with a unit in the cart has not paid yet. So a unit is \
         free, held, or sold. This is the part of the script that holds units. The lines before it read the product's ledger, a \
         Hash. The lines after it write the ledger and a note for a feed of all changes. acl_check_cmd and require_commands check \
         the user's rights before the first write.",
    )
    .await?;
    ctx.script(&lua(&RESERVE).section()).await?;

    ctx.say("This one sells what is held:");
    ctx.script(&lua(&CONFIRM).contract()).await?;

    let (mut redis, inventory) = (ctx.redis(), Inventory::new(ctx.redis(), ctx.prefix()));
    let ledger = &stock.keys(PRODUCT)?[1];
    let guess = ctx
        .step(
            "PROD123 gets ten units, and is low at five. Ann holds two units for an hour, under an ID that her client picked. Her \
             client asks again with the same ID. Then she pays. In the replies, 'tasks' says what the client has to do next: 0 is \
             nothing.",
        )
        .predict("How many units are free at the end?", ["6", "8", "10"])
        .await?;
    stock.set_up("PROD123", 10, Some(5)).await?;
    let held = inventory.reserve("PROD123", "ann-1", 2, HOUR).await?;
    let again = inventory.reserve("PROD123", "ann-1", 2, HOUR).await?;
    inventory.confirm("PROD123", "ann-1").await?;
    let counts = redis.hmget(ledger, &["free", "held", "sold"]).await?;
    ctx.announce("set_up sent ZADD and EVALSHA.");
    guess.answer(counts.first().map_or("", String::as_str))?;
    ctx.check(
        "the second call found the same two units and took none",
        again.again && again.free == held.free,
    )?;
    ctx.check_eq("eight are free, none are held, two are sold", &counts.join(" "), &"8 0 2".to_owned())?;
    Ok(())
}

async fn run_low(ctx: &LessonContext, inventory: &Inventory<Connection>) -> Result<(), BoxError> {
    let mut redis = ctx.redis();
    let ledger = &inventory.keys(PRODUCT)?[1];
    let alerts = &inventory.alerts_key()?.as_str().to_owned();
    ctx.step(
        "Bob holds two units and changes his mind. Eve holds four and closes her browser. Zoe wants five. From here on, the calls of \
         scripts are not shown, only what they leave. The Sorted Set lists the products that are low, by units.",
    )
    .await?;
    inventory.reserve("PROD123", "bob-1", 2, HOUR).await?;
    inventory.release("PROD123", "bob-1").await?;
    inventory.reserve("PROD123", "eve-1", 4, HOUR).await?;
    let zoe = inventory.reserve("PROD123", "zoe-1", 5, HOUR).await;
    let counts = redis.hmget(ledger, &["free", "held", "sold"]).await?;
    let low = redis.zrange_withscores(alerts, 0, -1).await?;
    ctx.announce("The calls send EVALSHA, and ZADD to tell a sweeper that the product has changed.");
    ctx.check_eq("Bob's units are free again, and Eve's are held", &counts.join(" "), &"4 4 2".to_owned())?;
    ctx.check(
        "Zoe gets none, and learns that there are four",
        matches!(zoe, Err(InventoryError::OutOfStock { available: 4 })),
    )?;
    ctx.check_eq("the product is low: four are free", &low, &vec![(PRODUCT.to_owned(), 4.0)])?;
    Ok(())
}

async fn let_a_hold_expire(ctx: &LessonContext, inventory: &Inventory<Connection>) -> Result<(), BoxError> {
    let mut redis = ctx.redis();
    let [stock, _, deadlines, ..] = &inventory.keys(PRODUCT)?;
    let alerts = &inventory.alerts_key()?.as_str().to_owned();
    let guess = ctx
        .step(
            "Eve's units must come back. A hold is not a key, so Redis does not expire it. The ends of all holds are scores in a \
             Sorted Set. The next script that finds an end in the past returns those units first. (A service also runs a sweeper, so \
             that this takes a second at most.) You don't have to wait for an hour: ZADD sets the end of Eve's hold into the past.",
        )
        .predict("Four units are free. How many does the first GET find?", ["0", "4", "8"])
        .await?;
    redis.zadd(deadlines, "r:eve-1", 1).await?;
    let before = redis.get_int(stock).await?;
    let level = inventory.level("PROD123").await?;
    let late = inventory.confirm("PROD123", "eve-1").await;
    let after = redis.get_int(stock).await?;
    let low = redis.zcard(alerts).await?;
    ctx.announce("level and confirm send EVALSHA.");
    guess.answer(before.unwrap_or_default())?;
    ctx.check(
        "no script had run, so GET said four; now it says eight",
        (before, after) == (Some(4), Some(8)),
    )?;
    ctx.check("the level is eight free, and none held", (level.free, level.held) == (8, 0))?;
    ctx.check("Eve is too late: nothing is sold", matches!(late, Err(InventoryError::Expired)))?;
    ctx.check_eq("no product is low now", &low, &0)?;
    Ok(())
}

async fn look_back(ctx: &LessonContext, inventory: &Inventory<Connection>) -> Result<(), BoxError> {
    let mut redis = ctx.redis();
    let ledger = &inventory.keys(PRODUCT)?[1];
    let feed = &inventory.updates_key()?.as_str().to_owned();
    ctx.step(
        "The ledger remembers each ID for ten minutes, so a call that is repeated gets the same reply. The sweeper brings all changes \
         to a feed of all products: a capped List, the latest change first.",
    )
    .await?;
    inventory.sweep("PROD123").await?;
    let records = redis.hgetall(ledger).await?;
    let latest = redis.lrange(feed, 0, 0).await?;
    ctx.announce("sweep sends EVALSHA.");
    // A person may have read for longer than the IDs are remembered.
    let expected = [("r:ann-1", "sold 2"), ("r:bob-1", "released 2"), ("r:eve-1", "expired 4")];
    let known = expected.iter().all(|(id, record)| records.get(*id).is_none_or(|found| found == record));
    ctx.check("each ID has a record of what became of it", known)?;
    let latest: Option<StockUpdate> = latest.first().and_then(|json| serde_json::from_str(json).ok());
    let expired = latest.is_some_and(|update| (update.event.as_str(), update.units) == ("expired", 4));
    ctx.check("the latest change: four units expired", expired)?;
    Ok(())
}

async fn race(ctx: &LessonContext) -> Result<(), BoxError> {
    ctx.step(format!(
        "How many units does the obvious code oversell? {BUYERS} buyers want one of the last {UNITS} units, each on its own \
         connection. In the worst case, all of them read before the first one takes:",
    ))
    .await?;
    ctx.function("by_get_and_decr");
    ctx.announce(format!(
        "{BUYERS} buyers send GET and SET; then GET and DECRBY; then EVALSHA. SET, or UNLINK, ZADD, and EVALSHA, set up the units. GET \
         reads the count.",
    ));
    let mut table = Table::new("The last units", &["approach", "units", "promised", "count", "oversold"]);
    let mut oversold = Vec::new();
    let buyers = connect(ctx.target(), BUYERS as usize).await?;
    let races = SellLast::ALL.map(|sell| sell.race(ctx.target(), &buyers, UNITS));
    for (sell, race) in SellLast::ALL.into_iter().zip(try_join_all(races).await?) {
        let too_many = race.promised.saturating_sub(UNITS);
        let numbers: [i64; 4] = [UNITS.into(), race.promised.into(), race.count, too_many.into()];
        table = table.labeled(sell.label(), numbers);
        oversold.push(too_many);
    }
    ctx.table(table);
    ctx.check_eq(
        "the obvious code promises a unit to everyone; the script sells exactly the units that exist",
        &oversold,
        &vec![BUYERS - UNITS, BUYERS - UNITS, 0],
    )?;
    Ok(())
}

async fn lose_replies(ctx: &LessonContext, stock: &Inventory<Connection>) -> Result<(), BoxError> {
    ctx.step(format!(
        "A connection can break after the server has done its work and before the reply arrives. The client can't know, so it tries \
         again. DECRBY takes a second unit. {UNLUCKY} buyers do this, and the lesson drops each first reply:",
    ))
    .await?;
    ctx.function("decr_again");
    ctx.function("reserve_again");
    ctx.announce(
        "SET, twice DECRBY for each buyer, GET. And ZADD and EVALSHA to set up a stock, twice EVALSHA, GET.",
    );
    let redis = ctx.target().connection();
    let by_decr = async || -> Result<u32, BoxError> {
        let (mut redis, key) = (redis.clone(), stock.key(COUNTED_REPLIES)?);
        redis.set(key.as_str(), UNLUCKY_STOCK).await?;
        let buyers = (0..UNLUCKY).map(|_| decr_again(redis.clone(), key.as_str()));
        try_join_all(buyers.collect::<Vec<_>>()).await?;
        taken(redis, key.as_str()).await
    };
    let by_id = async || -> Result<u32, BoxError> {
        stock.set_up(LOST_REPLIES, UNLUCKY_STOCK.into(), None).await?;
        let buyers = (0..UNLUCKY).map(|buyer| reserve_again(stock, buyer));
        try_join_all(buyers.collect::<Vec<_>>()).await?;
        taken(redis.clone(), stock.key(LOST_REPLIES)?.as_str()).await
    };
    let (by_decr, by_id) = tokio::try_join!(by_decr(), by_id())?;

    let numbers = |taken: u32| [UNLUCKY, taken, taken.saturating_sub(UNLUCKY)];
    ctx.table(
        Table::new("Lost replies", &["approach", "buyers", "units taken", "too many"])
            .labeled("DECRBY, and again", numbers(by_decr))
            .labeled("reserve, and again with the same ID", numbers(by_id)),
    );
    ctx.check_eq("DECRBY took two units for each buyer", &by_decr, &(2 * UNLUCKY))?;
    ctx.check_eq("the reservations took one", &by_id, &UNLUCKY)?;
    Ok(())
}

async fn decr_again(mut redis: Connection, stock: &str) -> RedisResult<()> {
    let _lost = redis.decr(stock, 1).await?;
    redis.decr(stock, 1).await?;
    Ok(())
}

async fn reserve_again(stock: &Inventory<Connection>, buyer: u32) -> Result<(), InventoryError> {
    let id = format!("buyer-{buyer}");
    let _lost = stock.reserve(LOST_REPLIES, &id, 1, HOUR).await?;
    stock.reserve(LOST_REPLIES, &id, 1, HOUR).await?;
    Ok(())
}

async fn taken(mut redis: Connection, stock: &str) -> Result<u32, BoxError> {
    let left = u32::try_from(redis.get_int(stock).await?.unwrap_or_default())?;
    Ok(UNLUCKY_STOCK.saturating_sub(left))
}

async fn compare(ctx: &LessonContext) -> Result<(), BoxError> {
    ctx.step(
        "What does it cost? 50 requests at a time go over one connection. The first row is INCRBY, which limits nobody. GET and then \
         DECRBY is two round trips, and oversells. A reservation is one round trip, and buying is two: reserve, \
         then confirm. A script with eight commands takes the server about ten microseconds, and other clients wait until it ends. \
         Other products can be on other nodes of a cluster.",
    )
    .await?;
    let units = ctx.fit("units", TAKEN, take_stock::MAX_IN_FLIGHT, 0.6);
    let stock = Stock::new(u32::try_from(units)?, ctx.prefix());
    let title = format!("Taking {units} units, 50 at a time");
    ctx.compare(Comparison { title: &title, approaches: &TakeStock::ALL, input: &stock }).await?;
    Ok(())
}

async fn keep(ctx: &LessonContext, inventory: &Inventory<Connection>) -> Result<(), BoxError> {
    let mut redis = ctx.redis();
    let ledger = &inventory.keys(PRODUCT)?[1];
    ctx.step("For Redis Insight, Fay holds five units for a day. Then three are free, so the stock is low.")
        .await?;
    inventory.reserve("PROD123", "fay-1", 5, 24 * HOUR).await?;
    let counts = redis.hmget(ledger, &["free", "held", "sold"]).await?;
    ctx.announce("reserve sends EVALSHA, and ZADD for the sweeper.");
    ctx.check_eq("three are free, five are held, two are sold", &counts.join(" "), &"3 5 2".to_owned())?;
    Ok(())
}

/// All that an earlier run may have left.
fn all_keys(ctx: &LessonContext, stock: &Inventory<Connection>) -> Result<Vec<String>, BoxError> {
    let mut keys = stock.keys(PRODUCT)?.to_vec();
    keys.extend(keys_of_parts(stock)?);
    for key in [stock.alerts_key()?, stock.updates_key()?] {
        keys.extend([key.as_str().to_owned(), key.companion("versions")]);
    }
    keys.extend(order::keys(ctx, stock)?);
    Ok(keys)
}

/// The stocks that only one part of the lesson needs.
fn keys_of_parts(stock: &Inventory<Connection>) -> Result<Vec<String>, BoxError> {
    let products = [LOST_REPLIES, COUNTED_REPLIES, take_stock::PRODUCT, take_stock::COUNTED];
    let mut keys = Vec::new();
    for product in products.into_iter().chain(SellLast::ALL.map(SellLast::product)) {
        keys.extend(stock.keys(product)?);
    }
    Ok(keys)
}
