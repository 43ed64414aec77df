//! What somebody looked at, and what he likes.

use std::collections::BTreeSet;

use lab_runner::table::Facts;
use lab_runner::{LessonError, Outcome, Page};
use redis::AsyncTypedCommands;
use storefront::recommendations::{Interests, RecentViews, VIEWED};
use storefront::{CustomerId, Sku};

use super::trial::failed;
use super::{Shop, customers};

/// How many views a list holds here.
const PLACES: usize = 6;
const LAST: isize = 5;
/// What a customer looks at: he comes back to a kettle again and again.
const VISITS: [usize; 12] = [5, 13, 21, 5, 5, 29, 5, 5, 37, 5, 5, 5];

pub(super) async fn look_again_and_again(page: &Page, shop: &Shop) -> Outcome {
    let [customer, other] = customers();
    let naive = push_and_trim(page, shop, &customer).await?;
    come_between(page, shop).await?;
    let right = push_once(page, shop, &customer).await?;
    let row = |way: &str, shown: &[Sku]| {
        let different = shown.iter().collect::<BTreeSet<_>>().len();
        [
            way.to_owned(),
            shown.len().to_string(),
            different.to_string(),
            (shown.len() - different).to_string(),
        ]
    };
    page.facts(
        Facts::new("Recent views", &["approach", "places", "different products", "wasted"])
            .row(row("LPUSH and LTRIM", &naive))
            .row(row("one script", &right)),
    );
    fill(page, shop, &other).await
}

async fn push_and_trim(page: &Page, shop: &Shop, customer: &CustomerId) -> Result<Vec<Sku>, LessonError> {
    page.say(format!(
        "A shop shows what a customer looked at last: a List, the latest in front, cut to {PLACES} here. Break it: LPUSH and \
         LTRIM. Our customer looks at five products, and reloads the page of one of them again and again.",
    ));
    let key = shop.naive.recent_views(customer);
    let mut quietly = page.quietly();
    for visit in &VISITS[..VISITS.len() - 1] {
        quietly.lpush(&key, shop.product(*visit).as_str()).await?;
        quietly.ltrim(&key, 0, LAST).await?;
    }
    let mut redis = page.redis();
    redis.lpush(&key, shop.product(VISITS[VISITS.len() - 1]).as_str()).await?;
    redis.ltrim(&key, 0, LAST).await?;
    let shown = skus(&redis.lrange(&key, 0, -1).await?);
    let different = shown.iter().collect::<BTreeSet<_>>().len();
    page.check(
        format!("{} places, {different} products: the rest is repeated", shown.len()),
        (shown.len(), different) == (PLACES, 2),
    )?;
    Ok(shown)
}

async fn come_between(page: &Page, shop: &Shop) -> Outcome {
    page.say(
        "So LREM the product before LPUSH? As separate commands they let somebody come between: two windows of one customer \
         show the same product, both remove it, then both push it.",
    );
    let (mut one, mut other) = (page.redis(), page.own_redis().await?);
    let [_, customer] = customers();
    let key = shop.naive.recent_views(&customer);
    let sku = shop.product(5).as_str();
    one.lrem(&key, 0, sku).await?;
    other.lrem(&key, 0, sku).await?;
    one.lpush(&key, sku).await?;
    other.lpush(&key, sku).await?;
    let shown = skus(&page.quietly().lrange(&key, 0, -1).await?);
    page.check("the product is there twice", shown.len() == 2 && shown[0] == shown[1])
}

async fn push_once(page: &Page, shop: &Shop, customer: &CustomerId) -> Result<Vec<Sku>, LessonError> {
    page.say(
        "Fix it: all of it in one script, so nobody comes between, and with a TTL, so the lists of those who never come back \
         go. This is `RecentViews` of the storefront:",
    );
    // Without the comment above it.
    page.listing(VIEWED.find("local ").map_or(VIEWED, |start| &VIEWED[start..]));
    let views = |redis| RecentViews::new(redis, shop.keys.clone()).with_most(PLACES);
    let quietly = views(page.quietly());
    for visit in &VISITS[..VISITS.len() - 1] {
        quietly.viewed(customer, shop.product(*visit)).await.map_err(failed)?;
    }
    let traced = RecentViews::new(page.redis(), shop.keys.clone()).with_most(PLACES);
    traced.viewed(customer, shop.product(VISITS[VISITS.len() - 1])).await.map_err(failed)?;
    let shown = traced.of(customer, 10).await.map_err(failed)?;
    page.check(
        "five products, each once, the latest first",
        shown.len() == 5 && shown[0] == *shop.product(5),
    )?;
    Ok(shown)
}

/// Something to look at in Redis Insight: a customer with more history, and what both like.
async fn fill(page: &Page, shop: &Shop, customer: &CustomerId) -> Outcome {
    let views = RecentViews::new(page.quietly(), shop.keys.clone());
    for number in 0..24 {
        views.viewed(customer, shop.product(number * 8 + number / 5)).await.map_err(failed)?;
    }
    let categories = shop.categories();
    let interests = Interests::new(page.quietly(), shop.keys.clone());
    let [first, second] = customers();
    for (customer, likes) in [(first, &categories[..2]), (second, &categories[1..4])] {
        let added = interests.add(&customer, likes).await;
        added.map_err(|error| LessonError::Check(error.to_string()))?;
    }
    page.say(
        "What somebody says he likes is a Set. Beside it the storefront keeps, for each interest, who likes it, the newest \
         thousand: with that one finds similar people without asking everybody. A bare SADD would leave that index behind, so \
         `Interests` writes both, the index first:",
    );
    let likes_too = &categories[4];
    let added =
        Interests::new(page.redis(), shop.keys.clone()).add(customer, std::slice::from_ref(likes_too)).await;
    added.map_err(|error| LessonError::Check(error.to_string()))?;
    let mut redis = page.redis();
    let likes = redis.smembers(shop.keys.interests(customer)).await?;
    let liked_by = redis.zrange(shop.keys.interested(likes_too), 0, -1).await?;
    page.check(
        format!("four interests, and {likes_too} leads back to him"),
        likes.len() == 4 && liked_by == [customer.as_str()],
    )
}

fn skus(stored: &[String]) -> Vec<Sku> {
    stored.iter().filter_map(|sku| sku.parse().ok()).collect()
}
