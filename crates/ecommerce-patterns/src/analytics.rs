//! What happened today, counted once, in how much memory?
//!
//! `cargo ecommerce analytics`

pub mod workload;

use std::cmp::Ordering;
use std::collections::BTreeSet;

use lab_connection::{Connection, own_keys};
use lab_runner::concurrent::try_join_all;
use lab_runner::table::{Table, bytes, percent, thousands};
use lab_runner::{BoxError, Lesson, LessonContext, into_redis_error, outcome, source};
use patterns::active_users::{self, ActiveUsers};
use patterns::analytics::{self, Analytics, Metrics, Recorded};
use patterns::funnel::{self, Funnel, Reached};
use patterns::key::Key;
use patterns::money::Cents;
use patterns::weekly_metrics::WeeklyMetrics;
use redis::{AsyncTypedCommands, RedisResult};

use self::workload::{CLIENTS, Count, Counted, Event, LOADS, ONE_LOST_IN, ORDERS, VISITORS};
use crate::call_cost::{self, Call};
use crate::data::{Data, Size};
use lab_runner::concurrent::concurrently;
use lab_runner::pattern_scripts::lua;

/// Metrics, visitors, revenue, funnels, retention.
pub static LESSON: Lesson = Lesson {
    name: "analytics",
    title: "Analytics",
    question: "What happened today, counted once, in how much memory?",
    #[rustfmt::skip]
    commands: &[
        "HINCRBY", "HGETALL", "EVALSHA", "SCARD", "BITCOUNT", "PFCOUNT", "PFMERGE", "HMGET", "ZREVRANGE",
    ],
    needs: &[],
    sources: &[
        source!("src/analytics.rs"),
        source!("src/analytics/workload.rs"),
        source!("src/call_cost.rs"),
    ],
    rule: "Give every event an ID where it happens, and let one script look up the ID and count.",
    takeaways: &[
        "HINCRBY loses nothing, but it counts a repeated report twice. Only an ID can tell.",
        "Count people with a HyperLogLog or a bitmap. Page loads are not people.",
        "You can sum page views and revenue of days. You can't sum visitors: merge their HyperLogLogs.",
    ],
    quiz: &[8, 104],
    run: |ctx| Box::pin(outcome(run(ctx))),
};

/// The first day of the lesson, a Monday, and its week.
const DAY: &str = "2024-01-01";
const WEEK: &str = "2024-W01";
const NEXT_DAY: &str = "2024-01-02";
/// A day that the lesson closes.
const CLOSED_DAY: &str = "2023-12-31";

/// Events in flight over one connection.
const IN_FLIGHT: usize = 500;

const FUNNEL_STEPS: [&str; 4] = ["view", "cart", "checkout", "purchase"];
/// Visitors who reach each step of the funnel.
const REACH: [usize; 4] = [200, 80, 50, 30];

async fn run(ctx: &mut LessonContext) -> Result<(), BoxError> {
    ctx.start_clean(&all_keys(ctx)?).await?;
    let wrong = count_wrong(ctx).await?;
    count_once(ctx, wrong).await?;
    close_a_day(ctx).await?;
    count_visitors(ctx).await?;
    follow_a_funnel(ctx).await?;
    roll_up_a_week(ctx).await?;
    measure_retention(ctx).await?;
    compare(ctx).await?;

    let days = ["daily_metrics", "top_products"].map(|name| key(ctx.prefix(), name, DAY));
    let weeks = ["weekly_metrics", "top_products"].map(|name| key(ctx.prefix(), name, WEEK));
    let funnel = key(ctx.prefix(), "funnel", "today");
    let keys: RedisResult<Vec<Key>> = days.into_iter().chain([funnel]).chain(weeks).collect();
    ctx.keys(keys?.iter().map(Key::as_str));
    Ok(())
}

async fn count_wrong(ctx: &LessonContext) -> Result<[Counted; 2], BoxError> {
    let mut redis = ctx.redis();
    let day = key(&wrong_prefix(ctx), "daily_metrics", DAY)?.as_str().to_owned();

    ctx.step(
        "A shop counts page views, visitors, orders, and revenue. A Hash holds the numbers of a day, and HINCRBY adds to one of \
         them in one step. Count revenue in cents, because floats drift.",
    )
    .await?;
    redis.hincr(&day, "page_views", 1).await?;
    redis.hincr(&day, "revenue", 1_999).await?;
    let numbers = redis.hgetall(&day).await?;
    ctx.check("one page view and 1,999 cents", numbers.get("revenue").is_some_and(|cents| cents == "1999"))?;

    ctx.step("Now many web servers report. The first way to count reads, adds, and writes:").await?;
    ctx.function("read_add_write");
    ctx.say("The second way lets Redis add. It counts every page load as a visitor:");
    ctx.function("increment");

    let guess = ctx
        .step(format!(
            "{CLIENTS} web servers report concurrently: {VISITORS} visitors load {LOADS} pages each, and {ORDERS} of them order once. \
             One reply in {ONE_LOST_IN} is lost, so the server sends that report again."
        ))
        .predict("How many page views does HINCRBY count?", ["too few", "exactly right", "too many"])
        .await?;
    ctx.announce(format!(
        "{CLIENTS} clients over one connection: HMGET and HSET, all in the same rhythm (the worst case), without repeats; and \
         HINCRBY for another day, with repeats. HMGET reads the results. UNLINK before and after."
    ));
    let mut redis = ctx.target().connection();
    let days = [day.clone(), key(&wrong_prefix(ctx), "daily_metrics", NEXT_DAY)?.as_str().to_owned()];
    own_keys::unlink(&mut redis, &days).await?;
    let prefix = &wrong_prefix(ctx);
    let (lost, doubled) = tokio::try_join!(
        Count::ReadAddWrite.run_workload(&redis, prefix, DAY),
        Count::Increment.run_workload(&redis, prefix, NEXT_DAY),
    )?;
    own_keys::unlink(&mut redis, &days).await?;
    let truth = Counted::TRUTH;
    guess.answer(match doubled.page_views.cmp(&truth.page_views) {
        Ordering::Less => "too few",
        Ordering::Equal => "exactly right",
        Ordering::Greater => "too many",
    })?;
    ctx.check(
        format!("HSET lost {} of {} page views", truth.page_views - lost.page_views, truth.page_views),
        lost.page_views * CLIENTS.cast_signed() as i64 == truth.page_views,
    )?;
    ctx.check(
        format!(
            "HINCRBY counted {} page views instead of {}, and {} orders instead of {}",
            doubled.page_views, truth.page_views, doubled.orders, truth.orders
        ),
        doubled.page_views > truth.page_views && doubled.orders > truth.orders,
    )?;
    Ok([lost, doubled])
}

async fn count_once(ctx: &LessonContext, [lost, doubled]: [Counted; 2]) -> Result<(), BoxError> {
    let analytics = Analytics::new(ctx.redis(), ctx.prefix());

    ctx.step(
        "To count once, give each event an ID. One script looks up the ID in a Set of the day, adds to the metrics, and puts the \
         visitor into a HyperLogLog, which counts each visitor once.",
    )
    .await?;
    ctx.script(&lua(&analytics::RECORD).whole()).await?;

    ctx.step("user1 loads a page. The reply is lost, so the web server reports it again, with the same ID:")
        .await?;
    let first = analytics.page_view("view-0", DAY, "user1").await?;
    let again = analytics.page_view("view-0", DAY, "user1").await?;
    ctx.check_eq("counted once", &[first, again], &[Recorded::Counted, Recorded::Duplicate])?;

    let redis = ctx.target().connection();
    ctx.step("The same workload, this time with the script:").await?;
    let counted = Count::Record.run_workload(&redis, ctx.prefix(), DAY).await?;
    ctx.announce(format!(
        "{CLIENTS} clients over one connection: EVALSHA, with repeats. It also counts the products of orders and reads the day; the \
         first time, EVAL sends those scripts."
    ));
    let mut table =
        Table::new("The workload, counted", &["approach", "page views", "visitors", "orders", "revenue"]);
    let labels = std::iter::once("what happened").chain(Count::ALL.map(Count::label));
    for (label, result) in labels.zip([Counted::TRUTH, lost, doubled, counted]) {
        let Counted { page_views, visitors, orders, revenue } = result;
        let numbers = [page_views, visitors, orders].map(|count| thousands(count as f64));
        table = table.labeled(label, numbers.into_iter().chain([dollars(revenue)]));
    }
    ctx.table(table);
    ctx.check_eq("every event counts once, and every visitor", &counted, &Counted::TRUTH)?;
    Ok(())
}

fn dollars(cents: i64) -> String {
    Cents::new(cents).unwrap_or_default().to_string()
}

async fn close_a_day(ctx: &LessonContext) -> Result<(), BoxError> {
    let analytics = Analytics::new(ctx.redis(), ctx.prefix());

    ctx.step(
        "A late event counts on the day it happened, as long as that day is open. A day closes three days after its first event, or \
         when you close it. Then its IDs are deleted and nothing counts for it anymore, so your report stays true.",
    )
    .await?;
    ctx.script(&lua(&analytics::CLOSE).contract()).await?;

    ctx.step("The same page view before and after the day is closed:").await?;
    let first = analytics.page_view("view-0", CLOSED_DAY, "user9").await?;
    analytics.close(CLOSED_DAY).await?;
    let late = analytics.page_view("view-0", CLOSED_DAY, "user9").await?;
    ctx.check_eq("counted, then too late", &[first, late], &[Recorded::Counted, Recorded::TooLate])?;
    Ok(())
}

/// Visits, and the number of visitors who make them.
const VISITS: u64 = 20_000;
const NUMBERS: u64 = 16_000;

async fn count_visitors(ctx: &LessonContext) -> Result<(), BoxError> {
    let [set, bitmap, hyperloglog] = visitor_keys(ctx.prefix());

    ctx.step(format!(
        "How many different people made {} visits? Three types can tell. A Set stores every user number: exact, and it knows who. \
         A bitmap stores one bit for each number: exact, and small if the numbers are dense. A HyperLogLog estimates in about \
         12 kB, however many come, with an error of about 0.8%.",
        thousands(VISITS as f64),
    ))
    .await?;
    ctx.function("add_visits");
    let mut redis = ctx.untraced(
        "One client: SADD, PFADD, and SETBIT in a pipeline. MEMORY USAGE fills a column of the table.",
    );
    // A stride that shares no factor with NUMBERS: it meets every number before it repeats one.
    let visits: Vec<u64> = (0..VISITS).map(|visit| visit * 7_919 % NUMBERS + 1).collect();
    let visitors = visits.iter().collect::<BTreeSet<_>>().len();
    add_visits(&mut redis, [&set, &bitmap, &hyperloglog], &visits).await?;
    let mut usage = redis::pipe();
    for key in [&set, &bitmap, &hyperloglog] {
        usage.cmd("MEMORY").arg(&["USAGE", key, "SAMPLES", "0"]);
    }
    let sizes: Vec<usize> = usage.query_async(&mut redis).await?;

    let mut redis = ctx.redis();
    ctx.step("Ask each of them for the number of visitors:").await?;
    let by_set = redis.scard(&set).await?;
    let by_bitmap = redis.bitcount(&bitmap).await?;
    let by_hyperloglog = redis.pfcount(&hyperloglog).await?;
    ctx.check("Set and bitmap are exact", by_set == visitors && by_bitmap == visitors)?;
    let mut table = Table::new("Different visitors", &["type", "visitors", "counted", "error", "bytes"]);
    let error = |counted: usize| counted.abs_diff(visitors) as f64 / visitors as f64;
    let rows = [("Set", by_set), ("bitmap", by_bitmap), ("HyperLogLog", by_hyperloglog)];
    for ((name, counted), size) in rows.into_iter().zip(sizes) {
        let numbers = [visitors, counted].map(|number| thousands(number as f64));
        let error = format!("{:.2}%", error(counted) * 100.0);
        table = table.labeled(name, numbers.into_iter().chain([error, bytes(size)]));
    }
    ctx.table(table);
    ctx.check("the HyperLogLog is within 3%", error(by_hyperloglog) < 0.03)?;
    Ok(())
}

async fn add_visits(
    redis: &mut Connection,
    [set, bitmap, hyperloglog]: [&str; 3],
    visits: &[u64],
) -> RedisResult<()> {
    let mut all = redis::pipe();
    for batch in visits.chunks(10_000) {
        all.sadd(set, batch).ignore().pfadd(hyperloglog, batch).ignore();
    }
    for visitor in visits {
        all.cmd("SETBIT").arg(bitmap).arg(visitor).arg(1).ignore();
    }
    all.exec_async(redis).await
}

async fn follow_a_funnel(ctx: &LessonContext) -> Result<(), BoxError> {
    let mut redis = ctx.redis();
    let counts = key(&wrong_prefix(ctx), "funnel", "today")?.as_str().to_owned();
    // `Funnel::today` uses the same key, and lets it expire at midnight. This one stays, whenever you take the lesson.
    let funnel = Funnel::named(ctx.redis(), ctx.prefix(), "today", &FUNNEL_STEPS)?;

    ctx.step(
        "Of those who view a product, how many buy? HINCRBY counts events for each step: a visitor who reloads the page counts as \
         two, and the share of buyers comes out too small.",
    )
    .await?;
    redis.hincr(&counts, "view", 1).await?;
    redis.hincr(&counts, "view", 1).await?;
    let views = redis.hget(&counts, "view").await?;
    ctx.check("one visitor, two views", views.as_deref() == Some("2"))?;

    ctx.step(
        "The pattern stores the deepest step of each visitor. A visitor counts once for each step, in whatever order the events \
         come. A visitor who reaches a step also counts for the steps before it: nobody buys without viewing, so that event was \
         lost or is late.",
    )
    .await?;
    ctx.script(&lua(&funnel::REACH).whole()).await?;

    let guess = ctx
        .step(
            "user1 views a product, reloads the page, and goes to checkout. The event of the cart was lost:",
        )
        .predict("For how many new steps does the checkout count?", ["1", "2", "0"])
        .await?;
    let viewed = funnel.reached("user1", "view").await?;
    let reloaded = funnel.reached("user1", "view").await?;
    let checkout = funnel.reached("user1", "checkout").await?;
    guess.answer(if let Reached::Counted { steps } = checkout { steps } else { 0 })?;
    ctx.check_eq(
        "one new step, none, then two",
        &[viewed, reloaded, checkout],
        &[Reached::Counted { steps: 1 }, Reached::Known, Reached::Counted { steps: 2 }],
    )?;

    let silent = ctx.untraced(
        "500 events in flight over one connection: HINCRBY and EVALSHA. Every visitor views twice, and one cart event in five is \
         lost.",
    );
    let recorder = Funnel::named(silent.clone(), ctx.prefix(), "today", &FUNNEL_STEPS)?;
    let events = funnel_events();
    concurrently(IN_FLIGHT, events.len(), async |number| {
        let (step, visitor) = events[number];
        silent.clone().hincr(&counts, FUNNEL_STEPS[step], 1).await?;
        recorder.reached(&format!("user{visitor}"), FUNNEL_STEPS[step]).await.map_err(into_redis_error)
    })
    .await?;
    ctx.step(format!(
        "All {} visitors of the day have come. Compare the events with the visitors:",
        REACH[0]
    ))
    .await?;
    let events: Vec<String> = redis.hmget(&counts, &FUNNEL_STEPS).await?;
    let report = funnel.report().await?;
    ctx.check(
        "each visitor counts once for each step",
        report.iter().map(|step| step.visitors).eq(REACH.map(|visitors| visitors as u64)),
    )?;
    let header = ["step", "events", "visitors", "of the step before", "of the first"];
    let mut table = Table::new("The funnel of today", &header);
    for (step, events) in report.iter().zip(events) {
        let [of_previous, of_first] = [step.of_previous, step.of_first].map(percent);
        table = table.row([step.step.clone(), events, step.visitors.to_string(), of_previous, of_first]);
    }
    ctx.table(table);
    ctx.start_clean(&[counts]).await?;
    Ok(())
}

/// Step and visitor of each event but those of user1, who was shown. Everybody views twice. Of every fifth buyer the cart is lost.
fn funnel_events() -> Vec<(usize, usize)> {
    let mut events: Vec<(usize, usize)> = (0..REACH[0]).map(|visitor| (0, visitor)).collect();
    for (step, reach) in REACH.iter().enumerate() {
        let is_lost = |visitor: usize| step == 1 && visitor < REACH[3] && visitor.is_multiple_of(5);
        events.extend((0..*reach).filter(|visitor| !is_lost(*visitor)).map(|visitor| (step, visitor)));
    }
    events.retain(|(step, visitor)| (*step, *visitor) != (0, 1));
    events
}

const SIZE: Size = Size { products: 200, customers: 300, orders: 140 };
const SEED: u64 = 7;

async fn roll_up_a_week(ctx: &LessonContext) -> Result<(), BoxError> {
    let silent = ctx.untraced(
        "50 orders and page views in flight over one connection: EVALSHA records a week of the shop.",
    );
    let (analytics, weekly) =
        (Analytics::new(silent.clone(), ctx.prefix()), WeeklyMetrics::new(silent, ctx.prefix()));
    let events = week_of_events();
    concurrently(IN_FLIGHT, events.len(), async |number| {
        let (day, event) = &events[number];
        event.record(&analytics, day).await
    })
    .await?;
    let mut redis = ctx.redis();
    let products = key(ctx.prefix(), "top_products", DAY)?.as_str().to_owned();
    ctx.step(
        "An order also adds to a Sorted Set: products by cents. So ZREVRANGE finds the bestsellers of the day. Scores are doubles, \
         exact up to 2^53 cents, and the script refuses to go beyond.",
    )
    .await?;
    let mut top = redis::cmd("ZREVRANGE");
    top.arg(&products).arg(&["0", "2", "WITHSCORES"]);
    let top: Vec<(String, f64)> = top.query_async(&mut redis).await?;
    ctx.check(
        "three products, the highest revenue first",
        top.len() == 3 && top.is_sorted_by(|a, b| a.1 >= b.1),
    )?;

    ctx.step(format!(
        "A week is the sum of its days, except for visitors: a person who came on three days would count three times. Their \
         HyperLogLogs are merged instead. Weeks are those of ISO 8601, so {WEEK} began on {DAY}. On a cluster each day is in its own \
         slot. So each day is read, and one script writes the sums into the slot of the week. The week is final when all its days \
         are closed."
    ))
    .await?;
    let days: Vec<String> = days().take(7).collect();
    let days: Vec<&str> = days.iter().map(String::as_str).collect();
    let open = weekly.roll_up(WEEK, &days).await?;
    try_join_all(days.iter().map(|day| analytics.close(day))).await?;
    let week = weekly.roll_up(WEEK, &days).await?;
    let daily = analytics.of_days(&days).await?;
    ctx.announce(
        "One client: EVALSHA reads and closes the days, ZCARD and ZSCAN read their products, and EVALSHA writes the week. The first \
         time, EVAL sends each script.",
    );
    let mut table = Table::new("A week", &["day", "page views", "orders", "revenue", "visitors"]);
    for (day, metrics) in days.iter().chain([&WEEK]).zip(daily.iter().chain([&week])) {
        table = table.row(metrics_cells(day, metrics));
    }
    ctx.table(table);
    let sum = |metric: &str| daily.iter().map(|day| day.get(metric)).sum::<i64>();
    ctx.check(
        "the week is the sum of its days, also when it is added up again",
        open == Metrics { closed: false, ..week.clone() }
            && ["page_views", "orders", "revenue"].iter().all(|metric| week.get(metric) == sum(metric)),
    )?;
    ctx.check("it is final once all days are closed", !open.closed && week.closed && week.exact)?;
    let summed: u64 = daily.iter().map(|metrics| metrics.visitors).sum();
    ctx.check(
        format!("its visitors are {}, not the sum of {summed}", week.visitors),
        week.visitors < summed,
    )?;
    // On a cluster, two days are in two slots.
    if ctx.target().is_cluster() { Ok(()) } else { merge_two_days(ctx, &daily).await }
}

async fn merge_two_days(ctx: &LessonContext, daily: &[Metrics]) -> Result<(), BoxError> {
    let mut redis = ctx.redis();
    let [monday, tuesday] = [DAY, NEXT_DAY].map(|day| key(ctx.prefix(), "daily_metrics", day));
    let (monday, tuesday) = (monday?.companion("visitors"), tuesday?.companion("visitors"));
    let both_days = format!("{}both_days", wrong_prefix(ctx));

    ctx.step("PFMERGE does the same for two days whose keys share a server:").await?;
    redis.pfmerge(&both_days, &[&monday, &tuesday]).await?;
    let visitors = redis.pfcount(&both_days).await? as u64;
    redis.unlink(&both_days).await?;
    let [one, other] = [daily[0].visitors, daily[1].visitors];
    ctx.check(
        format!("{visitors} visitors: more than on either day ({one}, {other}), less than the sum"),
        visitors >= one.max(other) && visitors <= one + other,
    )?;
    Ok(())
}

fn metrics_cells(name: &str, metrics: &Metrics) -> [String; 5] {
    let [views, orders] = ["page_views", "orders"].map(|metric| thousands(metrics.get(metric) as f64));
    let visitors = thousands(metrics.visitors as f64);
    [name.to_owned(), views, orders, dollars(metrics.get("revenue")), visitors]
}

/// The orders of the generated shop, each after a view of its products, all in one week.
fn week_of_events() -> Vec<(String, Event)> {
    let (shop, days) = (Data::new(SEED, SIZE), days().collect::<Vec<_>>());
    let mut events = Vec::new();
    for order in &shop.orders {
        let day = &days[order.day as usize % 7];
        let visitor = &shop.customers[order.customer].id;
        let event = |id: String, lines| (day.clone(), Event { id, visitor: visitor.clone(), lines });
        for product in &order.products {
            events.push(event(format!("{}-view-{product}", order.id), Vec::new()));
        }
        let lines = order.products.iter().map(|product| &shop.products[*product]);
        let lines = lines.map(|product| (product.sku.clone(), product.price)).collect();
        events.push(event(order.id.clone(), lines));
    }
    events
}

/// Users of the first day.
const COHORT: u64 = 1_000;

async fn measure_retention(ctx: &LessonContext) -> Result<(), BoxError> {
    let days: Vec<String> = days().collect();
    let later: Vec<&str> = days[1..].iter().map(String::as_str).collect();
    let (active, shown) = (
        ActiveUsers::new(ctx.target().connection(), ctx.prefix()),
        ActiveUsers::new(ctx.redis(), ctx.prefix()),
    );

    ctx.step(
        "How many users of the first day come back? Each day has a bitmap with one bit for each user. BITOP AND keeps the users of \
         both days, and BITCOUNT counts them. All days share a hash tag, because BITOP needs its keys in one slot.",
    )
    .await?;
    ctx.script(&lua(&active_users::RETURNED).whole()).await?;
    ctx.announce("One client: EVALSHA adds the users of 28 days; the first time, EVAL sends the script.");
    // Fewer return each day. New users come, too, and must not count.
    let returning = |ahead: u64| if ahead == 0 { COHORT } else { COHORT * 10 / (10 + 4 * ahead) };
    let users = |ahead| (1..=returning(ahead)).chain(COHORT + 1..=COHORT + 20 * ahead).collect::<Vec<_>>();
    let add = async |ahead: usize| active.add(&days[ahead], &users(ahead as u64)).await;
    concurrently(IN_FLIGHT, days.len(), add).await?;

    ctx.step("How many of Monday's users came back on Tuesday?").await?;
    let tuesday = shown.retention(DAY, &later[..1]).await?;
    ctx.check_eq("some of the cohort", &(tuesday.cohort, tuesday.returned[0]), &(COHORT, returning(1)))?;

    ctx.announce(
        "One client: the same EVALSHA for all 27 days, all in flight at once; BITCOUNT of the first.",
    );
    let retention = active.retention(DAY, &later).await?;
    let mut table = Table::new("Retention", &["days later", "users", "came back", "share"]);
    for ahead in [1, 2, 7, 14, 27] {
        let share = percent(retention.share(ahead).unwrap_or_default());
        let numbers = [ahead as u64, retention.cohort, retention.returned[ahead - 1]];
        table = table.row(numbers.map(|number| number.to_string()).into_iter().chain([share]));
    }
    ctx.table(table);
    ctx.check(
        "every returning user counts, and no new one",
        retention.cohort == COHORT && retention.returned.iter().copied().eq((1..=27).map(returning)),
    )?;
    Ok(())
}

async fn compare(ctx: &LessonContext) -> Result<(), BoxError> {
    let question = format!(
        "What does it cost to count once? Record events with {} in flight over one connection. The baseline is one INCR for each. A \
         script that does nothing shows what every script costs.",
        call_cost::IN_FLIGHT
    );
    call_cost::compare(ctx, question, "Recording events", &Call::ANALYTICS).await?;
    ctx.say(
        "One thread of the server works for all clients. The script of a page view runs eight commands: TIME, HMGET, SCARD, STRLEN, \
         and SISMEMBER read; PFADD, SADD, and HINCRBY write. An order runs a second script for its products.",
    );
    Ok(())
}

/// The days of the lesson: four weeks.
fn days() -> impl Iterator<Item = String> {
    (1..=28).map(|day| format!("2024-01-{day:02}"))
}

/// What the wrong ways write has this prefix.
fn wrong_prefix(ctx: &LessonContext) -> String {
    format!("{}naive:", ctx.prefix())
}

fn key(prefix: &str, name: &str, id: &str) -> RedisResult<Key> {
    Key::new(prefix, name, &[id]).map_err(into_redis_error)
}

/// Where visitors are counted as a Set, a bitmap, and a HyperLogLog.
fn visitor_keys(prefix: &str) -> [String; 3] {
    ["set", "bitmap", "hyperloglog"].map(|kind| format!("{prefix}unique_visitors:{kind}:{DAY}"))
}

fn all_keys(ctx: &LessonContext) -> Result<Vec<String>, BoxError> {
    let active = ActiveUsers::new(ctx.target().connection(), ctx.prefix());
    let mut keys = visitor_keys(ctx.prefix()).to_vec();
    let mut add = |root: Key, companions: &[&str]| {
        keys.push(root.as_str().to_owned());
        keys.extend(companions.iter().map(|name| root.companion(name)));
    };
    for prefix in [ctx.prefix(), &wrong_prefix(ctx)] {
        add(key(prefix, "funnel", "today")?, &["visitors"]);
        for day in days().chain([CLOSED_DAY.to_owned()]) {
            add(key(prefix, "daily_metrics", &day)?, &["ids", "visitors"]);
            add(key(prefix, "top_products", &day)?, &["orders"]);
        }
    }
    add(key(ctx.prefix(), "weekly_metrics", WEEK)?, &["visitors"]);
    add(key(ctx.prefix(), "top_products", WEEK)?, &[]);
    for day in days() {
        keys.push(active.key(&day)?);
    }
    Ok(keys)
}
