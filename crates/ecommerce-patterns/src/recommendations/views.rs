//! What a customer looked at and likes.

use std::collections::BTreeSet;

use lab_runner::table::Table;
use lab_runner::{LessonContext, LessonError, Outcome};
use patterns::interests::Interests;
use patterns::recent_views::{self, RecentViews};
use redis::AsyncTypedCommands;

use super::trial::failed;
use super::{CUSTOMERS, Shop};

/// How many views a list holds here.
const PLACES: usize = 6;
const LAST: isize = 5;
/// What a customer looks at, and comes back to a kettle again and again.
const VISITS: [usize; 12] = [5, 13, 21, 5, 5, 29, 5, 5, 37, 5, 5, 5];

pub(super) async fn look_again_and_again(ctx: &LessonContext, shop: &Shop) -> Outcome {
    let [customer, other] = CUSTOMERS;
    let naive = push_and_trim(ctx, shop, customer).await?;
    come_between(ctx, shop).await?;
    let right = push_once(ctx, shop, customer).await?;
    let row = |way: &str, shown: &[String]| {
        let different = shown.iter().collect::<BTreeSet<_>>().len();
        [
            way.to_owned(),
            shown.len().to_string(),
            different.to_string(),
            (shown.len() - different).to_string(),
        ]
    };
    ctx.table(
        Table::new("Recent views", &["approach", "places", "different products", "wasted"])
            .row(row("LPUSH and LTRIM", &naive))
            .row(row("one script", &right)),
    );
    fill(ctx, shop, other).await
}

async fn push_and_trim(ctx: &LessonContext, shop: &Shop, customer: &str) -> Result<Vec<String>, LessonError> {
    ctx.step(format!(
        "A shop shows what a customer looked at last: a List, the latest in front, cut to {PLACES} here. Break it: LPUSH and \
         LTRIM. Our customer looks at five products, and reloads the page of one of them again and again.",
    )).await?;
    let key = shop.naive_views.key(customer).map_err(failed)?;
    let key = key.as_str();
    let mut quietly = ctx.untraced("TODO");
    for visit in &VISITS[..VISITS.len() - 1] {
        quietly.lpush(key, shop.sku(*visit)).await?;
        quietly.ltrim(key, 0, LAST).await?;
    }
    let mut redis = ctx.redis();
    redis.lpush(key, shop.sku(VISITS[VISITS.len() - 1])).await?;
    redis.ltrim(key, 0, LAST).await?;
    let shown = redis.lrange(key, 0, -1).await?;
    let different = shown.iter().collect::<BTreeSet<_>>().len();
    ctx.check(
        format!("{} places, {different} products: the rest is repeated", shown.len()),
        (shown.len(), different) == (PLACES, 2),
    )?;
    Ok(shown)
}

async fn come_between(ctx: &LessonContext, shop: &Shop) -> Outcome {
    ctx.step(
        "So LREM the product before LPUSH? As separate commands they let somebody come between: two windows of one customer \
         show the same product, both remove it, then both push it.",
    ).await?;
    let (mut one, mut other) = (ctx.redis(), ctx.dedicated_redis().await?);
    let key = shop.naive_views.key(CUSTOMERS[1]).map_err(failed)?;
    let (key, sku) = (key.as_str(), shop.sku(5));
    one.lrem(key, 0, sku).await?;
    other.lrem(key, 0, sku).await?;
    one.lpush(key, sku).await?;
    other.lpush(key, sku).await?;
    let shown = ctx.untraced("TODO").lrange(key, 0, -1).await?;
    ctx.check("the product is there twice", shown.len() == 2 && shown[0] == shown[1])
}

async fn push_once(ctx: &LessonContext, shop: &Shop, customer: &str) -> Result<Vec<String>, LessonError> {
    ctx.step(
        "Fix it: all of it in one script, so nobody comes between, and with a TTL, so the lists of customers who never come back \
         expire. This is the script of the pattern `recent_views`, as the server gets it:",
    ).await?;
    for (_, script) in recent_views::scripts() {
        ctx.listing(script.source());
    }
    let quietly = shop.views.clone().with_max_products(PLACES);
    for visit in &VISITS[..VISITS.len() - 1] {
        quietly.record(customer, shop.sku(*visit)).await.map_err(failed)?;
    }
    let traced = RecentViews::new(ctx.redis(), &shop.prefix).with_max_products(PLACES);
    traced.record(customer, shop.sku(VISITS[VISITS.len() - 1])).await.map_err(failed)?;
    let shown = traced.latest(customer, 10).await.map_err(failed)?;
    ctx.check("five products, each once, the latest first", shown.len() == 5 && shown[0] == shop.sku(5))?;
    Ok(shown)
}

/// Something to look at in Redis Insight: a customer with more history, and what both like.
async fn fill(ctx: &LessonContext, shop: &Shop, customer: &str) -> Outcome {
    for number in 0..24 {
        shop.views.record(customer, shop.sku(number * 8 + number / 5)).await.map_err(failed)?;
    }
    let categories = shop.categories();
    let [first, second] = CUSTOMERS;
    for (customer, likes) in [(first, &categories[..2]), (second, &categories[1..4])] {
        let added = shop.interests.add(customer, likes).await;
        added.map_err(|error| LessonError::Check(error.to_string()))?;
    }
    ctx.step(
        "What a customer likes is a Set. For each interest, the pattern `interests` also keeps the last thousand customers who \
         chose it. With that index you find similar people without asking everybody. A bare SADD would leave it behind, so \
         `Interests` writes both:",
    ).await?;
    let likes_too = categories[4];
    let added = Interests::new(ctx.redis(), &shop.prefix).add(customer, &[likes_too]).await;
    added.map_err(|error| LessonError::Check(error.to_string()))?;
    let mut redis = ctx.redis();
    let likes = redis.smembers(shop.interests.key(customer).map_err(failed)?.as_str()).await?;
    let liked_by = redis.zrange(shop.interests.index_key(likes_too).map_err(failed)?.as_str(), 0, -1).await?;
    ctx.check(
        format!("four interests, and {likes_too} leads back to the customer"),
        likes.len() == 4 && liked_by == [customer],
    )
}
