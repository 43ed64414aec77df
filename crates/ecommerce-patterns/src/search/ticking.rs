//! Filtering by what is selected: Sets, then bits, then a whole page of the shop, then products that change.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use lab_runner::table::Table;
use lab_runner::{LessonContext, Outcome};
use patterns::facets::{FacetPage, Order, PageOf, PriceRange, Product, Selection};
use patterns::money::Cents;
use redis::{AsyncTypedCommands, ErrorKind, ServerErrorKind};

use super::answer::Answer;
use super::filter_by::filtered;
use super::shop::{Document, Shop};
use super::{facets_failed, failed};

/// How many products are on a page.
const ON_A_PAGE: u32 = 3;

pub(super) async fn sets(ctx: &LessonContext, shop: &Shop) -> Outcome {
    let mut redis = ctx.redis();
    let bolt = &shop.products[shop.products.len() - 3];
    let (of_brand, of_category) = (shop.names.brand(&bolt.brand), shop.names.category(&bolt.category));

    ctx.step(
        "Now the shelf: customers select brands, categories, prices, and ratings. We put each product into a Set for its brand, one \
         for its category, and a Sorted Set of prices. They answer such questions without looking at the rest:",
    ).await?;
    shop.write_sets(&mut ctx.untraced("TODO")).await?;
    let both = redis.sinter(&[&of_brand, &of_category]).await?;
    let up_to_20: u64 =
        redis::cmd("ZCOUNT").arg(shop.names.prices()).arg(0).arg(2_000).query_async(&mut redis).await?;
    let counted = shop.products.iter().filter(|product| product.price.get() <= 2_000).count() as u64;
    ctx.check("two things for the kitchen by Bolt & Co.; what costs up to 20.00 is counted", {
        both.len() == 2 && up_to_20 == counted
    })
}

/// Three table about ten products.
pub(super) async fn bits(ctx: &LessonContext, shop: &Shop) -> Outcome {
    let mut redis = ctx.redis();
    let [acme, kitchen, both] = ["Acme", "Kitchen", "both"].map(|fact| shop.names.bits(fact));

    ctx.step(
        "But SINTER looks at one product after the other, and a page with its counts needs dozens of such answers. A bit is enough: \
         give each product a number, and each value a String with a bit for each product. BITOP combines thousands of \
         products in a microsecond, and BITCOUNT counts them:",
    ).await?;
    for (key, numbers) in [(&acme, [1, 4, 7]), (&kitchen, [2, 4, 7])] {
        for number in numbers {
            redis.setbit(key, number, true).await?;
        }
    }
    redis.bit_and(&both, &[&acme, &kitchen]).await?;
    ctx.check("two products of Acme are for the kitchen", redis.bitcount(&both).await? == 2)
}

/// What is ticked on the page of the lesson.
pub(super) fn ticked(shop: &Shop) -> Selection {
    let kitchen: Vec<&Product> =
        shop.products.iter().filter(|product| product.category == "Kitchen").collect();
    let price = |cents| Cents::new(cents).unwrap_or(Cents::ZERO);
    Selection {
        brands: kitchen.iter().rev().map(|product| product.brand.clone()).take(4).collect(),
        categories: kitchen.iter().map(|product| product.category.clone()).take(1).collect(),
        prices: vec![PriceRange { from: price(2_500), to: price(49_999) }],
        ratings: BTreeSet::new(),
    }
}

pub(super) async fn shop_page(ctx: &LessonContext, shop: &Shop) -> Outcome {
    let facets = shop.facets(&ctx.untraced("TODO"));
    let selection = ticked(shop);
    let first = PageOf::first(ON_A_PAGE);

    ctx.step(
        "The pattern keeps a table of such rows: one for each brand, category, and number of stars, and one for each binary digit of \
         price, popularity, and name. The values of one facet widen (this brand or that one): OR. Facets narrow (and from 25 to \
         499.99): AND. Beside each value is the number of products that it would leave. The counts of a facet ignore what is \
         selected in it, because with one brand selected you want to see what the others would add. The rows of digits also sort: \
         of the products that are left, those with a 1 in the highest digit come first, and so on. One EVALSHA, one round trip, \
         and all of it is of one moment. Part of the answer:",
    ).await?;
    let found = facets.page(&selection, Order::PriceAscending, first).await.map_err(facets_failed)?;
    ctx.table(counts(&found, &selection));
    let right = filtered(&shop.documents(), &selection, Order::PriceAscending, first);
    let documents = shop.documents();
    let is_right = |page: &FacetPage, right: Answer| {
        by_price(Answer::of(page), &documents) == by_price(right, &documents)
    };
    ctx.check("total and counts are those of going through the whole catalog", is_right(&found, right))?;

    ctx.step(format!(
        "{} products are left, {ON_A_PAGE} on a page. Products that are equal in the order, here in the price, have a fixed order of \
         their own. So no page repeats a product of another, and none is missing between two.",
        found.total,
    )).await?;
    let mut table = Table::new("Two pages, the cheapest first", &["page", "product", "price", "stars"]);
    let second = facets.page(&selection, Order::PriceAscending, first.next()).await.map_err(facets_failed)?;
    for (number, listed) in [(1, &found), (2, &second)] {
        for Product { name, price, rating, .. } in &listed.products {
            table = table.row([number.to_string(), name.clone(), price.to_string(), rating.to_string()]);
        }
    }
    ctx.table(table);
    let right = filtered(&shop.documents(), &selection, Order::PriceAscending, first.next());
    let ids =
        |page: &FacetPage| page.products.iter().map(|product| product.id.clone()).collect::<BTreeSet<_>>();
    ctx.check("the second page goes on where the first ended, and repeats nothing", {
        is_right(&second, right) && ids(&found).is_disjoint(&ids(&second))
    })
}

/// An answer with the prices of its page in place of the SKUs.
fn by_price(mut answer: Answer, documents: &[Document]) -> Answer {
    let prices: BTreeMap<&str, i64> = documents.iter().map(|it| (it.sku.as_str(), it.cents)).collect();
    answer.skus = answer.skus.iter().map(|sku| format!("{:?}", prices.get(sku.as_str()))).collect();
    answer
}

fn counts(found: &FacetPage, selection: &Selection) -> Table {
    let mut table = Table::new("The shelf", &["facet", "value", "products", "ticked"]);
    let mut row = |facet: &str, value: String, count: u64, ticked: bool| {
        let ticked = if ticked { "x" } else { "" };
        table = std::mem::take(&mut table).row([facet, &value, &count.to_string(), ticked]);
    };
    for (facet, counts, ticked) in
        [("category", &found.categories, &selection.categories), ("brand", &found.brands, &selection.brands)]
    {
        // The ticked ones, and the largest of the others.
        let mut values: Vec<(&String, u64)> = counts.iter().map(|(label, count)| (label, *count)).collect();
        values.sort_by_key(|(label, count)| (!ticked.contains(*label), Reverse(*count)));
        for (label, count) in values.into_iter().take(ticked.len() + 2) {
            row(facet, label.clone(), count, ticked.contains(label));
        }
    }
    for band in &found.prices {
        let ticked = selection
            .prices
            .iter()
            .any(|range| band.below.is_some_and(|below| band.from <= range.to && range.from < below));
        let value = band
            .below
            .map_or_else(|| format!("from {}", band.from), |below| format!("{} to below {below}", band.from));
        row("price", value, band.products, ticked);
    }
    for (stars, count) in &found.ratings {
        row("stars", stars.to_string(), *count, false);
    }
    table
}

pub(super) async fn ghosts(ctx: &LessonContext, shop: &Shop) -> Outcome {
    let mut redis = ctx.redis();
    let facets = shop.facets(&ctx.untraced("TODO"));
    let moved = &shop.products[shop.products.len() - 2];
    let to = Product { brand: shop.products[shop.products.len() - 1].brand.clone(), ..moved.clone() };
    let [former, new] = [&moved.brand, &to.brand].map(|brand| shop.names.naive_brand(brand));

    ctx.step(
        "Break it: a product gets another brand, and is only added there. Then it is in both Sets, and customers who select the old \
         brand find it. SREM is easily forgotten, and between SADD and SREM, everybody sees the product twice.",
    ).await?;
    redis.sadd(&former, &moved.id).await?;
    redis.sadd(&new, &moved.id).await?;
    let ghost = redis.sinter(&[&former, &new]).await;
    if ctx.target().is_cluster() {
        ctx.check("on a cluster Sets without a common hash tag cannot even be intersected", {
            // The names are fixed and in two slots. Of all prefixes one in 16,384 would bring them together.
            ghost.is_err_and(|error| error.kind() == ErrorKind::Server(ServerErrorKind::CrossSlot))
        })?;
    } else {
        ctx.check("one product of two brands: a ghost", ghost?.len() == 1)?;
    }
    redis.srem(&former, &moved.id).await?;

    ctx.step(
        "Fix it: the record of each product names its bits, so the script of a change clears what the product leaves and sets what \
         it enters, in one step. The number of products of each brand follows:",
    ).await?;
    let brands = facets.keys().map_err(failed)?[2].clone();
    let mut count = redis::cmd("ZMSCORE");
    count.arg(brands).arg(&moved.brand).arg(&to.brand);
    let before: Vec<Option<f64>> = count.query_async(&mut redis).await?;
    facets.put(&to).await.map_err(facets_failed)?;
    let after: Vec<Option<f64>> = count.query_async(&mut redis).await?;
    ctx.check("one product less here, and one more there", {
        before == [Some(2.0), Some(1.0)] && after == [Some(1.0), Some(2.0)]
    })?;
    let all = PageOf::first(ON_A_PAGE);
    let mut found = Vec::new();
    for brand in [&moved.brand, &to.brand] {
        let of_brand = Selection { brands: [brand.clone()].into(), ..Selection::default() };
        let shown = facets.page(&of_brand, Order::Popularity, all).await.map_err(facets_failed)?;
        found.push(shown.products.iter().any(|product| product.id == moved.id));
    }
    ctx.check("the product is found under its new brand, and under no other", found == [false, true])?;
    facets.put(moved).await.map_err(facets_failed)?;
    Ok(())
}
