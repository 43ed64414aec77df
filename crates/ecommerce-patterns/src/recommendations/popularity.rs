//! Views that fade.

use lab_runner::table::Facts;
use lab_runner::{Outcome, Page};
use redis::AsyncTypedCommands;
use storefront::recommendations::PopularProducts;

use super::Shop;
use super::trial::failed;
use crate::at_once::at_once;

const DAY_MS: u64 = 86_400_000;
/// Views of last winter's bestseller, a hundred days ago, and of the new one in this week.
const OLD: usize = 300;
const NEW: usize = 60;

pub(super) async fn let_views_fade(page: &Page, shop: &Shop) -> Outcome {
    page.say(format!(
        "What do most people look at? ZINCRBY counts the views of each product in a Sorted Set, and counts for ever: {OLD} \
         views a hundred days ago beat {NEW} of this week. Lowering all scores every night would cure that, and rewrite \
         everything. Forward decay turns it around: not the old views shrink, the new ones grow. A view at moment t adds \
         2^((t - landmark) / half-life); only the order matters, and that is right as it is stored. Every four \
         half-lives all scores are divided by the same number, long before a double overflows.",
    ));
    let (old, new) = (shop.product(3).clone(), shop.product(11).clone());
    let now = server_ms(page).await?;
    let mut views: Vec<(usize, u64)> = Vec::new();
    views.extend((0..OLD).map(|number| (3, now - 100 * DAY_MS + number as u64 * 60_000)));
    views.extend((0..NEW).map(|number| (11, now - 5 * DAY_MS + number as u64 * 60_000)));
    // And the usual traffic of a month.
    for (order, number) in shop.data.orders.iter().zip(0_u64..) {
        let moment = now - (28 - u64::from(order.day)) * DAY_MS + number * 1_000;
        views.extend(order.products.iter().map(|product| (*product, moment)));
    }
    let popular = PopularProducts::new(page.quietly(), shop.keys.clone());
    let naive = shop.naive.popular_products();
    at_once(50, views.len(), async |number| {
        let (product, moment) = views[number];
        let product = &shop.data.products[product];
        page.quietly().zincr(&naive, product.sku.as_str(), 1).await?;
        popular.viewed_at(&product.sku, Some(&product.category), moment).await.map_err(failed)
    })
    .await?;

    let mut redis = page.redis();
    redis.zincr(&naive, new.as_str(), 1).await?;
    popular.viewed(&new, Some(&shop.data.products[11].category)).await.map_err(failed)?;
    let best = |key: String| redis::cmd("ZREVRANGE").arg(key).arg(&["0", "2", "WITHSCORES"]).take();
    let ever: Vec<(String, f64)> = best(naive).query_async(&mut redis).await?;
    let fading: Vec<(String, f64)> = best(shop.keys.popular_products()).query_async(&mut redis).await?;
    page.check(
        format!("counted for ever, {old} leads; where views fade, {new}"),
        ever[0].0 == old.as_str() && fading[0].0 == new.as_str(),
    )?;
    let top = PopularProducts::new(page.quietly(), shop.keys.clone()).top(1_000).await.map_err(failed)?;
    let mut facts =
        Facts::new("Views as they count now", &["product", "views ever", "views, fading", "rank"]);
    for (sku, ever) in [(&old, OLD), (&new, NEW + 1)] {
        let rank = top.iter().position(|popular| popular.sku == *sku);
        let views = rank.map_or(0.0, |rank| top[rank].views);
        let rank = rank.map_or(0, |rank| rank + 1);
        facts =
            facts.row([sku.to_string(), format!("{ever} and more"), format!("{views:.2}"), rank.to_string()]);
    }
    page.facts(facts);
    page.say("The half-life here is a week. Each category has a ranking of its own beside this one.");
    Ok(())
}

/// The server's clock.
async fn server_ms(page: &Page) -> redis::RedisResult<u64> {
    let (seconds, micros): (u64, u64) = redis::cmd("TIME").query_async(&mut page.quietly()).await?;
    Ok(seconds * 1_000 + micros / 1_000)
}
