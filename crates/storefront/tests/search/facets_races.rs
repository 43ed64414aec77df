//! Pages that are asked for while products change are each of one moment, and afterwards nothing is left of what was.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use redis::FromRedisValue;
use storefront::facets::{FacetPage, FacetedProduct, Facets, Order, PageOf, PriceRange, Selection, Stars};
use storefront::{Cents, Keys, Label, Layout};
use tokio::task::JoinSet;

use crate::shop::faults::Breaking;
use crate::shop::moving::Moving;
use crate::shop::{Wire, in_each_layout, own_keys, server, sku};

const BRANDS: [&str; 3] = ["Acme", "Bolt", "Corp"];
const PRODUCTS: u64 = 12;
const WRITERS: u64 = 4;
const READERS: u64 = 4;
const CHANGES: u64 = 60;

fn label(text: &str) -> Label {
    text.parse().unwrap()
}

/// A product in one of three states. In each, brand, category, price, rating and name say the same, so whoever sees a mix
/// of two sees it.
fn in_state(number: u64, state: u64) -> FacetedProduct {
    let which = usize::try_from(state % 3).unwrap();
    FacetedProduct {
        sku: sku(&format!("p{number}")),
        name: format!("{} p{number}", BRANDS[which]).parse().unwrap(),
        brand: label(BRANDS[which]),
        category: label(&format!("of {}", BRANDS[which])),
        price: Cents::new(100 * (1 + i64::try_from(state % 3).unwrap())).unwrap(),
        rating: Stars::all()[which],
        popularity: state % 3,
    }
}

fn whole_price(which: usize) -> PriceRange {
    let price = Cents::new(100 * (1 + i64::try_from(which).unwrap())).unwrap();
    PriceRange { from: price, to: price }
}

/// Selections that must agree with each other on a page of one moment.
fn assert_of_one_moment(page: &FacetPage, ticked: usize) {
    let total: u64 = page.brands.values().sum();
    assert_eq!(total, PRODUCTS, "each product has one brand at every moment: {:?}", page.brands);
    assert_eq!(page.total, page.brands.get(&label(BRANDS[ticked])).copied().unwrap_or(0));
    assert_eq!(page.products.len() as u64, page.total);
    for listed in &page.products {
        let state = in_state(listed.product.sku.as_str()[1..].parse().unwrap(), ticked as u64);
        assert_eq!(listed.product, state);
    }
    // What is narrowed by the brand has one value of every other facet.
    assert!(page.categories.len() <= 1 && page.ratings.len() <= 1, "{page:?}");
    assert_eq!(page.categories.values().sum::<u64>(), page.total);
    assert_eq!(page.prices.iter().map(|band| band.products).sum::<u64>(), page.total);
}

/// Writers change all products again and again while readers look. Gives how many pages were right.
async fn race(facets: &Facets<Wire>) -> u64 {
    for number in 0..PRODUCTS {
        facets.put(&in_state(number, number)).await.unwrap();
    }
    let (over, pages) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let mut readers = JoinSet::new();
    for reader in 0..READERS {
        let (facets, over, pages) = (facets.clone(), Arc::clone(&over), Arc::clone(&pages));
        readers.spawn(async move {
            let orders = Order::ALL.iter().cycle();
            for (number, order) in (reader..).zip(orders) {
                if over.load(Ordering::Relaxed) {
                    break;
                }
                let ticked = usize::try_from(number % 3).unwrap();
                let mut selection =
                    Selection { brands: [label(BRANDS[ticked])].into(), ..Selection::default() };
                let page = facets.page(&selection, *order, PageOf::first(100)).await.unwrap();
                assert_of_one_moment(&page, ticked);
                // A brand and the price that goes with it are the same products, at every moment.
                selection.prices = vec![whole_price(ticked)];
                let both = facets.page(&selection, *order, PageOf::first(100)).await.unwrap();
                let of_brand: u64 = both.brands.values().sum();
                assert_eq!((both.total, both.brands.len() <= 1), (of_brand, true), "{both:?}");
                pages.fetch_add(2, Ordering::Relaxed);
            }
        });
    }
    let mut writers = JoinSet::new();
    for writer in 0..WRITERS {
        let facets = facets.clone();
        writers.spawn(async move {
            for change in 0..CHANGES {
                facets.put(&in_state((writer + change) % PRODUCTS, writer * 7 + change)).await.unwrap();
            }
        });
    }
    writers.join_all().await;
    over.store(true, Ordering::Relaxed);
    readers.join_all().await;
    pages.load(Ordering::Relaxed)
}

/// Every Set holds what the records say, and nothing else.
async fn assert_no_ghosts(wire: &Wire, keys: &Keys, facets: &Facets<Wire>) {
    let mut of_brands: Vec<BTreeSet<String>> = vec![BTreeSet::new(); BRANDS.len()];
    for number in 0..PRODUCTS {
        let listed = facets.get(&sku(&format!("p{number}"))).await.unwrap();
        if let Some(listed) = listed {
            let which = BRANDS.iter().position(|brand| label(brand) == listed.product.brand).unwrap();
            assert_eq!(listed.product, in_state(number, which as u64));
            of_brands[which].insert(listed.product.sku.to_string());
        }
    }
    let members = async |key: &str| -> BTreeSet<String> {
        FromRedisValue::from_redis_value(wire.send(&["SMEMBERS", key]).await).unwrap()
    };
    let count = async |words: &[&str]| u64::from_redis_value(wire.send(words).await).unwrap();
    for (brand, wanted) in BRANDS.iter().zip(&of_brands) {
        assert_eq!(members(&keys.facet_brand(&label(brand))).await, *wanted);
        assert_eq!(members(&keys.facet_category(&label(&format!("of {brand}")))).await, *wanted);
    }
    let all: u64 = of_brands.iter().map(|set| set.len() as u64).sum();
    for index in [keys.facet_price(), keys.facet_rating(), keys.facet_newest(), keys.facet_name()] {
        assert_eq!(count(&["ZCARD", &index]).await, all, "{index}");
    }
    let totals: Vec<u64> =
        FromRedisValue::from_redis_value(wire.send(&["HVALS", &keys.facet_brands()]).await).unwrap();
    assert_eq!(totals.iter().sum::<u64>(), all);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_page_is_that_of_one_moment() {
    in_each_layout(async |wire, keys| {
        let facets = Facets::new(wire.clone(), keys.clone());
        let pages = race(&facets).await;
        assert_no_ghosts(&wire, &keys, &facets).await;
        assert!(pages > 0);
        println!("{:?}: {} changes, {pages} pages, each of one moment", keys.layout(), WRITERS * CHANGES);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_page_is_that_of_one_moment_while_the_slot_moves() {
    let (wire, keys) = (Wire::cluster().await, own_keys(Layout::Cluster));
    let facets = Facets::new(wire.clone(), keys.clone());
    let moving = Moving::slots_of([keys.facet_products()]);
    let pages = race(&facets).await;
    // The last of each Set leaves while the slot moves too.
    for number in 0..PRODUCTS {
        assert!(facets.remove(&sku(&format!("p{number}"))).await.unwrap());
    }
    for number in 0..PRODUCTS {
        facets.put(&in_state(number, 1)).await.unwrap();
    }
    let moves = moving.end();
    assert_no_ghosts(&wire, &keys, &facets).await;
    println!("{} changes, {moves} moves, {pages} pages, each of one moment", WRITERS * CHANGES);
}

#[tokio::test(flavor = "multi_thread")]
async fn racing_puts_and_removals_leave_no_ghost() {
    in_each_layout(async |wire, keys| {
        let facets = Facets::new(wire.clone(), keys.clone());
        let mut writers = JoinSet::new();
        for writer in 0..8_u64 {
            let facets = facets.clone();
            writers.spawn(async move {
                for change in 0..CHANGES {
                    let product = in_state(change % 3, writer + change);
                    if (writer + change) % 4 == 0 {
                        facets.remove(&product.sku).await.unwrap();
                    } else {
                        facets.put(&product).await.unwrap();
                    }
                }
            });
        }
        writers.join_all().await;
        assert_no_ghosts(&wire, &keys, &facets).await;
        println!("{:?}: {} changes of 3 products, no ghost", keys.layout(), 8 * CHANGES);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_tried_again_after_a_lost_answer_counts_once() {
    let breaking = Breaking::in_front_of(server(), 7).await;
    let (wire, keys) = (Wire::standalone().await, own_keys(Layout::Standalone));
    let facets = Facets::new(wire.clone(), keys.clone());
    let unsure = Facets::new(Wire::reconnecting(breaking.url()).await, keys.clone());
    for change in 0..60_u64 {
        let product = in_state(change % PRODUCTS, change / 5);
        // Until there is an answer.
        while unsure.put(&product).await.is_err() {}
        if change % 7 == 0 {
            while unsure.remove(&product.sku).await.is_err() {}
        }
    }
    assert!(breaking.broken() > 5, "{}", breaking.broken());
    assert_no_ghosts(&wire, &keys, &facets).await;
    println!("60 changes, {} answers lost", breaking.broken());
}
