//! Each event once.

use lab_runner::table::{Facts, thousands};
use lab_runner::{Outcome, Page};
use redis::AsyncTypedCommands;
use storefront::Cents;
use storefront::analytics::{DailyMetrics, Event, Recorded};

use super::morning::{CLIENTS, Count, Counted, LOADS, LOST_EACH, ORDERS, VISITORS};
use super::{Shop, failed, not_recorded};
use crate::names::known;

pub(super) async fn count_a_morning(page: &Page, shop: &Shop) -> Outcome {
    page.say(
        "A day's numbers are a Hash: HINCRBY raises a field, in one step and exactly, up to 2^63 - 1. Revenue is in cents: \
         as a float, money drifts away with each addition.",
    );
    let mut redis = page.redis();
    let key = shop.naive.daily_metrics(shop.day);
    redis::cmd("HINCRBY").arg(&key).arg("page_views").arg(1).exec_async(&mut redis).await?;
    redis::cmd("HINCRBY").arg(&key).arg("revenue").arg(1_999).exec_async(&mut redis).await?;
    let stored = redis.hgetall(&key).await?;
    page.check("one view, 19.99", stored.get("revenue").is_some_and(|cents| cents == "1999"))?;

    page.say(format!(
        "Break it. {VISITORS} visitors load {LOADS} pages each, and {ORDERS} of them order, once. {CLIENTS} web servers report it. \
         The answer to every {LOST_EACH}th report is lost, and who got no answer sends it again. First with HGET and HSET, each \
         report once, where all read before one of them writes; then with HINCRBY, which loses nothing, but counts a page load as a visitor and \
         what is sent twice as two. Fix it: each event has an id. One script looks the id up in the Set of that day, counts, \
         and puts the visitor into a HyperLogLog, where he is once however often he comes.",
    ));
    page.start_clean(std::slice::from_ref(&key)).await?;
    let header = ["approach", "page views", "visitors", "orders", "revenue"];
    let mut facts = Facts::new("A morning, counted", &header).row(row("what happened", Counted::TRUTH));
    let mut results = Vec::new();
    for count in Count::ALL {
        let keys = if count == Count::Record { &shop.keys } else { &shop.naive };
        let counted = count.morning(&page.quietly(), keys, shop.day).await?;
        if count != Count::Record {
            page.start_clean(&[keys.daily_metrics(shop.day)]).await?;
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
    page.check_eq("with ids each event counts once, and each visitor", &right, &truth)?;
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

/// An event that comes after midnight, again, and after the books were closed.
async fn late(page: &Page, shop: &Shop) -> Outcome {
    page.say(
        "What comes late still belongs to the day on which it happened, as long as that day is open: three days from its first \
         event here, or until somebody closes it. With that its ids are forgotten, and nothing counts for it any more, so a report that was handed in \
         stays true. The same page view three times, the last after the day was closed:",
    );
    let metrics = DailyMetrics::new(page.redis(), shop.keys.clone());
    // A day of its own, as its books are closed.
    let Some(day) = shop.day.plus(-1) else { return Ok(()) };
    let keys = &shop.keys;
    let stored = [keys.daily_metrics(day), keys.daily_events(day), keys.daily_visitors(day)];
    page.start_clean(&stored).await?;
    let event = Event::page_view(known("late-view"), day, known("user999"));
    let first = metrics.record(&event).await.map_err(not_recorded)?;
    let again = metrics.record(&event).await.map_err(not_recorded)?;
    DailyMetrics::new(page.quietly(), keys.clone()).close(day).await.map_err(failed)?;
    let late = metrics.record(&event).await.map_err(not_recorded)?;
    page.start_clean(&stored).await?;
    page.check_eq(
        "counted, a duplicate, and too late",
        &[first, again, late],
        &[Recorded::Counted, Recorded::Duplicate, Recorded::TooLate],
    )
}
