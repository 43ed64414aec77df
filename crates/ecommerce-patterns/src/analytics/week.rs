//! Days become a week.

use lab_runner::table::{Table, thousands};
use lab_runner::{LessonContext, Outcome};
use patterns::analytics::Metrics;
use patterns::money::Cents;

use super::morning::Event;
use super::{DAY, Shop, WEEK, days, explained, failed};
use crate::at_once::at_once;

pub(super) async fn add_up(ctx: &LessonContext, shop: &Shop) -> Outcome {
    let events = events(shop);
    at_once(50, events.len(), async |number| {
        let (day, event) = &events[number];
        event.record(&shop.analytics, day).await
    })
    .await?;
    ctx.step(
        "An order also adds to a Sorted Set of that day, product by cents, so the bestsellers are one ZREVRANGE away. That is \
         another key, in another slot of a cluster, and so a second step with IDs of its own. Scores are doubles, exact up to \
         2^53 cents; the script refuses what would go beyond.",
    ).await?;
    let mut redis = ctx.redis();
    let mut best = redis::cmd("ZREVRANGE");
    let products = shop.analytics.products_key(DAY).map_err(failed)?;
    best.arg(products.as_str()).arg(&["0", "2", "WITHSCORES"]);
    let best: Vec<(String, f64)> = best.query_async(&mut redis).await?;
    ctx.check("three products, the highest first", best.len() == 3 && best.is_sorted_by(|a, b| a.1 >= b.1))?;

    ctx.step(format!(
        "A week is seven days added up: metrics and products summed, HyperLogLogs by PFMERGE. Visitors can't be summed: somebody \
         who came on three days would be three. Weeks here are those of ISO 8601: {WEEK} began on {DAY}. Each day is in a slot of \
         its own, so each is read at one moment, and one script writes what they add up to into the slot of the week. While a day \
         is open, that is the week of this moment; once all seven are closed, it is final.",
    )).await?;
    let days: Vec<String> = days().take(7).collect();
    let days: Vec<&str> = days.iter().map(String::as_str).collect();
    let open = explained(shop.weekly.roll_up(WEEK, &days).await)?;
    for day in &days {
        shop.analytics.close(day).await.map_err(failed)?;
    }
    let week = explained(shop.weekly.roll_up(WEEK, &days).await)?;
    let daily = shop.analytics.of_days(&days).await.map_err(failed)?;
    let header = ["", "page views", "orders", "revenue", "visitors"];
    let row = |name: String, metrics: &Metrics, visitors: u64| {
        let revenue = Cents::new(metrics.get("revenue")).unwrap_or_default().to_string();
        let numbers =
            [metrics.get("page_views"), metrics.get("orders")].map(|number| thousands(number as f64));
        let [views, orders] = numbers;
        [name, views, orders, revenue, thousands(visitors as f64)]
    };
    let mut table = Table::new("A week", &header);
    for (day, metrics) in days.iter().zip(&daily) {
        table = table.row(row((*day).to_owned(), metrics, metrics.visitors));
    }
    let summed: u64 = daily.iter().map(|metrics| metrics.visitors).sum();
    table = table.row(row(WEEK.to_owned(), &week, week.visitors));
    ctx.table(table);
    let sum = |metric: &str| daily.iter().map(|day| day.get(metric)).sum::<i64>();
    ctx.check(
        "the week has the sums of its days, also when it is added up again",
        open == Metrics { closed: false, ..week.clone() }
            && ["page_views", "orders", "revenue"].iter().all(|metric| week.get(metric) == sum(metric)),
    )?;
    ctx.check("and it is final once all days are closed", !open.closed && week.closed && week.exact)?;
    ctx.check(
        format!("but not the sum of its visitors: {} and not {summed}", week.visitors),
        week.visitors < summed,
    )?;
    if ctx.target().is_cluster() {
        return Ok(());
    }
    ctx.step("The union of two days in one command:").await?;
    let visitors = |day: &str| shop.analytics.key(day).map(|key| key.companion("visitors")).map_err(failed);
    let (first, second) = (visitors(days[0])?, visitors(days[1])?);
    let scratch = format!("{}daily_visitors:{DAY}", shop.naive);
    redis::cmd("PFMERGE").arg(&scratch).arg(&first).arg(&second).exec_async(&mut redis).await?;
    let both: u64 = redis::cmd("PFCOUNT").arg(&scratch).query_async(&mut redis).await?;
    ctx.start_clean(&[scratch]).await?;
    ctx.check("at least as many as on either, at most as many as on both", {
        let [one, other] = [daily[0].visitors, daily[1].visitors];
        both >= one.max(other) && both <= one + other
    })
}

/// Orders of the generated shop, and what was looked at before each of them, with their days.
fn events(shop: &Shop) -> Vec<(String, Event)> {
    let mut events = Vec::new();
    let days: Vec<String> = days().collect();
    for order in &shop.data.orders {
        // Four weeks of orders become one.
        let day = &days[usize::try_from(order.day % 7).unwrap_or(0)];
        let visitor = shop.data.customers[order.customer].id.as_str();
        let event = |id: String, lines| (day.clone(), Event { id, visitor: visitor.to_owned(), lines });
        for (index, product) in order.products.iter().enumerate() {
            events.push(event(format!("{}-view-{index}-{product}", order.id), Vec::new()));
        }
        let mut lines = Vec::new();
        for index in &order.products {
            let product = &shop.data.products[*index];
            let price = Cents::new(product.price.get()).unwrap_or_default();
            lines.push((product.sku.as_str().to_owned(), price));
        }
        events.push(event(order.id.as_str().to_owned(), lines));
    }
    events
}
