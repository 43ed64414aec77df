//! What may this customer like, judged by views, purchases, and similar customers?
//!
//! `cargo ecommerce recommendations`

pub mod embedding;
pub mod evaluation;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use lab_runner::concurrent::try_join_all;
use lab_runner::table::{Table, percent, thousands};
use lab_runner::{BoxError, Lesson, LessonContext, Need, into_redis_error, outcome, source};
use patterns::bought_together::{self, BoughtTogether};
use patterns::interests::{self, Interests};
use patterns::key::Key;
use patterns::popular_products::{self, PopularProducts};
use patterns::product_vectors::ProductVectors;
use patterns::recent_views::{self, RecentViews};
use patterns::recommendations::{Reason, Recommendation, Recommendations};
use redis::{AsyncTypedCommands, RedisResult};

use self::embedding::Embedding;
use self::evaluation::{Evaluation, Method, Quality, RECOMMENDED};
use crate::call_cost::{self, Call};
use crate::data::{Data, Size};
use lab_runner::concurrent::concurrently;
use lab_runner::pattern_scripts::lua;

/// Recent views, popularity, bought together.
pub static LESSON: Lesson = Lesson {
    name: "recommendations",
    title: "Recommendations",
    question: "What may this customer like, judged by views, purchases, and similar customers?",
    commands: &["LPUSH", "LTRIM", "LREM", "LRANGE", "EVALSHA", "SMEMBERS", "ZREVRANGE", "ZINCRBY", "VSIM"],
    needs: &[],
    sources: &[
        source!("src/recommendations.rs"),
        source!("src/recommendations/evaluation.rs"),
        source!("src/recommendations/embedding.rs"),
        source!("src/call_cost.rs"),
    ],
    rule: "Start with what the customer bought, then use their interests, then what is popular, and let popularity fade.",
    takeaways: &[
        "Purchases say more than interests, and interests say more than popularity.",
        "Divide shared orders by how common both products are. Otherwise the bestseller goes with everything.",
        "Evaluate on orders that you held out, before you believe in a method.",
    ],
    quiz: &[103, 116, 124],
    run: |ctx| Box::pin(outcome(run(ctx))),
};

const VECTOR_SETS: Need =
    Need { command: "VSIM", available_in: "--server redis-8.2 (Redis has it since 8.0)" };
/// The shop of this lesson. The evaluation has its own.
const SIZE: Size = Size { products: 200, customers: 50, orders: 400 };
const SEED: u64 = 4;
const EVALUATION_SEED: u64 = 1;
/// Customers whose keys stay.
const CUSTOMERS: [&str; 2] = ["user123", "user_12345"];
const NEWCOMER: &str = "somebody-new";
/// Calls in flight while the shop is filled: more on a slow network, where they wait for the network alone.
fn in_flight(ctx: &LessonContext) -> usize {
    if ctx.round_trip() < Duration::from_millis(10) { 200 } else { 1_000 }
}

async fn run(ctx: &mut LessonContext) -> Result<(), BoxError> {
    let data = Data::new(SEED, SIZE);
    ctx.start_clean(&all_keys(ctx.prefix(), &data)?).await?;
    let wasteful = waste_places(ctx, &data).await?;
    record_views(ctx, &data, &wasteful).await?;
    index_interests(ctx, &data).await?;
    rank_by_views(ctx, &data).await?;
    pair_products(ctx, &data).await?;
    evaluate(ctx).await?;
    search_vectors(ctx, &data).await?;
    recommend_to_a_newcomer(ctx, &data).await?;
    compare(ctx).await?;
    ctx.start_clean(&naive_keys(ctx.prefix())?).await?;

    let mut keys = Vec::new();
    for name in ["recent_views", "interests"] {
        for customer in CUSTOMERS {
            keys.push(key(ctx.prefix(), name, &[customer])?);
        }
    }
    keys.push(key(ctx.prefix(), "popular_products", &[])?);
    ctx.keys(keys.iter().map(Key::as_str));
    Ok(())
}

/// How many views a list holds here.
const PLACES: usize = 6;
/// What a customer views: one product again and again.
const VIEWS: [usize; 12] = [5, 13, 21, 5, 5, 29, 5, 5, 37, 5, 5, 5];

/// Returns what the obvious way shows.
async fn waste_places(ctx: &LessonContext, data: &Data) -> Result<Vec<String>, BoxError> {
    let mut redis = ctx.redis();
    let [views, other_views] = naive_views(ctx.prefix())?;
    let skus = VIEWS.map(|view| sku(data, view));

    let guess = ctx
        .step(format!(
            "A shop shows what a customer viewed last: a List, the latest first, cut to {PLACES} here. The obvious way is LPUSH and \
             LTRIM. This customer views five products, and reloads the page of {} again and again: after every two others at \
             first, and three times at the end.",
            skus[0]
        ))
        .predict(format!("How many different products do the {PLACES} places show?"), ["2", "5", "6"])
        .await?;
    redis.lpush(&views, &skus).await?;
    redis.ltrim(&views, 0, 5).await?;
    let shown = redis.lrange(&views, 0, -1).await?;
    guess.answer(different(&shown))?;
    ctx.check(
        format!("{} places show {} products", shown.len(), different(&shown)),
        (shown.len(), different(&shown)) == (PLACES, 2),
    )?;

    let [mut one, mut other] = ctx.dedicated().await?;
    let product = skus[0];
    let guess = ctx
        .step(
            "LREM before LPUSH removes the repeat. Two browser windows of one customer show the same product: both remove it, then \
             both push it.",
        )
        .predict("How often is the product in the list?", ["1", "2"])
        .await?;
    one.lrem(&other_views, 0, product).await?;
    other.lrem(&other_views, 0, product).await?;
    one.lpush(&other_views, product).await?;
    other.lpush(&other_views, product).await?;
    let twice = one.lrange(&other_views, 0, -1).await?;
    guess.answer(twice.len())?;
    ctx.check("the product is there twice", twice.len() == 2 && twice[0] == twice[1])?;
    Ok(shown)
}

fn different(skus: &[String]) -> usize {
    skus.iter().collect::<BTreeSet<_>>().len()
}

async fn record_views(ctx: &LessonContext, data: &Data, wasteful: &[String]) -> Result<(), BoxError> {
    let [customer, other] = CUSTOMERS;
    let views = RecentViews::new(ctx.redis(), ctx.prefix()).with_max_products(PLACES);
    ctx.step(
        "One script does it in one step. Its TTL lets the lists of customers who never come back expire.",
    )
    .await?;
    ctx.script(&lua(&recent_views::RECORD).whole()).await?;

    let (last, before) = (sku(data, VIEWS[11]), &VIEWS[..11]);
    let silent = ctx.untraced(
        "EVALSHA records the first eleven views of user123, and 24 views of user_12345 to look at later.",
    );
    let record = RecentViews::new(silent.clone(), ctx.prefix()).with_max_products(PLACES);
    try_join_all(before.iter().map(|view| record.record(customer, sku(data, *view)))).await?;
    let record = RecentViews::new(silent, ctx.prefix());
    let others = (0..24).map(|number| record.record(other, sku(data, number * 8 + number / 5)));
    try_join_all(others).await?;
    ctx.step("The last of the twelve views, and the list:").await?;
    views.record(customer, last).await?;
    let shown = views.latest(customer, 10).await?;
    ctx.check("five products, each once, the latest first", shown.len() == 5 && shown[0] == last)?;
    let mut table = Table::new("Recent views", &["approach", "places", "different products", "wasted"]);
    for (label, shown) in [("LPUSH and LTRIM", wasteful), ("one script", &shown)] {
        table = table.labeled(label, [shown.len(), different(shown), shown.len() - different(shown)]);
    }
    ctx.table(table);
    Ok(())
}

async fn index_interests(ctx: &LessonContext, data: &Data) -> Result<(), BoxError> {
    let [first, second] = CUSTOMERS;
    let categories = categories(data);
    let (mut redis, interests) = (ctx.redis(), Interests::new(ctx.redis(), ctx.prefix()));

    ctx.step(
        "The interests of a customer are a Set. To find customers who share one, a Sorted Set for each interest holds the last \
         thousand who chose it. A bare SADD would leave that index behind, so two scripts write both:",
    )
    .await?;
    ctx.script(&lua(&interests::LIKE).contract()).await?;
    ctx.script(&lua(&interests::INDEX).contract()).await?;
    let silent =
        Interests::new(ctx.untraced("EVALSHA: user123 and user_12345 like some categories."), ctx.prefix());
    silent.add(first, &categories[..2]).await?;
    silent.add(second, &categories[1..4]).await?;

    let likes = categories[4];
    let [set, index] =
        [("interests", second), ("interested", likes)].map(|(name, id)| key(ctx.prefix(), name, &[id]));
    let (set, index) = (set?, index?);
    ctx.step("user_12345 chooses one more:").await?;
    interests.add(second, &[likes]).await?;
    let interests = redis.smembers(set.as_str()).await?;
    let liked_by = redis.zrange(index.as_str(), 0, -1).await?;
    ctx.check(
        format!("four interests, and {likes} leads back to the customer"),
        interests.len() == 4 && liked_by == [second],
    )?;
    Ok(())
}

/// Views of last winter's bestseller, a hundred days ago, and of the new one this week.
const OLD_VIEWS: usize = 300;
const NEW_VIEWS: usize = 60;

async fn rank_by_views(ctx: &LessonContext, data: &Data) -> Result<(), BoxError> {
    let (old, new) = (sku(data, 3), sku(data, 11));
    let naive = key(&naive_prefix(ctx.prefix()), "popular_products", &[])?.as_str().to_owned();
    let ranking = key(ctx.prefix(), "popular_products", &[])?.as_str().to_owned();
    let (mut redis, popular) = (ctx.redis(), PopularProducts::new(ctx.redis(), ctx.prefix()));

    ctx.step(format!(
        "What do most people view? ZINCRBY counts views in a Sorted Set, and counts forever: {OLD_VIEWS} views from a hundred days \
         ago beat {NEW_VIEWS} of this week. Lowering all scores every night rewrites everything. Instead, let new views weigh more: \
         a view at time t adds 2^(t / half-life). Only the order matters, and it stays right without rewriting. The sums soon get \
         too large, so the Sorted Set holds their logarithms:"
    ))
    .await?;
    ctx.script(&lua(&popular_products::VIEW).whole()).await?;
    let silent = ctx.untraced(
        "Hundreds in flight over one connection: ZINCRBY and EVALSHA count each view of a month in both ways.",
    );
    // Products, and how many days ago they were viewed.
    let mut views = vec![(3, 100.0); OLD_VIEWS];
    views.extend([(11, 5.0); NEW_VIEWS]);
    for order in &data.orders {
        views.extend(order.products.iter().map(|product| (*product, 28.0 - f64::from(order.day))));
    }
    let counter = PopularProducts::new(silent.clone(), ctx.prefix());
    concurrently(in_flight(ctx), views.len(), async |number| {
        let (product, days) = views[number];
        let product = &data.products[product];
        // What is left of the view with a half-life of a week.
        let weight = (-days / 7.0_f64).exp2();
        let mut silent = silent.clone();
        let forever = async { Ok::<_, BoxError>(silent.zincr(&naive, &product.sku, 1).await?) };
        let fading = async { Ok(counter.add(&product.sku, Some(&product.category), weight).await?) };
        tokio::try_join!(forever, fading)
    })
    .await?;

    let category = Some(data.products[11].category.as_str());
    ctx.step(format!("One more view of {new}, counted in both ways, also in the ranking of its category. Then the top three of each:"))
        .await?;
    redis.zincr(&naive, new, 1).await?;
    popular.viewed(new, category).await?;
    let forever = redis.zrevrange(&naive, 0, 2).await?;
    let fading = redis.zrevrange(&ranking, 0, 2).await?;
    ctx.check(
        format!("{old} leads where views count forever, {new} where they fade"),
        forever[0] == old && fading[0] == new,
    )?;
    ctx.announce("EVALSHA reads the ranking; the first time, EVAL.");
    let top = counter.top(1_000).await?;
    let mut table =
        Table::new("Views as they count now", &["product", "views ever", "views, fading", "rank"]);
    for (sku, ever) in [(old, OLD_VIEWS), (new, NEW_VIEWS + 1)] {
        if let Some(rank) = top.iter().position(|popular| popular.sku == sku) {
            let (ever, views) = (format!("{ever} or more"), format!("{:.2}", top[rank].views));
            table = table.row([sku.to_owned(), ever, views, (rank + 1).to_string()]);
        }
    }
    ctx.table(table);
    ctx.say(
        "The half-life is a week. A score is log2 of the views that are left, plus the weeks since 1970.",
    );
    Ok(())
}

async fn pair_products(ctx: &LessonContext, data: &Data) -> Result<(), BoxError> {
    ctx.step(
        "Customers who bought this also bought that: each product has a Sorted Set of the others, scored by the orders they share. An \
         order counts once, even if it is sent again. This script runs once for each product of an order:",
    )
    .await?;
    ctx.script(&lua(&bought_together::COUNT).whole()).await?;
    let silent =
        ctx.untraced("Hundreds in flight over one connection: EVALSHA counts the orders of the shop.");
    let pairs_of = BoughtTogether::new(silent, ctx.prefix());
    concurrently(in_flight(ctx), data.orders.len(), async |number| {
        let order = &data.orders[number];
        pairs_of.count(&order.id, &skus(data, &order.products)).await
    })
    .await?;

    let (mut redis, together) = (ctx.redis(), BoughtTogether::new(ctx.redis(), ctx.prefix()));
    let order = data.orders.iter().find(|order| order.products.len() == 2).unwrap_or(&data.orders[0]);
    let products = skus(data, &order.products);
    ctx.step(format!("The order {} of two products is sent again:", order.id)).await?;
    let again = together.count(&order.id, &products).await?;
    ctx.check("it counts for none of its products", again == 0)?;

    let sku = most_ordered(data);
    let pairs = key(ctx.prefix(), "also_bought", &[sku])?;
    ctx.step(format!(
        "What goes with {sku}, which is ordered most? By the count alone, bestsellers go with everything. (The first is the product \
         itself, with the number of its orders.)"
    ))
    .await?;
    let mut read = redis::cmd("ZREVRANGE");
    read.arg(pairs.as_str()).arg(&["0", "4", "WITHSCORES"]);
    let counted: Vec<(String, f64)> = read.query_async(&mut redis).await?;
    ctx.check("the product leads its own list", counted[0].0 == sku)?;
    ctx.announce("ZREVRANGE and ZMSCORE or ZSCORE read the pairs for the cosine: count / √(orders of one × orders of the other).");
    let best = pairs_of.with(sku, 4).await?;
    let mut table =
        Table::new(format!("What goes with {sku}"), &["by count", "orders", "by cosine", "0 to 1"]);
    for ((other, count), best) in counted.iter().skip(1).zip(&best) {
        table = table.row([other.clone(), count.to_string(), best.sku.clone(), format!("{:.2}", best.score)]);
    }
    ctx.table(table);
    Ok(())
}

fn most_ordered(data: &Data) -> &str {
    let mut orders = BTreeMap::<usize, usize>::new();
    for product in data.orders.iter().flat_map(|order| &order.products) {
        *orders.entry(*product).or_default() += 1;
    }
    let most = orders.into_iter().max_by_key(|(_, orders)| *orders);
    sku(data, most.map_or(0, |(product, _)| product))
}

async fn evaluate(ctx: &LessonContext) -> Result<(), BoxError> {
    let customers = evaluation::CUSTOMERS;
    ctx.step(format!(
        "Which method is best? Evaluate them on held-out orders. In another generated shop, most of what a customer buys is of one \
         category, the customer's taste. Each method learns three weeks of orders and recommends {RECOMMENDED} products to each of \
         {customers} customers. Precision is the share of these that the customer bought in the fourth week."
    ))
    .await?;
    ctx.say(
        "Popularity shows everybody the bestsellers. Pairs are products that share orders with the customer's purchases. Similar \
         buyers and similar interests find customers by the Jaccard index, and recommend what those bought.",
    );
    let vectors = ctx.can(VECTOR_SETS.command).await;
    let redis = ctx.untraced(
        "EVALSHA and EVAL learn the orders, hundreds in flight. Then, for all customers at once: EVALSHA, ZREVRANGE, ZMSCORE, \
         ZSCORE, SMEMBERS, and, if the server has vector sets, VADD and VSIM. UNLINK before and after."
    );
    let prefix = format!("{}evaluation:", ctx.prefix());
    let mut evaluation =
        Evaluation::learn(EVALUATION_SEED, customers, redis, &prefix, vectors, in_flight(ctx)).await?;
    let header = ["recommended by", "precision@10", "to their taste", "different", "µs each", "commands"];
    let mut table = Table::new("Recommendations for the fourth week", &header);
    let mut qualities = Vec::new();
    for &method in Method::all(vectors) {
        lab_runner::activity::set(format!("evaluating: {}", method.label()));
        let quality = evaluation.evaluate(method).await?;
        let shares = [format!("{:.1}%", quality.precision * 100.0), percent(quality.to_taste)];
        let numbers = [quality.different.to_string(), thousands(quality.micros), quality.calls.to_string()];
        table = table.labeled(method.label(), shares.into_iter().chain(numbers));
        qualities.push(quality);
    }
    evaluation.clean_up().await?;
    ctx.table(table);
    ctx.say(format!(
        "Most of these commands are in flight at once: pairs take two round trips, similar customers five. Learning an order took {} \
         µs. One in ten is a good guess among 600 products.",
        thousands(evaluation.micros_per_order),
    ));
    judge(ctx, &qualities)
}

/// What the table says, each claim checked.
fn judge(ctx: &LessonContext, qualities: &[Quality]) -> Result<(), BoxError> {
    let [popular, by_count, by_cosine, buyers, interests, ..] = qualities else { return Ok(()) };
    ctx.check(
        "pairs by cosine predict at least twice as much as popularity",
        by_cosine.precision >= 2.0 * popular.precision,
    )?;
    ctx.check(
        "similar buyers predict most",
        qualities.iter().all(|other| buyers.precision >= other.precision),
    )?;
    ctx.check(
        "similar interests predict more than popularity, and less than pairs and similar buyers",
        interests.precision > popular.precision
            && [by_count, by_cosine, buyers].iter().all(|other| other.precision > interests.precision),
    )?;
    ctx.check(
        "by cosine, pairs are more to the customer's taste and more varied than by count",
        by_cosine.to_taste > by_count.to_taste && by_cosine.different > by_count.different,
    )?;
    ctx.say(
        "Bestsellers are bought often, so a method that shows them hits about as often as the cosine. What the cosine adds is taste \
         and variety. Popularity costs least. Use it for customers you know nothing about.",
    );
    Ok(())
}

async fn search_vectors(ctx: &LessonContext, data: &Data) -> Result<(), BoxError> {
    let has_vector_sets = ctx.can(VECTOR_SETS.command).await;
    ctx.step(
        "A vector set finds neighbors in one command. Each product is a vector of 64 numbers: the sum of a direction for its category \
         and one for each product that goes with it. The directions come from a hash of the name, so this needs no model. VSIM \
         normally walks a graph and may miss a neighbor. With TRUTH it compares all products.",
    )
    .await?;
    if !has_vector_sets {
        ctx.skip(VECTOR_SETS);
        return Ok(());
    }
    let silent = ctx.untraced("Hundreds in flight over one connection: ZREVRANGE and ZMSCORE read the pairs, VADD adds a vector for each product.");
    let (pairs, writer) =
        (BoughtTogether::new(silent.clone(), ctx.prefix()), ProductVectors::new(silent, ctx.prefix()));
    concurrently(in_flight(ctx), data.products.len(), async |number| {
        let product = &data.products[number];
        let neighbors = pairs.with(&product.sku, 20).await?;
        match Embedding::of_product(&product.sku, &product.category, &neighbors) {
            Some(embedding) => writer.put(&product.sku, embedding.numbers()).await,
            None => Ok(false),
        }
    })
    .await?;

    let vectors = ProductVectors::new(ctx.redis(), ctx.prefix()).with_exact_search();
    let product = &data.products[5];
    ctx.step(format!("What is nearest to {}, a product for {}?", product.sku, product.category)).await?;
    let near = vectors.like(&product.sku, 3).await?;
    ctx.check("three products, without itself", near.len() == 3)?;
    let category = |sku: &str| data.products.iter().find(|it| it.sku == sku).map(|it| &it.category);
    let same = near.iter().filter(|near| category(&near.sku) == Some(&product.category)).count();
    ctx.check(format!("{same} of these 3 are of its category"), same >= 2)?;
    Ok(())
}

async fn recommend_to_a_newcomer(ctx: &LessonContext, data: &Data) -> Result<(), BoxError> {
    ctx.step(
        "And a customer who comes for the first time? `Recommendations` tries in this order: what goes with what they bought or \
         viewed; what is popular in the categories they like; what is popular; and what you pass in, such as products on sale. So the \
         page is never empty.",
    )
    .await?;
    ctx.function("four_visits");
    let redis = ctx.untraced("One client: EVALSHA, EVAL, LRANGE, SMEMBERS, ZREVRANGE, ZMSCORE, and ZSCORE.");
    let (shop, interests) =
        (Recommendations::new(redis.clone(), ctx.prefix()), Interests::new(redis, ctx.prefix()));
    let visits = four_visits(&shop, &interests, data).await?;
    let mut table =
        Table::new("What four visits show", &["known about the customer", "first", "why", "second", "why"]);
    let known = ["nothing", "likes a category", "viewed a product", "bought some"];
    for (known, page) in known.into_iter().zip(&visits) {
        let [first, second, ..] = &page[..] else {
            return Err("nothing was recommended".into());
        };
        table = table.row([known, &first.sku, why(first.reason), &second.sku, why(second.reason)]);
    }
    ctx.table(table);
    let reasons: Vec<(usize, Option<Reason>)> =
        visits.iter().map(|page| (page.len(), page.first().map(|first| first.reason))).collect();
    let expected =
        [Reason::Popular, Reason::PopularInInterests, Reason::BoughtTogether, Reason::BoughtTogether];
    ctx.check(
        "ten products each time, for a better reason the more you know",
        reasons == expected.map(|reason| (10, Some(reason))),
    )?;
    Ok(())
}

/// What is recommended at each visit.
async fn four_visits(
    shop: &Recommendations<lab_connection::Connection>,
    interests: &Interests<lab_connection::Connection>,
    data: &Data,
) -> Result<[Vec<Recommendation>; 4], BoxError> {
    let on_sale = skus(data, &(0..10).collect::<Vec<_>>());
    let order = data.orders.iter().find(|order| order.products.len() > 3).unwrap_or(&data.orders[0]);
    let bought = skus(data, &order.products);

    let first = shop.recommend(NEWCOMER, 10, &on_sale).await?;
    interests.add(NEWCOMER, &categories(data)[5..6]).await?;
    let second = shop.recommend(NEWCOMER, 10, &on_sale).await?;
    shop.viewed(NEWCOMER, bought[0], None).await?;
    let third = shop.recommend(NEWCOMER, 10, &on_sale).await?;
    shop.ordered(NEWCOMER, "ORD-new", &bought).await?;
    let fourth = shop.recommend(NEWCOMER, 10, &on_sale).await?;
    Ok([first, second, third, fourth])
}

fn why(reason: Reason) -> &'static str {
    match reason {
        Reason::BoughtTogether => "bought together",
        Reason::PopularInInterests => "popular in it",
        Reason::Popular => "popular",
        Reason::OnSale => "on sale",
    }
}

async fn compare(ctx: &LessonContext) -> Result<(), BoxError> {
    let question = format!(
        "What does it cost to report what customers do? Each row reports with {} in flight over one connection. The baseline is one \
         INCR for each. An order of three products is three calls.",
        call_cost::IN_FLIGHT
    );
    call_cost::compare(ctx, question, "Reporting what customers do", &Call::RECOMMENDATIONS).await?;
    ctx.say(
        "One thread of the server works for all clients, and each command of a script takes its time: four for a recent view, five if \
         LREM removes the product from its old place, as it mostly did here, and ten for each product of an order.",
    );
    Ok(())
}

fn sku(data: &Data, product: usize) -> &str {
    &data.products[product % data.products.len()].sku
}

fn skus<'a>(data: &'a Data, products: &[usize]) -> Vec<&'a str> {
    products.iter().map(|product| sku(data, *product)).collect()
}

fn categories(data: &Data) -> Vec<&str> {
    let categories: BTreeSet<&str> = data.products.iter().map(|product| &*product.category).collect();
    categories.into_iter().collect()
}

fn key(prefix: &str, name: &str, ids: &[&str]) -> RedisResult<Key> {
    Key::new(prefix, name, ids).map_err(into_redis_error)
}

/// What the wrong ways write has this prefix.
fn naive_prefix(prefix: &str) -> String {
    format!("{prefix}naive:")
}

fn naive_views(prefix: &str) -> RedisResult<[String; 2]> {
    let [one, other] = CUSTOMERS.map(|customer| key(&naive_prefix(prefix), "recent_views", &[customer]));
    Ok([one?.as_str().to_owned(), other?.as_str().to_owned()])
}

fn naive_keys(prefix: &str) -> RedisResult<Vec<String>> {
    let ranking = key(&naive_prefix(prefix), "popular_products", &[])?.as_str().to_owned();
    Ok(naive_views(prefix)?.into_iter().chain([ranking]).collect())
}

fn all_keys(prefix: &str, data: &Data) -> RedisResult<Vec<String>> {
    let mut keys = naive_keys(prefix)?;
    let mut roots = vec![key(prefix, "product_vectors", &[])?];
    let mut rankings = vec![key(prefix, "popular_products", &[])?];
    for customer in CUSTOMERS.into_iter().chain([NEWCOMER]) {
        for name in ["recent_views", "interests", "purchases"] {
            roots.push(key(prefix, name, &[customer])?);
        }
    }
    for category in categories(data) {
        roots.push(key(prefix, "interested", &[category])?);
        rankings.push(key(prefix, "popular_products", &[category])?);
    }
    for product in &data.products {
        let pairs = key(prefix, "also_bought", &[&product.sku])?;
        keys.push(pairs.companion("orders"));
        roots.extend([pairs, key(prefix, "buyers", &[&product.sku])?]);
    }
    keys.extend(rankings.iter().map(|ranking| ranking.companion("clock")));
    keys.extend(roots.iter().chain(&rankings).map(|key| key.as_str().to_owned()));
    Ok(keys)
}
