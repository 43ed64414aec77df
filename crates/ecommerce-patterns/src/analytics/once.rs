//! Each event once.

use lab_runner::table::{Table, thousands};
use lab_runner::{LessonContext, Outcome};
use patterns::analytics::{self, Analytics, Recorded};
use patterns::money::Cents;
use redis::AsyncTypedCommands;

use super::morning::{CLIENTS, Count, Counted, LOADS, LOST_EACH, ORDERS, VISITORS};
use super::{DAY, Shop, failed, not_recorded};

pub(super) async fn count_a_morning(ctx: &LessonContext, shop: &Shop) -> Outcome {
    ctx.step(
        "A day's numbers are a Hash: HINCRBY raises a field, in one step and exactly, up to 2^63 - 1. Revenue is in cents: \
         as a float, money drifts away with each addition.",
    ).await?;
    let mut redis = ctx.redis();
    let key = Analytics::new(ctx.untraced("TODO"), &shop.naive).key(DAY).map_err(failed)?;
    let key = key.as_str();
    redis::cmd("HINCRBY").arg(key).arg("page_views").arg(1).exec_async(&mut redis).await?;
    redis::cmd("HINCRBY").arg(key).arg("revenue").arg(1_999).exec_async(&mut redis).await?;
    let stored = redis.hgetall(key).await?;
    ctx.check("one view, 19.99", stored.get("revenue").is_some_and(|cents| cents == "1999"))?;

    ctx.step(format!(
        "Break it. {VISITORS} visitors load {LOADS} pages each, and {ORDERS} of them order, once. {CLIENTS} web servers report it. \
         The reply to every {LOST_EACH}th report is lost, so the client sends it again. First with HGET and HSET, each report \
         once, where all read before one of them writes. Then with HINCRBY, which loses nothing, but counts a page load as a \
         visitor, and what is sent twice as two. Fix it: each event has an ID. One script looks up the ID in the Set of that day, \
         counts, and puts the visitor into a HyperLogLog, which counts a visitor once, however often they come:",
    )).await?;
    let record = analytics::scripts().into_iter().find(|(name, _)| *name == "record");
    ctx.listing(record.map_or("", |(_, script)| script.source()));
    ctx.start_clean(&[key.to_owned()]).await?;
    let header = ["approach", "page views", "visitors", "orders", "revenue"];
    let mut table = Table::new("A morning, counted", &header).row(row("what happened", Counted::TRUTH));
    let mut results = Vec::new();
    for count in Count::ALL {
        let prefix = if count == Count::Record { &shop.prefix } else { &shop.naive };
        let counted = count.morning(&ctx.untraced("TODO"), prefix, DAY).await?;
        if count != Count::Record {
            ctx.start_clean(&[key.to_owned()]).await?;
        }
        table = table.row(row(count.label(), counted));
        results.push(counted);
    }
    ctx.table(table);
    let [lost, doubled, right] = results[..] else { return Ok(()) };
    let truth = Counted::TRUTH;
    ctx.check(
        format!("HSET lost {} of {} page views", truth.page_views - lost.page_views, truth.page_views),
        lost.page_views * CLIENTS.cast_signed() as i64 == truth.page_views,
    )?;
    ctx.check(
        format!(
            "HINCRBY counted {} page views and {} order that were not",
            doubled.page_views - truth.page_views,
            doubled.orders - truth.orders
        ),
        doubled.page_views > truth.page_views && doubled.orders > truth.orders,
    )?;
    ctx.check_eq("with IDs each event counts once, and each visitor", &right, &truth)?;
    late(ctx, shop).await
}

fn row(what: &str, counted: Counted) -> [String; 5] {
    let Counted { page_views, visitors, orders, revenue } = counted;
    let revenue = Cents::new(revenue).unwrap_or_default().to_string();
    [
        what.to_owned(),
        thousands(page_views as f64),
        thousands(visitors as f64),
        thousands(orders as f64),
        revenue,
    ]
}

/// An event that comes after midnight, again, and after its day was closed.
async fn late(ctx: &LessonContext, shop: &Shop) -> Outcome {
    // A day of its own, since it gets closed.
    const EVE: &str = "2023-12-31";
    ctx.step(
        "An event that arrives late still belongs to the day on which it happened, as long as that day is open: for three days \
         after its first event here, or until you close it. Then the IDs are forgotten, and nothing counts for that day anymore, \
         so a report stays true. The same page view three times, the last one after the day was closed:",
    ).await?;
    let traced = Analytics::new(ctx.redis(), &shop.prefix);
    let key = traced.key(EVE).map_err(failed)?;
    let stored = [key.as_str().to_owned(), key.companion("ids"), key.companion("visitors")];
    ctx.start_clean(&stored).await?;
    let first = traced.page_view("late-view", EVE, "user999").await.map_err(not_recorded)?;
    let again = traced.page_view("late-view", EVE, "user999").await.map_err(not_recorded)?;
    shop.analytics.close(EVE).await.map_err(failed)?;
    let late = traced.page_view("late-view", EVE, "user999").await.map_err(not_recorded)?;
    ctx.start_clean(&stored).await?;
    ctx.check_eq(
        "counted, a duplicate, and too late",
        &[first, again, late],
        &[Recorded::Counted, Recorded::Duplicate, Recorded::TooLate],
    )
}
