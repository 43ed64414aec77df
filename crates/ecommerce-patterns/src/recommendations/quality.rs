//! The methods put to the test.

use lab_runner::table::{Table, thousands};
use lab_runner::{LessonContext, LessonError, Need, Outcome};
use patterns::bought_together;
use patterns::product_vectors::ProductVectors;

use super::Shop;
use super::embedding::Embedding;
use super::trial::{CUSTOMERS, Method, Quality, SHOWN, Trial, failed};
use crate::concurrent::concurrently;

/// Since Redis 8.0.
const VECTORS: Need = Need { command: "VSIM", available_in: "--server redis-8.2 (Redis has it since 8.0)" };
const SEED: u64 = 1;

pub(super) async fn foretell(ctx: &LessonContext, shop: &Shop) -> Outcome {
    also_bought(ctx, shop).await?;
    let vectors = ctx.can(VECTORS.command).await;
    let prefix = format!("{}trial:", shop.prefix);
    let mut trial = Trial::prepare(SEED, CUSTOMERS, ctx.untraced("TODO"), &prefix, vectors).await?;
    ctx.step(format!(
        "Which way of recommending is good? In our shop, most of what a customer buys is of one category, and we know which. \
         The shop learns three weeks of orders, recommends {SHOWN} products to {CUSTOMERS} customers, and then we look at what \
         they bought in the fourth week. Popularity shows the bestsellers to everybody. The others begin with what the customer \
         bought: what shares orders with it (by count, and by cosine), or what similar people bought, similar by the Jaccard \
         index of purchases or of interests.",
    )).await?;
    let mut table = Table::new(
        "Foretelling the fourth week",
        &["recommended by", "precision@10", "to their taste", "different", "µs", "calls"],
    );
    let mut qualities = Vec::new();
    for method in trial.methods() {
        let quality = trial.ask(method).await?;
        table = table.row([
            method.label().to_owned(),
            format!("{:.1} %", quality.precision * 100.0),
            format!("{:.0} %", quality.to_taste * 100.0),
            quality.different.to_string(),
            thousands(quality.micros),
            quality.calls.to_string(),
        ]);
        qualities.push((method, quality));
    }
    trial.clean_up().await?;
    ctx.table(table);
    ctx.step(
        "Most of these calls are in flight at once: pairs take two round trips, similar customers five, whatever the size of the \
         shop. A pipeline counts as one call.",
    ).await?;
    ctx.step(format!(
        "Learning an order took {} µs here, with 50 at a time: its pairs, its buyer and its products. By then, a customer has \
         bought only a few of hundreds of products, so one in ten is a good guess.",
        thousands(trial.micros_per_order),
    )).await?;
    judge(ctx, &qualities)?;
    near(ctx, shop).await
}

/// What the table says, each claim checked.
fn judge(ctx: &LessonContext, qualities: &[(Method, Quality)]) -> Outcome {
    let of = |wanted: Method| {
        let found = qualities.iter().find(|(method, _)| *method == wanted).map(|(_, quality)| *quality);
        found.ok_or_else(|| LessonError::Check(format!("{} was asked", wanted.label())))
    };
    let (popular, counted) = (of(Method::Popular)?, of(Method::MostShared)?);
    let (cosine, buyers) = (of(Method::BoughtTogether)?, of(Method::LikeBuyers)?);
    let interests = of(Method::LikeMinded)?;
    ctx.check(
        "what goes with the purchases foretells at least twice as much as popularity",
        cosine.precision >= 2.0 * popular.precision,
    )?;
    ctx.check(
        "what similar buyers bought foretells most",
        qualities.iter().all(|(_, other)| buyers.precision >= other.precision),
    )?;
    ctx.check(
        "similar interests foretell more than popularity, and less than pairs and similar buyers",
        interests.precision > popular.precision
            && [counted, cosine, buyers].iter().all(|other| other.precision > interests.precision),
    )?;
    ctx.check(
        "by cosine the pairs are more to the customer's taste, and show more different products, than by count",
        cosine.to_taste > counted.to_taste && cosine.different > counted.different,
    )?;
    ctx.say(
        "So what customers buy says more than what they say they like. Similar buyers foretell best, for the most work. Of the \
         pairs, the cosine does not win every column: bestsellers are bought often, so a method that shows them hits about as \
         often. What the cosine brings is taste and variety. Popularity costs least, and is for customers of whom nothing is \
         known.",
    );
    Ok(())
}

/// The lesson's own shop learns its orders.
async fn also_bought(ctx: &LessonContext, shop: &Shop) -> Outcome {
    concurrently(50, shop.data.orders.len(), async |number| {
        let order = &shop.data.orders[number];
        shop.together.count(order.id.as_str(), &shop.skus(&order.products)).await.map_err(failed)
    })
    .await?;
    ctx.step(
        "Customers who bought this also bought that: for each product a Sorted Set of the others, by the orders they share. An \
         order counts once, even if it is sent again. By the count alone, the bestseller goes with everything. Divided by \
         √(orders of one × orders of the other), it goes only with what it belongs to. This is the script, which runs once for \
         each product of an order:",
    ).await?;
    for (_, script) in bought_together::scripts() {
        ctx.listing(script.source());
    }
    let sku = busiest(ctx, shop).await?;
    let key = shop.together.key(&sku).map_err(failed)?;
    let mut counts = redis::cmd("ZREVRANGE");
    counts.arg(key.as_str()).arg(&["0", "4", "WITHSCORES"]);
    let mut counted: Vec<(String, f64)> = counts.query_async(&mut ctx.untraced("TODO")).await?;
    // The product itself is there, too, with the number of its orders.
    counted.retain(|(other, _)| *other != sku);
    let best = shop.together.with(&sku, 4).await.map_err(failed)?;
    let mut table =
        Table::new(format!("What goes with {sku}"), &["by count", "orders", "by cosine", "0 to 1"]);
    for ((other, count), best) in counted.iter().zip(&best) {
        table = table.row([other.clone(), count.to_string(), best.sku.clone(), format!("{:.2}", best.score)]);
    }
    ctx.table(table);
    let order = &shop.data.orders[0];
    let again = shop.together.count(order.id.as_str(), &shop.skus(&order.products)).await.map_err(failed)?;
    ctx.check("an order that is sent again counts for none of its products", again == 0)
}

/// The product with the most neighbors.
async fn busiest(ctx: &LessonContext, shop: &Shop) -> Result<String, LessonError> {
    let mut busiest = (0_u64, shop.sku(0).to_owned());
    for product in &shop.data.products {
        let key = shop.together.key(product.sku.as_str()).map_err(failed)?;
        let size: u64 = redis::cmd("ZCARD").arg(key.as_str()).query_async(&mut ctx.untraced("TODO")).await?;
        busiest = busiest.max((size, product.sku.as_str().to_owned()));
    }
    Ok(busiest.1)
}

async fn near(ctx: &LessonContext, shop: &Shop) -> Outcome {
    ctx.step(
        "A vector set finds neighbors in one command. As a rule, it walks through a graph, which now and then misses one. With \
         TRUTH, as here, it compares all products: that is exact, and slower the more there are. Each product is a point: here \
         64 numbers, the sum of a direction for its category and one for everything that goes with it. The directions come \
         from a hash of the name, so this needs no model. Products that are bought together lie near each other.",
    ).await?;
    if !ctx.can(VECTORS.command).await {
        ctx.skip(VECTORS);
        return Ok(());
    }
    concurrently(50, shop.data.products.len(), async |number| {
        let product = &shop.data.products[number];
        let with = shop.together.with(product.sku.as_str(), 20).await.map_err(failed)?;
        match Embedding::of_product(product.sku.as_str(), product.category.as_str(), &with) {
            Some(embedding) => {
                shop.vectors.put(product.sku.as_str(), embedding.numbers()).await.map_err(failed)
            }
            None => Ok(false),
        }
    })
    .await?;
    let (sku, category) = (shop.sku(5), shop.data.products[5].category.as_str());
    let traced = ProductVectors::new(ctx.redis(), &shop.prefix).with_exact_search();
    let near = traced.like(sku, 3).await.map_err(failed)?;
    let is_same = |found: &str| {
        let product = shop.data.products.iter().find(|other| other.sku.as_str() == found);
        product.is_some_and(|product| product.category.as_str() == category)
    };
    let same = near.iter().filter(|found| is_same(&found.sku)).count();
    ctx.check(format!("of the three nearest to {sku}, {same} are of its category, {category}"), same >= 2)
}
