//! Days become a week.

use lab_runner::table::{Facts, thousands};
use lab_runner::{Outcome, Page};
use storefront::Cents;
use storefront::analytics::{DailyMetrics, Day, Event, WeeklyMetrics};

use super::{Shop, explained, failed, not_recorded};
use crate::at_once::at_once;
use crate::names::known;

pub(super) async fn add_up(page: &Page, shop: &Shop) -> Outcome {
    let metrics = DailyMetrics::new(page.quietly(), shop.keys.clone());
    let events = events(shop);
    at_once(50, events.len(), async |number| metrics.record(&events[number]).await.map_err(not_recorded))
        .await?;
    page.say(
        "An order also adds to a Sorted Set of that day, product by cents, so the bestsellers are one ZREVRANGE away. Scores are \
         doubles, exact up to 2^53 cents; the script refuses what would go beyond.",
    );
    let mut redis = page.redis();
    let mut best = redis::cmd("ZREVRANGE");
    best.arg(shop.keys.top_products(shop.day)).arg(&["0", "2", "WITHSCORES"]);
    let best: Vec<(String, f64)> = best.query_async(&mut redis).await?;
    page.check("three products, the highest first", best.len() == 3 && best.is_sorted_by(|a, b| a.1 >= b.1))?;

    page.say(format!(
        "A week is seven days added up: Hashes summed, Sorted Sets by ZUNIONSTORE, HyperLogLogs by PFMERGE. Visitors cannot be \
         summed: who came on three days would be three. Weeks are those of ISO 8601: {} began on {}. On a cluster each day is in \
         a slot of its own; there the days are read, and one script writes what they add up to into the slot of the week.",
        shop.week, shop.day,
    ));
    let weekly = WeeklyMetrics::new(page.quietly(), shop.keys.clone());
    let week = explained(weekly.roll_up(shop.week).await)?;
    let again = explained(weekly.roll_up(shop.week).await)?;
    let days: Vec<Day> = shop.week.days().collect();
    let daily = metrics.of_days(&days).await.map_err(failed)?;
    let header = ["", "page views", "orders", "revenue", "visitors"];
    let row = |name: String, metrics: &storefront::analytics::Metrics, visitors: u64| {
        let revenue = Cents::new(metrics.get("revenue")).unwrap_or_default().to_string();
        let numbers =
            [metrics.get("page_views"), metrics.get("orders")].map(|number| thousands(number as f64));
        let [views, orders] = numbers;
        [name, views, orders, revenue, thousands(visitors as f64)]
    };
    let mut facts = Facts::new("A week", &header);
    for (day, metrics) in days.iter().zip(&daily) {
        facts = facts.row(row(day.to_string(), metrics, metrics.visitors));
    }
    let summed: u64 = daily.iter().map(|metrics| metrics.visitors).sum();
    facts = facts.row(row(shop.week.to_string(), &week, week.visitors));
    page.facts(facts);
    let sum = |metric: &str| daily.iter().map(|day| day.get(metric)).sum::<i64>();
    page.check(
        "the week has the sums of its days, also when it is added up again",
        week == again
            && ["page_views", "orders", "revenue"].iter().all(|metric| week.get(metric) == sum(metric)),
    )?;
    page.check(
        format!("but not the sum of its visitors: {} and not {summed}", week.visitors),
        week.visitors < summed,
    )?;
    if page.target().is_cluster() {
        return Ok(());
    }
    page.say("The union of two days in one command:");
    let (first, second) = (shop.keys.daily_visitors(days[0]), shop.keys.daily_visitors(days[1]));
    let scratch = shop.naive.daily_visitors(shop.day);
    redis::cmd("PFMERGE").arg(&scratch).arg(&first).arg(&second).exec_async(&mut redis).await?;
    let both: u64 = redis::cmd("PFCOUNT").arg(&scratch).query_async(&mut redis).await?;
    page.start_clean(&[scratch]).await?;
    page.check("at least as many as on either, at most as many as on both", {
        let [one, other] = [daily[0].visitors, daily[1].visitors];
        both >= one.max(other) && both <= one + other
    })
}

/// Orders of the generated shop, and what was looked at before each of them.
fn events(shop: &Shop) -> Vec<Event> {
    let mut events = Vec::new();
    let days: Vec<Day> = shop.days().collect();
    for order in &shop.data.orders {
        // Four weeks of orders become one.
        let day = days[usize::try_from(order.day % 7).unwrap_or(0)];
        let customer = &shop.data.customers[order.customer].id;
        for (index, product) in order.products.iter().enumerate() {
            let id = known(&format!("{}-view-{index}-{product}", order.id));
            events.push(Event::page_view(id, day, customer.clone()));
        }
        let line = |index: &usize| {
            let product = &shop.data.products[*index];
            (product.sku.clone(), product.price)
        };
        let lines = order.products.iter().map(line).collect();
        events.push(Event::order(known(order.id.as_str()), day, customer.clone(), lines));
    }
    events
}
