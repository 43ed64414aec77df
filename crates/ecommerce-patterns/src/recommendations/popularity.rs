//! Views that fade.

use lab_runner::table::Table;
use lab_runner::{LessonContext, Outcome};
use patterns::popular_products::{self, PopularProducts};
use redis::AsyncTypedCommands;

use super::Shop;
use super::trial::failed;
use crate::concurrent::concurrently;

/// Views of last winter's bestseller, a hundred days ago, and of the new one this week.
const OLD: usize = 300;
const NEW: usize = 60;

pub(super) async fn let_views_fade(ctx: &LessonContext, shop: &Shop) -> Outcome {
    ctx.step(format!(
        "What do most people look at? ZINCRBY counts the views of each product in a Sorted Set, and counts forever: {OLD} views \
         a hundred days ago beat {NEW} of this week. You could lower all scores every night, and rewrite everything. Forward \
         decay turns it around: old views don't shrink, new ones weigh more. A view at moment t adds 2^(t / half-life) to its \
         product's sum; only the order matters, and that is right as it is stored. Such sums would soon be too large for a \
         number, so the Sorted Set holds their logarithms. This is the script:",
    )).await?;
    let view = popular_products::scripts().into_iter().find(|(name, _)| *name == "view");
    ctx.listing(view.map_or("", |(_, script)| script.source()));
    let (old, new) = (shop.sku(3), shop.sku(11));
    // Products, and for how many days their views have faded.
    let mut views: Vec<(usize, f64)> = vec![(3, 100.0); OLD];
    views.extend([(11, 5.0); NEW]);
    // And the usual traffic of a month.
    for order in &shop.data.orders {
        let days = 28.0 - f64::from(order.day);
        views.extend(order.products.iter().map(|product| (*product, days)));
    }
    let naive = shop.naive_popular.key().map_err(failed)?;
    concurrently(50, views.len(), async |number| {
        let (product, days) = views[number];
        let product = &shop.data.products[product];
        ctx.untraced("TODO").zincr(naive.as_str(), product.sku.as_str(), 1).await?;
        // With a half-life of a week, this is what is left of a view.
        let weight = (-days / 7.0).exp2();
        let category = Some(product.category.as_str());
        shop.popular.add(product.sku.as_str(), category, weight).await.map_err(failed)
    })
    .await?;

    ctx.step("One more view of the new bestseller, in the ranking of the shop and in that of its category:")
        .await?;
    let mut redis = ctx.redis();
    redis.zincr(naive.as_str(), new, 1).await?;
    let category = Some(shop.data.products[11].category.as_str());
    PopularProducts::new(ctx.redis(), &shop.prefix).viewed(new, category).await.map_err(failed)?;
    let best = |key: &str| redis::cmd("ZREVRANGE").arg(key).arg(&["0", "2", "WITHSCORES"]).take();
    let ever: Vec<(String, f64)> = best(naive.as_str()).query_async(&mut redis).await?;
    let popular = shop.popular.key().map_err(failed)?;
    let fading: Vec<(String, f64)> = best(popular.as_str()).query_async(&mut redis).await?;
    ctx.check(
        format!("counted forever, {old} leads; where views fade, {new}"),
        ever[0].0 == old && fading[0].0 == new,
    )?;
    let top = shop.popular.top(1_000).await.map_err(failed)?;
    let mut table =
        Table::new("Views as they count now", &["product", "views ever", "views, fading", "rank"]);
    for (sku, ever) in [(old, OLD), (new, NEW + 1)] {
        let rank = top.iter().position(|popular| popular.sku == sku);
        let views = rank.map_or(0.0, |rank| top[rank].views);
        let rank = rank.map_or(0, |rank| rank + 1);
        table =
            table.row([sku.to_owned(), format!("{ever} and more"), format!("{views:.2}"), rank.to_string()]);
    }
    ctx.table(table);
    ctx.step("The half-life here is a week. A score is log2 of the views that are left, plus the weeks since 1970.").await?;
    Ok(())
}
