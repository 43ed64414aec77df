//! How does a flash sale stay fair, and how does news reach everyone?
//!
//! `cargo ecommerce real-time`

mod buyers;
mod screens;

use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::{Stream, StreamExt};
use lab_connection::{Connection, Target};
use lab_runner::concurrent::try_join_all;
use lab_runner::table::Table;
use lab_runner::{BoxError, Lesson, LessonContext, into_redis_error, outcome, source};
use patterns::flash_sale::{self, FlashSale, FlashSaleError, Purchase};
use patterns::notifications::{self, Notifications, Sent};
use patterns::stock_feed::{self, StockFeed, StockUpdate};
use patterns::stores::{self, Area, Hours, LocalTime, Opening, Place, Store, Stores};
use redis::{AsyncTypedCommands, Msg};
use tokio::time::timeout;

pub use self::buyers::{Buy, CUSTOMERS, SaleResult, UNITS};
use self::screens::Screen;
use crate::call_cost::{self, Call};
use lab_runner::pattern_scripts::lua;

/// Flash sale, notifications, stores nearby, live stock.
pub static LESSON: Lesson = Lesson {
    name: "real-time",
    title: "Real time",
    question: "How does a flash sale stay fair, and how does news reach everyone?",
    commands: &["EVALSHA", "HGETALL", "HMGET", "ZRANGE", "LRANGE", "PUBLISH", "GEOSEARCH", "GEODIST"],
    needs: &[],
    sources: &[
        source!("src/real_time.rs"),
        source!("src/real_time/buyers.rs"),
        source!("src/real_time/screens.rs"),
        source!("src/call_cost.rs"),
    ],
    rule: "Let one script decide and write, and give every request an ID, so that a retry gets the same answer.",
    takeaways: &[
        "Atomic commands do not help if the decision is made between them, in the program.",
        "PUBLISH reaches only those who listen now. A queue with acknowledgment loses nothing, but may deliver twice.",
        "Number the changes that you publish. A client that misses one sees the gap and reads the current state.",
    ],
    quiz: &[12, 56, 62, 99, 106, 146],
    run: |ctx| Box::pin(outcome(run(ctx))),
};

/// The ID of the flash sale, of the product, and of the customer.
const SALE: &str = "current";
const PRODUCT: &str = "PROD123";
const CUSTOMER: &str = "user123";
/// Longer than any message takes.
const MESSAGE_TIMEOUT: Duration = Duration::from_secs(10);

async fn run(ctx: &mut LessonContext) -> Result<(), BoxError> {
    // Makes the names of keys, and sends nothing.
    let silent = ctx.target().connection();
    let [sale, bought, waitlist] = FlashSale::new(silent.clone(), ctx.prefix()).keys(SALE)?;
    let notifications = Notifications::new(silent.clone(), ctx.prefix()).keys(CUSTOMER)?;
    let [map, details] = Stores::new(silent.clone(), ctx.prefix()).keys()?;
    let stock = StockFeed::new(silent, ctx.prefix()).key(PRODUCT)?.as_str().to_owned();
    let left = [&sale, &waitlist, &notifications[0], &map, &details, &stock].map(String::clone);
    let others = [bought].into_iter().chain(notifications);
    ctx.start_clean(&left.iter().cloned().chain(others).collect::<Vec<_>>()).await?;

    let wrong = oversell(ctx).await?;
    sell(ctx, wrong).await?;
    serve_the_waitlist(ctx).await?;
    compare(ctx).await?;
    lose_notifications(ctx).await?;
    deliver_notifications(ctx).await?;
    find_stores(ctx).await?;
    show_live_stock(ctx).await?;
    ctx.keys(left);
    Ok(())
}

async fn oversell(ctx: &LessonContext) -> Result<SaleResult, BoxError> {
    ctx.step(format!(
        "A flash sale has {UNITS} units, and each customer may have one. The obvious way reads what is left and what the customer has, \
         decides in the program, and writes:"
    ))
    .await?;
    ctx.function("read_then_write");

    let choices = [UNITS as usize, CUSTOMERS, 2 * CUSTOMERS].map(|units| units.to_string());
    let guess = ctx
        .step(format!(
            "{CUSTOMERS} customers click at the same moment, each in two browser tabs. All tabs read before the first one writes."
        ))
        .predict("How many units are sold?", choices.each_ref().map(String::as_str))
        .await?;
    ctx.announce(format!(
        "The sale is opened: EVALSHA, the first time EVAL, and TIME. Then {} tabs over one connection: HGET twice and HINCRBY twice, \
         all in the same rhythm (the worst case). HGETALL counts the damage.",
        2 * CUSTOMERS
    ));
    let wrong = Buy::ReadThenWrite.run(ctx.target().connection(), ctx.prefix()).await?;
    guess.answer(wrong.sold)?;
    ctx.check(
        format!(
            "{} units were sold that do not exist. HINCRBY is atomic, but every tab had decided before.",
            wrong.oversold()
        ),
        (wrong.sold, wrong.over_cap) == (2 * CUSTOMERS, CUSTOMERS),
    )?;
    Ok(wrong)
}

async fn sell(ctx: &LessonContext, wrong: SaleResult) -> Result<(), BoxError> {
    ctx.step(
        "One script decides and writes in one step. The server's clock says whether the sale is on. Before these lines, the script \
         reads the keys, returns the receipt if this order was answered before, and checks that the keys agree:",
    )
    .await?;
    ctx.script(&lua(&flash_sale::BUY).section()).await?;
    ctx.say("The script that gives a purchase back:");
    ctx.script(&lua(&flash_sale::GIVE_BACK).contract()).await?;

    ctx.step("The same tabs, this time with the script:").await?;
    ctx.function("buy");
    let redis = ctx.untraced(format!(
        "{} tabs over one connection: EVALSHA. The sale is opened again before.",
        2 * CUSTOMERS
    ));
    let right = Buy::Script.run(redis.clone(), ctx.prefix()).await?;
    let header = ["approach", "units", "successes", "sold", "oversold", "customers over the cap"];
    let mut table = Table::new("A flash sale", &header);
    for (buy, result) in Buy::ALL.into_iter().zip([wrong, right]) {
        let numbers = [UNITS as usize, result.successes, result.sold, result.oversold(), result.over_cap];
        table = table.labeled(buy.label(), numbers);
    }
    ctx.table(table);
    ctx.check(
        "every unit is sold once, to a customer of its own",
        (right.sold, right.successes, right.over_cap) == (UNITS as usize, UNITS as usize, 0),
    )?;

    ctx.announce("EVALSHA opens the sale once more, with two units and a waitlist.");
    buyers::open(&FlashSale::new(redis, ctx.prefix()), 2, 100).await?;
    let (mut redis, sales) = (ctx.redis(), FlashSale::new(ctx.redis(), ctx.prefix()));
    let [sale, ..] = sales.keys(SALE)?;
    let guess = ctx
        .step(
            "The client names its order before it buys. If the reply is lost, it asks again with the same name. Here it does, and \
             then the same customer sends another order. Each customer may have one unit.",
        )
        .predict("How many units are sold after the three calls?", ["1", "2", "3"])
        .await?;
    let first = sales.buy(SALE, CUSTOMER, 1, "order-1").await?;
    let again = sales.buy(SALE, CUSTOMER, 1, "order-1").await?;
    let other = sales.buy(SALE, CUSTOMER, 1, "order-2").await;
    let left_and_sold = redis.hmget(sale, &["left", "sold"]).await?;
    guess.answer(left_and_sold.last().map_or("", String::as_str))?;
    ctx.check("one unit is left, one is sold", left_and_sold == ["1", "1"])?;
    let repeated = match (first, again) {
        (Purchase::Bought(first), Purchase::AlreadyBought(again)) => first == again,
        _ => false,
    };
    ctx.check("the second answer is the first one's receipt", repeated)?;
    ctx.check("each customer gets one", matches!(other, Err(FlashSaleError::OverCap { have: 1, cap: 1 })))?;
    Ok(())
}

async fn serve_the_waitlist(ctx: &LessonContext) -> Result<(), BoxError> {
    let (mut redis, sales) = (ctx.redis(), FlashSale::new(ctx.redis(), ctx.prefix()));
    let [sale, _, waitlist] = sales.keys(SALE)?;

    ctx.step(
        "When nothing is left, a customer gets a place on the waitlist instead of a refusal: numbers without gaps, one place for \
         each customer. user7 buys the last unit; user8 comes too late, and tries twice:",
    )
    .await?;
    let last = sales.buy(SALE, "user7", 1, "order-1").await?;
    let first = sales.buy(SALE, "user8", 1, "order-1").await?;
    let again = sales.buy(SALE, "user8", 1, "order-2").await?;
    ctx.check("user7 bought", matches!(last, Purchase::Bought(_)))?;
    let number = |purchase| if let Purchase::Waiting(place) = purchase { place.number } else { 0 };
    ctx.check_eq("user8 has one place", &[number(first), number(again)], &[1, 1])?;

    let silent = FlashSale::new(ctx.untraced("EVALSHA: user9 and user10 buy, too."), ctx.prefix());
    for late in ["user9", "user10"] {
        silent.buy(SALE, late, 1, "order-1").await?;
    }
    ctx.step(
        "The waitlist is a Sorted Set of customers by number. user123 gives the unit back. In the same step, the first on the \
         waitlist gets it. A retry changes nothing:",
    )
    .await?;
    redis.zrange_withscores(&waitlist, 0, -1).await?;
    let back = sales.give_back(SALE, CUSTOMER, "order-1").await?;
    let again = sales.give_back(SALE, CUSTOMER, "order-1").await?;
    let waiting = redis.zrange(&waitlist, 0, -1).await?;
    let left_and_sold = redis.hmget(sale, &["left", "sold"]).await?;
    ctx.check("nothing is left, two are sold", left_and_sold == ["0", "2"])?;
    let served: Vec<(&str, u64)> =
        back.served.iter().map(|served| (served.customer.as_str(), served.number)).collect();
    ctx.check("user8, with number 1, has it, once", served == [("user8", 1)] && again == back)?;
    ctx.check("user9 and user10 still wait", waiting == ["user9", "user10"])?;
    Ok(())
}

async fn compare(ctx: &LessonContext) -> Result<(), BoxError> {
    let question = format!(
        "What does the script cost? Purchases with {} in flight over one connection, in a sale with enough for all. The baseline is \
         one INCR for each, which decides nothing.",
        call_cost::IN_FLIGHT
    );
    call_cost::compare(ctx, question, "Buying in a flash sale", &Call::REAL_TIME).await?;
    ctx.say(
        "The script runs six commands for each purchase, so it is far from the baseline. On one machine, a round trip is nearly \
         free, and two of them can be as fast. Over a network each of them costs more than the script. And only the script is right.",
    );
    Ok(())
}

/// Notifications for the customer: a third before the phone is in a tunnel, a third meanwhile, a third afterward.
const MESSAGES: usize = 30;
const THIRD: usize = MESSAGES / 3;
/// How many notifications a phone has taken when it dies.
const TAKEN: usize = 5;
const MINUTE: Duration = Duration::from_mins(1);

async fn lose_notifications(ctx: &LessonContext) -> Result<(), BoxError> {
    let mut redis = ctx.redis();
    let channel = format!("{}notifications:{CUSTOMER}:live", ctx.prefix());

    ctx.step(
        "A customer's phone is in a tunnel when the order ships. PUBLISH delivers to those who listen now, and replies how many \
         there are:",
    )
    .await?;
    let listeners = redis.publish(&channel, "Your order is on its way").await?;
    ctx.check("nobody heard it, and nothing keeps it", listeners == 0)?;

    let choices = [THIRD, MESSAGES - THIRD, MESSAGES].map(|heard| heard.to_string());
    let guess = ctx
        .step(format!(
            "{MESSAGES} more messages follow. The phone listens, is in a tunnel for the second third of them, and listens again."
        ))
        .predict("How many does the phone hear?", choices.each_ref().map(String::as_str))
        .await?;
    ctx.announce("SUBSCRIBE on a connection of the phone, then PUBLISH.");
    let heard = publish(ctx.target(), &channel).await?;
    guess.answer(heard)?;
    ctx.check_eq(
        &format!("of {MESSAGES} messages, the phone heard two thirds"),
        &heard,
        &(MESSAGES - THIRD),
    )?;

    ctx.step(
        "A queue keeps what was sent. Sending puts a notification into a List, once for each ID. Taking moves it into a Hash, with a \
         deadline in a Sorted Set. Acknowledging removes it. If the deadline passes first, the next device that asks gets it.",
    )
    .await?;
    ctx.script(&lua(&notifications::SEND).contract()).await?;
    ctx.script(&lua(&notifications::TAKE).contract()).await?;
    ctx.script(&lua(&notifications::ACKNOWLEDGE).section()).await?;

    ctx.step(format!(
        "The same {MESSAGES} notifications through the queue. This time the phone also dies, with {TAKEN} of them that it has taken \
         and not shown. Then it takes, shows, and acknowledges:"
    ))
    .await?;
    ctx.function("show_all");
    let queue = Notifications::new(ctx.untraced("One sender and one phone: EVALSHA only."), ctx.prefix());
    let (shown, delivered) = send_and_take(&queue).await?;
    let table = Table::new("A phone in a tunnel", &["sent by", "sent", "delivered", "shown", "lost"]);
    let numbers = |delivered, shown| [MESSAGES, delivered, shown, MESSAGES - shown];
    ctx.table(
        table.labeled("PUBLISH", numbers(heard, heard)).labeled("the queue", numbers(delivered, shown)),
    );
    ctx.check(
        format!("the queue lost none, and delivered {TAKEN} twice, because nobody saw them the first time"),
        (shown, delivered) == (MESSAGES, MESSAGES + TAKEN),
    )?;
    Ok(())
}

/// How many of the messages the phone heard.
async fn publish(target: &Target, channel: &str) -> Result<usize, BoxError> {
    let (redis, mut heard) = (target.connection(), 0);
    let phones = tokio::try_join!(target.pubsub(), target.pubsub(), target.pubsub())?;
    for (third, mut phone) in <[_; 3]>::from(phones).into_iter().enumerate() {
        let listens = third != 1;
        if listens {
            phone.subscribe(channel).await?;
        }
        try_join_all((0..THIRD).map(|number| {
            let mut redis = redis.clone();
            async move { redis.publish(channel, number).await }
        }))
        .await?;
        let mut messages = phone.on_message();
        for _ in 0..if listens { THIRD } else { 0 } {
            next_message(&mut messages).await?;
            heard += 1;
        }
    }
    Ok(heard)
}

/// How many of the notifications were shown, and how many were delivered.
async fn send_and_take(queue: &Notifications<Connection>) -> Result<(usize, usize), BoxError> {
    let (mut shown, mut delivered) = (BTreeSet::new(), 0);
    for third in 0..3 {
        let ids: Vec<String> =
            (third * THIRD..(third + 1) * THIRD).map(|number| format!("event-{number}")).collect();
        try_join_all(ids.iter().map(|id| queue.send(CUSTOMER, id, "Something happened"))).await?;
        if third == 0 {
            // The phone that dies holds them for a millisecond only, so nobody has to wait for long.
            let hold = Duration::from_millis(1);
            delivered += queue.take(CUSTOMER, TAKEN, hold).await?.len();
        }
        if third != 1 {
            delivered += show_all(queue, &mut shown).await?;
        }
    }
    Ok((shown.len(), delivered))
}

/// Until nothing is unread. Returns how many were delivered.
async fn show_all(
    queue: &Notifications<Connection>,
    shown: &mut BTreeSet<String>,
) -> Result<usize, BoxError> {
    let mut delivered = 0;
    loop {
        let taken = queue.take(CUSTOMER, 20, MINUTE).await?;
        let ids: Vec<String> = taken.into_iter().map(|notification| notification.id).collect();
        if ids.is_empty() && queue.counts(CUSTOMER).await?.unread == 0 {
            return Ok(delivered);
        }
        delivered += ids.len();
        queue.acknowledge(CUSTOMER, &ids).await?;
        shown.extend(ids);
    }
}

async fn deliver_notifications(ctx: &LessonContext) -> Result<(), BoxError> {
    let (mut redis, queue) = (ctx.redis(), Notifications::new(ctx.redis(), ctx.prefix()));
    let keys = queue.keys(CUSTOMER)?;
    ctx.start_clean(&keys).await?;
    let [waiting, _, deadlines, ..] = keys;

    ctx.step("Two notifications are sent. The reply to the second is lost, so the sender sends it again, with the same ID:").await?;
    queue.send(CUSTOMER, "order-1-paid", "Thanks for your payment").await?;
    let first = queue.send(CUSTOMER, "kettle-back", "The kettle is back").await?;
    let again = queue.send(CUSTOMER, "kettle-back", "The kettle is back").await?;
    let list = redis.lrange(&waiting, 0, -1).await?;
    ctx.check(
        "two are unread, even after sending again",
        first == Sent::New { unread: 2, dropped: 0 } && again == Sent::Again { unread: 2 } && list.len() == 2,
    )?;

    ctx.step(
        "The phone takes one for a minute. It is still unread until the phone acknowledges it, and acknowledging twice counts once:",
    )
    .await?;
    queue.take(CUSTOMER, 1, MINUTE).await?;
    let held = redis.zrange(&deadlines, 0, -1).await?;
    let read = queue.acknowledge(CUSTOMER, &held).await?;
    let again = queue.acknowledge(CUSTOMER, &held).await?;
    ctx.check_eq("the oldest came first", &held, &vec!["order-1-paid".to_owned()])?;
    ctx.check("it was read once", (read, again) == (1, 0))?;
    ctx.say(
        "This delivers at least once: if a phone is slow but alive, another device may show the same notification, and both see the \
         same ID. You can also PUBLISH as a signal to come and take. Then it is quick, and nothing is lost.",
    );
    Ok(())
}

/// ID, name, longitude, latitude, and the hours on weekdays, Saturday, and Sunday.
const STORES: [(&str, &str, f64, f64, [&str; 3]); 6] = [
    ("harbor", "At the harbor", 9.9669, 53.5459, ["09:00-18:00", "10:00-16:00", ""]),
    ("station", "Central station", 10.0067, 53.5528, ["06:00-23:00", "06:00-23:00", "08:00-23:00"]),
    ("reeperbahn", "Night shop", 9.9601, 53.5496, ["18:00-02:00", "18:00-05:00", "18:00-02:00"]),
    ("altona", "Altona", 9.9352, 53.5503, ["09:00-12:30,14:00-18:00", "09:00-14:00", ""]),
    ("airport", "Airport", 9.9882, 53.6304, ["00:00-24:00", "00:00-24:00", "00:00-24:00"]),
    ("berlin", "Berlin", 13.3695, 52.5251, ["09:00-20:00", "09:00-20:00", ""]),
];

async fn find_stores(ctx: &LessonContext) -> Result<(), BoxError> {
    let (mut redis, stores) = (ctx.redis(), Stores::new(ctx.redis(), ctx.prefix()));
    let silent = Stores::new(
        ctx.untraced(
            "EVALSHA adds six stores in and around Hamburg with GEOADD and HSET; the first time, EVAL.",
        ),
        ctx.prefix(),
    );
    let [map, details] = stores.keys()?;
    try_join_all(STORES.map(|store| put(&silent, store))).await?;

    ctx.step(
        "Which store near me is open? GEOADD stores places in a Sorted Set. The score is a geohash: near places have near scores, so \
         GEOSEARCH reads a few ranges instead of every store.",
    )
    .await?;
    let here = Place::new(9.993_7, 53.551_1)?;
    let mut search = redis::cmd("GEOSEARCH");
    search.arg(&map).arg("FROMLONLAT").arg(here.longitude()).arg(here.latitude());
    search.arg(&["BYRADIUS", "10000", "m", "ASC", "COUNT", "2", "WITHDIST"]);
    let found: Vec<(String, f64)> = search.query_async(&mut redis).await?;
    ctx.check("the two nearest within 10 km", found.len() == 2 && found[0].1 < found[1].1)?;

    ctx.step("A script does the same, and reads the names and opening hours of what it finds in the same round trip.").await?;
    ctx.script(&lua(&stores::NEAR).whole()).await?;
    let night = LocalTime::new(6, 1, 0).ok_or("01:00 is a time")?;
    let area = Area::Circle { radius: 10_000.0 };
    ctx.step("The two nearest, on Sunday at 01:00. (The caller passes the local time.)").await?;
    let two = stores.near(here, area, 2, night).await?;
    ctx.check("the same two", two.iter().map(|store| &store.id).eq(found.iter().map(|(id, _)| id)))?;
    ctx.announce("EVALSHA: all within 10 km.");
    let near = silent.near(here, area, 10, night).await?;
    let table = Table::new("Stores near me", &["store", "meters", "on Sunday at 01:00"]);
    ctx.table(near.iter().fold(table, |table, store| {
        table.row([store.name.clone(), format!("{:.0}", store.meters), in_words(store.opening)])
    }));
    let is_open = |opening| matches!(opening, Opening::Open { .. });
    let open: Vec<&str> =
        near.iter().filter(|store| is_open(store.opening)).map(|store| store.id.as_str()).collect();
    ctx.check_eq("Saturday night goes on in the night shop", &open, &vec!["reeperbahn", "airport"])?;
    let order: Vec<&str> = near.iter().map(|store| store.id.as_str()).collect();
    let expected = vec!["station", "harbor", "reeperbahn", "altona", "airport"];
    ctx.check_eq("the nearest comes first, and Berlin is too far", &order, &expected)?;

    ctx.step("Redis treats the Earth as a sphere, and keeps a place to within a meter:").await?;
    let mut distance = redis::cmd("GEODIST");
    distance.arg(&map).arg(&["station", "berlin", "m"]);
    let meters: f64 = distance.query_async(&mut redis).await?;
    ctx.say("The haversine formula gives the same.");
    let [station, berlin] =
        [STORES[1], STORES[5]].map(|(_, _, longitude, latitude, _)| Place::new(longitude, latitude));
    let computed = station?.meters_to(berlin?);
    ctx.check(
        format!("{:.0} km to Berlin, the same to half a meter", computed / 1000.0),
        (meters - computed).abs() < 0.5,
    )?;

    ctx.step("A store that closes leaves both keys in one script:").await?;
    ctx.script(&lua(&stores::REMOVE).whole()).await?;
    ctx.announce("EVALSHA moves the store in Berlin here, and finds it.");
    silent.relocate("berlin", here).await?;
    let moved = silent.near(here, area, 1, night).await?;
    ctx.check("the store that moved is the nearest now", moved.iter().any(|store| store.id == "berlin"))?;
    ctx.step("Then it closes:").await?;
    stores.remove("berlin").await?;
    let on_map = redis.zscore(&map, "berlin").await?;
    let detailed = redis.hexists(&details, "berlin").await?;
    ctx.check("it is neither on the map nor in the Hash", on_map.is_none() && !detailed)?;
    Ok(())
}

async fn put(
    stores: &Stores<Connection>,
    (id, name, longitude, latitude, [weekday, saturday, sunday]): (&str, &str, f64, f64, [&str; 3]),
) -> Result<bool, BoxError> {
    let hours = [weekday, weekday, weekday, weekday, weekday, saturday, sunday];
    let (id, name) = (id.to_owned(), name.to_owned());
    let place = Place::new(longitude, latitude)?;
    let store = Store { id, name, place, hours: Hours::new(hours)? };
    Ok(stores.put(&store).await?)
}

fn in_words(opening: Opening) -> String {
    let clock = |minutes: u32| match minutes % 60 {
        0 => format!("{} h", minutes / 60),
        rest => format!("{} h {rest} min", minutes / 60),
    };
    match opening {
        Opening::Open { closes_in: Some(minutes) } => format!("open for {}", clock(minutes)),
        Opening::Open { closes_in: None } => "always open".to_owned(),
        Opening::Closed { opens_in: Some(minutes) } => format!("closed, opens in {}", clock(minutes)),
        Opening::Closed { opens_in: None } => "closed".to_owned(),
    }
}

/// Changes of the stock. The third screen is away for the last of them.
const CHANGES: u32 = 20;
const MISSED: u32 = 8;

async fn show_live_stock(ctx: &LessonContext) -> Result<(), BoxError> {
    ctx.step(
        "Screens show the stock of a product, live. PUBLISH alone leaves a screen wrong when it misses a message. So a script sets the \
         level, numbers the change, and publishes both numbers: that of the change, and that of the one before.",
    )
    .await?;
    ctx.script(&lua(&stock_feed::SET).whole()).await?;
    ctx.say(
        "A screen subscribes first and then reads the current level. When a message does not follow what it shows, or when its \
         connection was lost, it reads again.",
    );
    ctx.announce(format!(
        "Three screens SUBSCRIBE, each on its own connection, and EVALSHA reads the level (the first time EVAL). EVALSHA changes it \
         {CHANGES} times. The third screen has no connection for the last {MISSED}."
    ));
    let feed = StockFeed::new(ctx.target().connection(), ctx.prefix());
    let set = async |changes: std::ops::RangeInclusive<u32>| {
        try_join_all(changes.map(|change| feed.set(PRODUCT, 2 * CHANGES - change)))
            .await
            .map_err(into_redis_error)
    };
    set(0..=0).await?;
    let mut screens = [Screen::new(), Screen::new(), Screen::new()];
    try_join_all(screens.iter_mut().map(|screen| screen.connect(ctx.target(), &feed))).await?;
    set(1..=CHANGES - MISSED).await?;
    try_join_all(screens.iter_mut().map(|screen| screen.hear(CHANGES - MISSED))).await?;
    screens[2].disconnect();
    set(CHANGES - MISSED + 1..=CHANGES).await?;
    try_join_all(screens.iter_mut().map(|screen| screen.hear(MISSED))).await?;
    let by_message = screens.each_ref().map(|screen| screen.last_message);
    ctx.check_eq(
        "a screen that believes the last message shows units that are sold",
        &by_message,
        &[CHANGES, CHANGES, CHANGES + MISSED],
    )?;

    let (mut redis, traced) = (ctx.redis(), StockFeed::new(ctx.redis(), ctx.prefix()));
    ctx.script(&lua(&stock_feed::SNAPSHOT).contract()).await?;
    ctx.step("The third screen is back. It subscribes, and reads the level:").await?;
    screens[2].connect(ctx.target(), &traced).await?;
    ctx.announce("SUBSCRIBE, on a connection of the screen.");
    let header = ["screen", "messages", "missed", "snapshots", "by the last message", "by its view"];
    let mut table = Table::new("Three screens", &header);
    for (name, screen) in ["first", "second", "third"].into_iter().zip(&screens) {
        let level = screen.view.level().unwrap_or_default();
        let missed = CHANGES - screen.heard;
        table = table.labeled(name, [screen.heard, missed, screen.snapshots, screen.last_message, level]);
    }
    ctx.table(table);
    let by_view = screens.each_ref().map(|screen| screen.view.level());
    ctx.check_eq("every view is right", &by_view, &[Some(CHANGES); 3])?;

    let (channel, stock) = (traced.channel(PRODUCT)?, traced.key(PRODUCT)?);
    ctx.step(
        "One more change. A client that may publish can publish anything, so check every message before you believe it. Here is a \
         change, and then a message that isn't one:",
    )
    .await?;
    let mut subscription = ctx.target().pubsub().await?;
    subscription.subscribe(&channel).await?;
    let mut messages = subscription.on_message();
    let set = traced.set(PRODUCT, 7).await?;
    let stored = redis.hgetall(stock.as_str()).await?;
    redis.publish(&channel, "7 or so").await?;
    // On a cluster, an earlier message may arrive at another node after SUBSCRIBE.
    let message = loop {
        let message = next_message(&mut messages).await?;
        if StockUpdate::parse(&message)?.version == set.version {
            break message;
        }
    };
    let fake = next_message(&mut messages).await?;
    ctx.announce("SUBSCRIBE, on a connection of its own. It received:");
    ctx.listing(format!("{}\n{}", String::from_utf8_lossy(&message), String::from_utf8_lossy(&fake)));
    let update = StockUpdate::parse(&message)?;
    let number = |field: &str| stored.get(field).and_then(|number| number.parse::<u64>().ok());
    ctx.check_eq(
        "Hash and message have the same level and number",
        &[(number("level"), number("version")), (Some(update.level.into()), Some(update.version))],
        &[(Some(7), Some(set.version)); 2],
    )?;
    ctx.check("the second message is no change of stock", StockUpdate::parse(&fake).is_err())?;
    Ok(())
}

/// The next message. A lesson waits for none that does not come.
async fn next_message(messages: &mut (impl Stream<Item = Msg> + Unpin)) -> Result<Vec<u8>, BoxError> {
    match timeout(MESSAGE_TIMEOUT, messages.next()).await {
        Ok(Some(message)) => Ok(message.get_payload_bytes().to_vec()),
        Ok(None) => Err("the subscription ended".into()),
        Err(_) => Err(format!("no message came within {} s", MESSAGE_TIMEOUT.as_secs()).into()),
    }
}
