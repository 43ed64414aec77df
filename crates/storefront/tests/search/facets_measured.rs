//! How long the server is kept busy by one page: nothing to pass or fail, so it runs only when asked for.
//! `cargo test -p storefront --test search -- facets_measured --ignored --nocapture`

use std::collections::BTreeSet;

use redis::FromRedisValue;
use storefront::autocomplete::{Autocomplete, Index};
use storefront::facets::{FacetedProduct, Facets, Order, PageOf, PriceRange, Selection, Stars};
use storefront::{Cents, Label, Layout};

use crate::shop::{Wire, own_keys, sku};

fn label(text: &str) -> Label {
    text.parse().unwrap()
}

fn labels(what: &str, numbers: std::ops::Range<u32>) -> BTreeSet<Label> {
    numbers.map(|number| label(&format!("{what}{number}"))).collect()
}

/// Microseconds of processor time that the server spends on one call. What else the machine does is not in it.
async fn server_time(wire: &Wire, work: impl AsyncFn()) -> f64 {
    const CALLS: u32 = 20;
    let spent = async || {
        let info = String::from_redis_value(wire.send(&["INFO", "cpu"]).await).unwrap();
        let field = |name: &str| {
            let line = info.lines().find_map(|line| line.strip_prefix(name)).unwrap();
            line.parse::<f64>().unwrap()
        };
        field("used_cpu_user:") + field("used_cpu_sys:")
    };
    let before = spent().await;
    for _ in 0..CALLS {
        work().await;
    }
    (spent().await - before) * 1e6 / f64::from(CALLS)
}

#[tokio::test]
#[ignore = "prints figures and asserts nothing"]
async fn measure() {
    let wire = Wire::standalone().await;
    for size in [2_000_u32, 20_000] {
        let keys = own_keys(Layout::Standalone);
        let facets = Facets::new(wire.clone(), keys.clone());
        for number in 0..size {
            let product = FacetedProduct {
                sku: sku(&format!("PROD{number}")),
                name: format!("Thing number {number}").parse().unwrap(),
                brand: label(&format!("Brand{}", number % 24)),
                category: label(&format!("Category{}", number / 3 % 8)),
                price: Cents::new(i64::from(number.wrapping_mul(2_654_435_761) % 100_000)).unwrap(),
                rating: Stars::all()[(number / 7 % 5) as usize],
                popularity: u64::from(number.wrapping_mul(40_503) % 10_007),
            };
            facets.put(&product).await.unwrap();
        }
        let up_to = |cents: i64| vec![PriceRange { from: Cents::ZERO, to: Cents::new(cents).unwrap() }];
        let good: BTreeSet<Stars> = Stars::all()[2..].iter().copied().collect();
        let nothing = Selection::default();
        for (what, selection) in [
            ("nothing ticked", nothing.clone()),
            ("one category of 8", Selection { categories: labels("Category", 0..1), ..nothing.clone() }),
            (
                "a category and 2 brands of 24",
                Selection {
                    categories: labels("Category", 0..1),
                    brands: labels("Brand", 0..2),
                    ..nothing.clone()
                },
            ),
            ("3 stars and more", Selection { ratings: good.clone(), ..nothing.clone() }),
            (
                "3 stars and more, half the prices",
                Selection { ratings: good.clone(), prices: up_to(50_000), ..nothing.clone() },
            ),
            (
                "half of everything in all four",
                Selection {
                    brands: labels("Brand", 0..12),
                    categories: labels("Category", 0..4),
                    prices: up_to(50_000),
                    ratings: good.clone(),
                },
            ),
            (
                "everything in all four",
                Selection {
                    brands: labels("Brand", 0..24),
                    categories: labels("Category", 0..8),
                    prices: up_to(100_000_000),
                    ratings: Stars::all().into(),
                },
            ),
        ] {
            let total = facets.page(&selection, Order::Popularity, PageOf::first(20)).await.unwrap().total;
            let page = async || {
                facets.page(&selection, Order::Popularity, PageOf::first(20)).await.unwrap();
            };
            println!("{size} products, {what}: {total} left, {:.0} us", server_time(&wire, page).await);
        }
    }
    for size in [2_000_u32, 20_000] {
        for index in [Index::Lexicographic, Index::Weighted] {
            let keys = own_keys(Layout::Standalone);
            let autocomplete = Autocomplete::new(wire.clone(), keys.clone(), index);
            for number in 0..size {
                let name = format!("Brand{} number {number} thing", number % 24);
                let popularity = u64::from(number.wrapping_mul(40_503) % 10_007);
                autocomplete
                    .put(&sku(&format!("PROD{number}")), &name.parse().unwrap(), popularity)
                    .await
                    .unwrap();
            }
            for prefix in ["b", "brand7", "number 77"] {
                let ask = async || {
                    autocomplete.suggest(prefix, 10).await.unwrap();
                };
                println!("{size} products, {index:?}, {prefix:?}: {:.0} us", server_time(&wire, ask).await);
            }
            let put = async || {
                autocomplete
                    .put(&sku("PROD77"), &"Brand7 number 77 thing".parse().unwrap(), 5)
                    .await
                    .unwrap();
            };
            println!("{size} products, {index:?}, put: {:.0} us", server_time(&wire, put).await);
        }
    }
}
