//! The methods put to the test.

use lab_runner::table::{Facts, thousands};
use lab_runner::{LessonError, Need, Outcome, Page};
use storefront::Keys;
use storefront::recommendations::{BoughtTogether, Embedding, ProductVectors, Search};

use super::Shop;
use super::trial::{CUSTOMERS, Method, Quality, SHOWN, Trial, failed};
use crate::at_once::at_once;

/// Since Redis 8.0.
const VECTORS: Need = Need { command: "VSIM", had_by: "--server redis-8.2 (Redis has it since 8.0)" };
const SEED: u64 = 1;

pub(super) async fn foretell(page: &Page, shop: &Shop) -> Outcome {
    also_bought(page, shop).await?;
    let vectors = page.can(VECTORS.command).await;
    let keys = Keys::new(&format!("{}trial:", page.prefix()), shop.keys.layout());
    let mut trial = Trial::prepare(SEED, CUSTOMERS, page.quietly(), keys, vectors).await?;
    page.say(format!(
        "Which way of recommending is good? In our shop most of what a customer buys is of one category, and we know which. \
         The shop learns three weeks of orders, recommends {SHOWN} products to {CUSTOMERS} customers, and then we look at what \
         they bought in the fourth week. Popularity shows the bestsellers to everybody. The others begin with what he \
         bought: what shares orders with it (counted, and by cosine), or what similar people bought, similar by the \
         Jaccard index of purchases or of interests.",
    ));
    let mut facts = Facts::new(
        "Foretelling the fourth week",
        &["recommended by", "precision@10", "to his taste", "different", "µs", "trips"],
    );
    let mut qualities = Vec::new();
    for method in trial.methods() {
        let quality = trial.ask(method).await?;
        facts = facts.row([
            method.label().to_owned(),
            format!("{:.1} %", quality.precision * 100.0),
            format!("{:.0} %", quality.to_taste * 100.0),
            quality.different.to_string(),
            thousands(quality.micros),
            quality.round_trips.to_string(),
        ]);
        qualities.push((method, quality));
    }
    trial.clean_up().await?;
    page.facts(facts);
    if page.target().is_cluster() {
        page.say("On a cluster most of these round trips are under way at once; a pipeline over all nodes counts as one.");
    }
    page.say(format!(
        "Learning an order cost {} µs here, with 50 at a time: its pairs, its buyer and its products. A customer has bought \
         only a few of hundreds of products by then, so one in ten is a good guess.",
        thousands(trial.micros_per_order),
    ));
    judge(page, &qualities)?;
    near(page, shop).await
}

/// What the table says, each claim checked.
fn judge(page: &Page, qualities: &[(Method, Quality)]) -> Outcome {
    let of = |wanted: Method| {
        let found = qualities.iter().find(|(method, _)| *method == wanted).map(|(_, quality)| *quality);
        found.ok_or_else(|| LessonError::Check(format!("{} was asked", wanted.label())))
    };
    let (popular, counted) = (of(Method::Popular)?, of(Method::MostShared)?);
    let (cosine, buyers) = (of(Method::BoughtTogether)?, of(Method::LikeBuyers)?);
    let interests = of(Method::LikeMinded)?;
    page.check(
        "what goes with his purchases foretells at least twice as much as popularity",
        cosine.precision >= 2.0 * popular.precision,
    )?;
    page.check(
        "what similar buyers bought foretells most",
        qualities.iter().all(|(_, other)| buyers.precision >= other.precision),
    )?;
    page.check(
        "similar interests foretell more than popularity, and less than pairs and similar buyers",
        interests.precision > popular.precision
            && [counted, cosine, buyers].iter().all(|other| other.precision > interests.precision),
    )?;
    page.check(
        "by cosine the pairs are more to his taste, and show more different products, than by count",
        cosine.to_taste > counted.to_taste && cosine.different > counted.different,
    )?;
    page.say(
        "So what he bought says more than what he says he likes. Similar buyers foretell best, for the most work. Of the pairs, \
         the cosine does not win every column: bestsellers are bought often, so a method that shows them hits about as often, \
         or oftener. What the cosine brings is taste and variety. Popularity costs least, and is for those of whom nothing is \
         known.",
    );
    Ok(())
}

/// The lesson's own shop learns its orders.
async fn also_bought(page: &Page, shop: &Shop) -> Outcome {
    let together = BoughtTogether::new(page.quietly(), shop.keys.clone());
    at_once(50, shop.data.orders.len(), async |number| {
        let order = &shop.data.orders[number];
        let skus: Vec<_> = order.products.iter().map(|index| shop.product(*index).clone()).collect();
        together.count(&order.id, &skus).await.map_err(failed)
    })
    .await?;
    page.say(
        "Who bought this also bought that: for each product a Sorted Set of the others, by the orders they share. An order \
         counts once, also when it is sent again. Counted alone, the bestseller goes with everything; divided by √(orders of \
         one × orders of the other), it does only where it belongs.",
    );
    let sku = busiest(page, shop).await?;
    let mut counts = redis::cmd("ZREVRANGE");
    counts.arg(shop.keys.also_bought(&sku)).arg(&["0", "3", "WITHSCORES"]);
    let counted: Vec<(String, f64)> = counts.query_async(&mut page.quietly()).await?;
    let best = together.with(&sku, 4).await.map_err(failed)?;
    let mut facts =
        Facts::new(format!("What goes with {sku}"), &["by count", "orders", "by cosine", "0 to 1"]);
    for ((other, count), best) in counted.iter().zip(&best) {
        let cells = [other.clone(), count.to_string(), best.sku.to_string(), format!("{:.2}", best.score)];
        facts = facts.row(cells);
    }
    page.facts(facts);
    let order = &shop.data.orders[0];
    let skus: Vec<_> = order.products.iter().map(|index| shop.product(*index).clone()).collect();
    let again = together.count(&order.id, &skus).await.map_err(failed)?;
    page.check("an order that is sent again counts for none of its products", again == 0)
}

/// The product with the most neighbours.
async fn busiest(page: &Page, shop: &Shop) -> Result<storefront::Sku, lab_runner::LessonError> {
    let mut busiest = (0_u64, shop.product(0).clone());
    for product in &shop.data.products {
        let key = shop.keys.also_bought(&product.sku);
        let size: u64 = redis::cmd("ZCARD").arg(key).query_async(&mut page.quietly()).await?;
        busiest = busiest.max((size, product.sku.clone()));
    }
    Ok(busiest.1)
}

async fn near(page: &Page, shop: &Shop) -> Outcome {
    page.say(
        "A vector set finds neighbours in one command: as a rule by a graph, which now and then misses one; with TRUTH, as here, \
         it compares all products, which is exact, and the slower the more there are. Each product is a point: here 64 numbers, the sum of a direction for its \
         category and one for everything that goes with it; the directions come from a hash of the name, so no model is \
         needed. Products that share company lie near each other.",
    );
    if !page.can(VECTORS.command).await {
        page.skip(VECTORS);
        return Ok(());
    }
    let together = BoughtTogether::new(page.quietly(), shop.keys.clone());
    let vectors = ProductVectors::new(page.quietly(), shop.keys.clone(), Search::Exact);
    at_once(50, shop.data.products.len(), async |number| {
        let product = &shop.data.products[number];
        let with = together.with(&product.sku, 20).await.map_err(failed)?;
        match Embedding::of_product(&product.sku, &product.category, &with) {
            Some(embedding) => vectors.put(&product.sku, &embedding).await.map_err(failed),
            None => Ok(false),
        }
    })
    .await?;
    let product = &shop.data.products[5];
    let traced = ProductVectors::new(page.redis(), shop.keys.clone(), Search::Exact);
    let near = traced.like(&product.sku, 3).await.map_err(failed)?;
    let category =
        |sku| shop.data.products.iter().find(|other| other.sku == sku).map(|other| &other.category);
    let same = near.iter().filter(|found| category(found.sku.clone()) == Some(&product.category)).count();
    page.check(
        format!("of the three nearest to {}, {same} are of its category, {}", product.sku, product.category),
        same >= 2,
    )
}
