//! Filtering by what is ticked: Sets, then a whole page of the shop, then products that change.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use lab_runner::table::Facts;
use lab_runner::{Outcome, Page};
use redis::{AsyncTypedCommands, ErrorKind, ServerErrorKind};
use storefront::facets::{FacetPage, FacetedProduct, Order, PageOf, PriceRange, Selection};
use storefront::{Cents, Label};

use super::facets_failed;
use super::filter_by::{Answer, filtered};
use super::shop::Shop;

/// How many products are on a page.
const ON_A_PAGE: u32 = 3;

pub(super) async fn sets(page: &Page, shop: &Shop) -> Outcome {
    let mut redis = page.redis();
    let bolt = &shop.products[shop.products.len() - 3];
    let (of_brand, of_category) =
        (shop.keys.facet_brand(&bolt.brand), shop.keys.facet_category(&bolt.category));

    page.say(
        "Now the shelf: customers tick brands, categories, prices, ratings. A Set for each brand and each category and a Sorted \
         Set of prices answer such questions without looking at the rest:",
    );
    let both = redis.sinter(&[&of_brand, &of_category]).await?;
    let up_to_20: u64 =
        redis::cmd("ZCOUNT").arg(shop.keys.facet_price()).arg(0).arg(2_000).query_async(&mut redis).await?;
    let counted = shop.products.iter().filter(|product| product.price.get() <= 2_000).count() as u64;
    page.check("two things for the kitchen by Bolt & Co.; what costs up to 20.00 is counted", {
        both.len() == 2 && up_to_20 == counted
    })
}

/// What is ticked on the page of the lesson.
pub(super) fn ticked(shop: &Shop) -> Selection {
    let kitchen: Vec<&FacetedProduct> =
        shop.products.iter().filter(|product| product.category.as_str() == "Kitchen").collect();
    let price = |cents| Cents::new(cents).unwrap_or(Cents::ZERO);
    Selection {
        brands: kitchen.iter().rev().map(|product| product.brand.clone()).take(4).collect(),
        categories: kitchen.iter().map(|product| product.category.clone()).take(1).collect(),
        prices: vec![PriceRange { from: price(2_500), to: price(49_999) }],
        ratings: BTreeSet::new(),
    }
}

pub(super) async fn shop_page(page: &Page, shop: &Shop) -> Outcome {
    let facets = shop.facets(&page.quietly());
    let selection = ticked(shop);
    let first = PageOf::first(ON_A_PAGE);

    page.say(
        "A page of the shop needs more: the values of one facet widen (this brand or that), the facets narrow (and from 25 to \
         499.99); beside each value stands how many products ticking it would leave, and for that a facet leaves out what is \
         ticked in itself: who has ticked one brand wants to see what the others would bring. One script reads the ticked \
         Sets and ranges, marks their products and counts; it writes nothing. One EVALSHA, one round trip, and all of it is of \
         one moment. A part of what it answers:",
    );
    let found = facets.page(&selection, Order::PriceAscending, first).await.map_err(facets_failed)?;
    page.facts(counts(&found, &selection));
    let right = filtered(&shop.documents(), &selection, Order::PriceAscending, first);
    page.check("total and counts are those of going through the whole catalogue", {
        Answer::of(&found) == right
    })?;

    page.say(format!(
        "{} products are left, {ON_A_PAGE} on a page. Whatever the order is, equals stand by SKU: so no page repeats a product of \
         another, and none falls between two.",
        found.total,
    ));
    let mut table = Facts::new("Two pages, the cheapest first", &["page", "product", "price", "stars"]);
    let second = facets.page(&selection, Order::PriceAscending, first.next()).await.map_err(facets_failed)?;
    for (number, listed) in [(1, &found), (2, &second)] {
        for listed in &listed.products {
            let FacetedProduct { name, price, rating, .. } = &listed.product;
            table = table.row([number.to_string(), name.to_string(), price.to_string(), rating.to_string()]);
        }
    }
    page.facts(table);
    let right = filtered(&shop.documents(), &selection, Order::PriceAscending, first.next());
    page.check("the second page goes on where the first ended", Answer::of(&second) == right)
}

fn counts(found: &FacetPage, selection: &Selection) -> Facts {
    let mut facts = Facts::new("The shelf", &["facet", "value", "products", "ticked"]);
    let mut row = |facet: &str, value: String, count: u64, ticked: bool| {
        let ticked = if ticked { "x" } else { "" };
        facts = std::mem::take(&mut facts).row([facet, &value, &count.to_string(), ticked]);
    };
    for (facet, counts, ticked) in
        [("category", &found.categories, &selection.categories), ("brand", &found.brands, &selection.brands)]
    {
        // The ticked ones, and the largest of the others.
        let mut values: Vec<(&Label, u64)> = counts.iter().map(|(label, count)| (label, *count)).collect();
        values.sort_by_key(|(label, count)| (!ticked.contains(label), Reverse(*count)));
        for (label, count) in values.into_iter().take(ticked.len() + 2) {
            row(facet, label.to_string(), count, ticked.contains(label));
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
    facts
}

pub(super) async fn ghosts(page: &Page, shop: &Shop) -> Outcome {
    let mut redis = page.redis();
    let facets = shop.facets(&page.quietly());
    let moved = &shop.products[shop.products.len() - 2];
    let to = FacetedProduct { brand: shop.products[shop.products.len() - 1].brand.clone(), ..moved.clone() };
    let [former, new] = [&moved.brand, &to.brand].map(|brand| shop.names.naive_brand(brand.as_str()));

    page.say(
        "Break it: a product is sold to another brand, and is only added there. Then it is in both, and whoever ticks the old \
         brand finds it. SREM is easily forgotten, and between SADD and SREM everybody sees it twice.",
    );
    redis.sadd(&former, moved.sku.as_str()).await?;
    redis.sadd(&new, moved.sku.as_str()).await?;
    let ghost = redis.sinter(&[&former, &new]).await;
    if page.target().is_cluster() {
        page.check("on a cluster Sets without a common hash tag cannot even be intersected", {
            // The names are fixed and in two slots. Of all prefixes one in 16,384 would bring them together.
            ghost.is_err_and(|error| error.kind() == ErrorKind::Server(ServerErrorKind::CrossSlot))
        })?;
    } else {
        page.check("one product of two brands: a ghost", ghost?.len() == 1)?;
    }
    redis.srem(&former, moved.sku.as_str()).await?;

    page.say(
        "Fix it: the record of each product lies in a Hash of the same slot; the script of a change reads there what the product \
         is to leave, and does all of it in one step.",
    );
    facets.put(&to).await.map_err(facets_failed)?;
    let (old_set, new_set) = (shop.keys.facet_brand(&moved.brand), shop.keys.facet_brand(&to.brand));
    let both = redis.sinter(&[&old_set, &new_set]).await?;
    let there = page.quietly().sismember(&new_set, to.sku.as_str()).await?;
    page.check("it is in the new Set, and no product is in both", both.is_empty() && there)?;
    facets.put(moved).await.map_err(facets_failed)?;
    Ok(())
}
