//! Each event once.

use lab_runner::table::{Facts, thousands};
use lab_runner::{Outcome, Page};
use patterns::analytics::{self, Analytics, Recorded};
use patterns::money::Cents;
use redis::AsyncTypedCommands;

use super::morning::{CLIENTS, Count, Counted, LOADS, LOST_EACH, ORDERS, VISITORS};
use super::{DAY, Shop, failed, not_recorded};

pub(super) async fn count_a_morning(page: &Page, shop: &Shop) -> Outcome {
    page.say(
        "A day's numbers are a Hash: HINCRBY raises a field, in one step and exactly, up to 2^63 - 1. Revenue is in cents: \
         as a float, money drifts away with each addition.",
    );
    let mut redis = page.redis();
    let key = Analytics::new(page.quietly(), &shop.naive).key(DAY).map_err(failed)?;
    let key = key.as_str();
    redis::cmd("HINCRBY").arg(key).arg("page_views").arg(1).exec_async(&mut redis).await?;
    redis::cmd("HINCRBY").arg(key).arg("revenue").arg(1_999).exec_async(&mut redis).await?;
    let stored = redis.hgetall(key).await?;
    page.check("one view, 19.99", stored.get("revenue").is_some_and(|cents| cents == "1999"))?;

    page.say(format!(
        "Break it. {VISITORS} visitors load {LOADS} pages each, and {ORDERS} of them order, once. {CLIENTS} web servers report it. \
         The reply to every {LOST_EACH}th report is lost, so the client sends it again. First with HGET and HSET, each report \
         once, where all read before one of them writes. Then with HINCRBY, which loses nothing, but counts a page load as a \
         visitor, and what is sent twice as two. Fix it: each event has an ID. One script looks up the ID in the Set of that day, \
         counts, and puts the visitor into a HyperLogLog, which counts a visitor once, however often they come:",
    ));
    let record = analytics::scripts().into_iter().find(|(name, _)| *name == "record");
    page.listing(record.map_or("", |(_, script)| script.source()));
    page.start_clean(&[key.to_owned()]).await?;
    let header = ["approach", "page views", "visitors", "orders", "revenue"];
    let mut facts = Facts::new("A morning, counted", &header).row(row("what happened", Counted::TRUTH));
    let mut results = Vec::new();
    for count in Count::ALL {
        let prefix = if count == Count::Record { &shop.prefix } else { &shop.naive };
        let counted = count.morning(&page.quietly(), prefix, DAY).await?;
        if count != Count::Record {
            page.start_clean(&[key.to_owned()]).await?;
        }
        facts = facts.row(row(count.label(), counted));
        results.push(counted);
    }
    page.facts(facts);
    let [lost, doubled, right] = results[..] else { return Ok(()) };
    let truth = Counted::TRUTH;
    page.check(
        format!("HSET lost {} of {} page views", truth.page_views - lost.page_views, truth.page_views),
        lost.page_views * CLIENTS.cast_signed() as i64 == truth.page_views,
    )?;
    page.check(
        format!(
            "HINCRBY counted {} page views and {} order that were not",
            doubled.page_views - truth.page_views,
            doubled.orders - truth.orders
        ),
        doubled.page_views > truth.page_views && doubled.orders > truth.orders,
    )?;
    page.check_eq("with IDs each event counts once, and each visitor", &right, &truth)?;
    late(page, shop).await
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
async fn late(page: &Page, shop: &Shop) -> Outcome {
    // A day of its own, since it gets closed.
    const EVE: &str = "2023-12-31";
    page.say(
        "An event that arrives late still belongs to the day on which it happened, as long as that day is open: for three days \
         after its first event here, or until you close it. Then the IDs are forgotten, and nothing counts for that day anymore, \
         so a report stays true. The same page view three times, the last one after the day was closed:",
    );
    let traced = Analytics::new(page.redis(), &shop.prefix);
    let key = traced.key(EVE).map_err(failed)?;
    let stored = [key.as_str().to_owned(), key.companion("ids"), key.companion("visitors")];
    page.start_clean(&stored).await?;
    let first = traced.page_view("late-view", EVE, "user999").await.map_err(not_recorded)?;
    let again = traced.page_view("late-view", EVE, "user999").await.map_err(not_recorded)?;
    shop.analytics.close(EVE).await.map_err(failed)?;
    let late = traced.page_view("late-view", EVE, "user999").await.map_err(not_recorded)?;
    page.start_clean(&stored).await?;
    page.check_eq(
        "counted, a duplicate, and too late",
        &[first, again, late],
        &[Recorded::Counted, Recorded::Duplicate, Recorded::TooLate],
    )
}
