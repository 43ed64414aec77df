//! A page of facets is what going through the whole catalogue would give, whatever is ticked and however it is sorted.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use redis::FromRedisValue;
use storefront::facets::{
    FacetPage, FacetedProduct, Facets, FacetsError, Listed, MOST_ON_A_PAGE, Order, PageOf, PriceBand,
    PriceRange, Selection, Stars,
};
use storefront::{Cents, Keys, Label, Put, Sku, StoreError};

use crate::shop::{Wire, cases, in_each_layout, sku};

const BOUNDS: [i64; 2] = [300, 600];

/// What the catalogue should hold, with the moment of adding that it told.
type Model = BTreeMap<Sku, Listed>;

fn cents(cents: i64) -> Cents {
    Cents::new(cents).unwrap()
}

fn label(text: &str) -> Label {
    text.parse().unwrap()
}

fn of_shop(wire: &Wire, keys: &Keys) -> Facets<Wire> {
    Facets::new(wire.clone(), keys.clone()).with_price_bands(BOUNDS.map(cents).to_vec())
}

fn product(code: &str, brand: &str, price: i64) -> FacetedProduct {
    FacetedProduct {
        sku: sku(code),
        name: format!("{brand} | {code}").parse().unwrap(),
        brand: label(brand),
        category: label("Kitchen"),
        price: cents(price),
        rating: Stars::new(3).unwrap(),
        popularity: 1,
    }
}

/// Goes through the whole catalogue.
fn expected(model: &Model, selection: &Selection, order: Order, page: PageOf) -> FacetPage {
    // Whether a product passes brand, category, price and rating.
    let passes = |product: &FacetedProduct| {
        let in_range = |range: &PriceRange| range.from <= product.price && product.price <= range.to;
        [
            selection.brands.is_empty() || selection.brands.contains(&product.brand),
            selection.categories.is_empty() || selection.categories.contains(&product.category),
            selection.prices.is_empty() || selection.prices.iter().any(in_range),
            selection.ratings.is_empty() || selection.ratings.contains(&product.rating),
        ]
    };
    let all_but = |facet: usize| {
        model.values().map(|listed| &listed.product).filter(move |product| {
            passes(product).into_iter().enumerate().all(|(number, passes)| passes || number == facet)
        })
    };
    let mut left: Vec<&Listed> =
        model.values().filter(|listed| passes(&listed.product) == [true; 4]).collect();
    let ascending = |a: &Listed, b: &Listed| {
        let (p, q) = (&a.product, &b.product);
        let by = match order {
            Order::Popularity => p.popularity.cmp(&q.popularity),
            Order::PriceAscending | Order::PriceDescending => p.price.cmp(&q.price),
            Order::Rating => p.rating.cmp(&q.rating),
            Order::Newest => a.added_us.cmp(&b.added_us),
            Order::Name => p.name.cmp(&q.name),
        };
        by.then_with(|| p.sku.cmp(&q.sku))
    };
    left.sort_by(|a, b| ascending(a, b));
    if !matches!(order, Order::PriceAscending | Order::Name) {
        left.reverse();
    }
    let mut page_of_prices: Vec<PriceBand> = Vec::new();
    let edges = [0, BOUNDS[0], BOUNDS[1], i64::MAX];
    for edge in edges.windows(2) {
        let band = |price: Cents| edge[0] <= price.get() && price.get() < edge[1];
        page_of_prices.push(PriceBand {
            from: cents(edge[0]),
            below: (edge[1] != i64::MAX).then(|| cents(edge[1])),
            products: all_but(2).filter(|product| band(product.price)).count() as u64,
        });
    }
    FacetPage {
        total: left.len() as u64,
        products: left
            .into_iter()
            .skip(page.offset as usize)
            .take(page.limit.min(MOST_ON_A_PAGE) as usize)
            .cloned()
            .collect(),
        brands: counted(all_but(0).map(|product| product.brand.clone())),
        categories: counted(all_but(1).map(|product| product.category.clone())),
        prices: page_of_prices,
        ratings: counted(all_but(3).map(|product| product.rating)),
    }
}

fn counted<T: Ord>(values: impl Iterator<Item = T>) -> BTreeMap<T, u64> {
    let mut counts = BTreeMap::new();
    for value in values {
        *counts.entry(value).or_insert(0) += 1;
    }
    counts
}

/// Every key of the index holds what follows from the model, and nothing else.
async fn assert_no_ghosts(wire: &Wire, keys: &Keys, model: &Model, brands: &[&str], categories: &[&str]) {
    let read = async |words: &[&str]| -> BTreeSet<String> {
        FromRedisValue::from_redis_value(wire.send(words).await).unwrap()
    };
    let of = |belongs: &dyn Fn(&FacetedProduct) -> bool| -> BTreeSet<String> {
        model.values().filter(|it| belongs(&it.product)).map(|it| it.product.sku.to_string()).collect()
    };
    for brand in brands.iter().map(|brand| label(brand)) {
        assert_eq!(read(&["SMEMBERS", &keys.facet_brand(&brand)]).await, of(&|it| it.brand == brand));
    }
    for category in categories.iter().map(|category| label(category)) {
        let stored = read(&["SMEMBERS", &keys.facet_category(&category)]).await;
        assert_eq!(stored, of(&|it| it.category == category));
    }
    for index in [keys.facet_price(), keys.facet_rating(), keys.facet_popularity(), keys.facet_newest()] {
        assert_eq!(read(&["ZRANGE", &index, "0", "-1"]).await, of(&|_| true), "{index}");
    }
    let names: BTreeSet<String> =
        model.values().map(|it| format!("{}\n{}", it.product.name, it.product.sku)).collect();
    assert_eq!(read(&["ZRANGE", &keys.facet_name(), "0", "-1"]).await, names);
    assert_eq!(read(&["HKEYS", &keys.facet_products()]).await, of(&|_| true));
}

const BRANDS: [&str; 4] = ["Acme", "Bolt & Co.", "C-3", "D'or"];
const CATEGORIES: [&str; 3] = ["Audio", "Home office", "Toys"];

fn some_product() -> impl Strategy<Value = FacetedProduct> {
    let price = prop_oneof![0..900_i64, prop::sample::select(vec![299, 300, 301, 599, 600])];
    (0..40_u8, 0..4_usize, 0..3_usize, price, 1..=5_u8, 0..5_u64, "[ab|é]{1,2}").prop_map(
        |(number, brand, category, price, stars, popularity, name)| FacetedProduct {
            sku: sku(&format!("p{number}")),
            name: name.parse().unwrap(),
            brand: label(BRANDS[brand]),
            category: label(CATEGORIES[category]),
            price: cents(price),
            rating: Stars::new(stars).unwrap(),
            popularity,
        },
    )
}

fn some_selection() -> impl Strategy<Value = (Selection, Order, PageOf)> {
    let maybe = |values: &[&str], most: usize| {
        let values: Vec<Label> = values.iter().chain(&["Unknown"]).map(|value| label(value)).collect();
        prop_oneof![
            1 => Just(BTreeSet::new()),
            2 => prop::collection::btree_set(prop::sample::select(values), 1..most)
        ]
    };
    let range = (0..900_i64, -50..500_i64)
        .prop_map(|(from, length)| PriceRange { from: cents(from), to: cents((from + length).max(0)) });
    let stars = prop::collection::btree_set(prop::sample::select(Stars::all().to_vec()), 0..4);
    let prices = prop_oneof![1 => Just(vec![]), 2 => prop::collection::vec(range, 1..4)];
    let order = prop::sample::select(Order::ALL.to_vec());
    let page = (0..30_u32, prop_oneof![1..12_u32, Just(0), Just(u32::MAX)]);
    (maybe(&BRANDS, 4), maybe(&CATEGORIES, 3), prices, stars, order, page).prop_map(
        |(brands, categories, prices, ratings, order, (offset, limit))| {
            (Selection { brands, categories, prices, ratings }, order, PageOf { offset, limit })
        },
    )
}

#[test]
fn every_page_is_what_going_through_the_catalogue_gives() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let edits = prop::collection::vec((some_product(), prop::bool::weighted(0.8)), 1..80);
    let selections = prop::collection::vec(some_selection(), 25);
    let mut runner = TestRunner::new(cases(30));
    let result = runner.run(&(edits, selections), |(edits, selections)| {
        runtime.block_on(in_each_layout(async |wire, keys| {
            let facets = of_shop(&wire, &keys);
            let mut model = Model::new();
            for (product, stays) in &edits {
                if *stays {
                    let put = facets.put(product).await.unwrap();
                    let listed = facets.get(&product.sku).await.unwrap().unwrap();
                    assert_eq!(listed.product, *product);
                    let former = model.insert(product.sku.clone(), listed.clone());
                    assert_eq!(former.is_some(), put == Put::Changed);
                    assert!(former.is_none_or(|former| former.added_us == listed.added_us));
                } else {
                    let removed = facets.remove(&product.sku).await.unwrap();
                    assert_eq!(removed, model.remove(&product.sku).is_some());
                }
            }
            assert_no_ghosts(&wire, &keys, &model, &BRANDS, &CATEGORIES).await;
            for (selection, order, page) in &selections {
                let found = facets.page(selection, *order, *page).await.unwrap();
                assert_eq!(
                    found,
                    expected(&model, selection, *order, *page),
                    "{selection:?} {order:?} {page:?}"
                );
            }
        }));
        Ok(())
    });
    assert_eq!(result, Ok(()));
}

/// More products than are sorted: the order's Sorted Set is walked.
#[tokio::test]
async fn pages_of_wide_selections_follow_each_other_without_gap_or_repeat() {
    in_each_layout(async |wire, keys| {
        let facets = of_shop(&wire, &keys);
        let mut model = Model::new();
        for number in 0..700_usize {
            let product = FacetedProduct {
                sku: sku(&format!("p{number}")),
                name: format!("Thing {}", number % 90).parse().unwrap(),
                brand: label(BRANDS[number % 4]),
                category: label(CATEGORIES[number % 3]),
                price: cents(i64::try_from(number * 37 % 900).unwrap()),
                rating: Stars::all()[number % 5],
                popularity: number as u64 % 11,
            };
            facets.put(&product).await.unwrap();
        }
        for product in facets_of_all(&facets).await {
            model.insert(product.product.sku.clone(), product);
        }
        assert_eq!(model.len(), 700);
        let wide =
            Selection { brands: BRANDS[..3].iter().map(|it| label(it)).collect(), ..Selection::default() };
        let narrow = Selection {
            brands: wide.brands.clone(),
            prices: vec![PriceRange { from: cents(0), to: cents(300) }],
            ..Selection::default()
        };
        for selection in [&wide, &narrow, &Selection::default()] {
            for order in Order::ALL {
                let (mut page, mut met) = (PageOf::first(90), BTreeSet::new());
                loop {
                    let found = facets.page(selection, order, page).await.unwrap();
                    assert_eq!(found, expected(&model, selection, order, page), "{order:?} {page:?}");
                    if found.products.is_empty() {
                        assert_eq!(met.len() as u64, found.total);
                        break;
                    }
                    for listed in found.products {
                        assert!(met.insert(listed.product.sku), "{order:?} repeats a product");
                    }
                    page = page.next();
                }
            }
        }
    })
    .await;
}

async fn facets_of_all(facets: &Facets<Wire>) -> Vec<Listed> {
    let (mut page, mut all) = (PageOf::first(MOST_ON_A_PAGE), Vec::new());
    loop {
        let found = facets.page(&Selection::default(), Order::Newest, page).await.unwrap().products;
        if found.is_empty() {
            return all;
        }
        all.extend(found);
        page = page.next();
    }
}

#[tokio::test]
async fn the_newest_come_first_and_a_change_makes_nothing_new() {
    in_each_layout(async |wire, keys| {
        let facets = of_shop(&wire, &keys);
        for code in ["c", "a", "b"] {
            facets.put(&product(code, "Acme", 100)).await.unwrap();
            // The server's clock goes on between two of them.
            tokio::time::sleep(std::time::Duration::from_millis(2)).await;
        }
        facets.put(&product("c", "Other", 500)).await.unwrap();
        let page = facets.page(&Selection::default(), Order::Newest, PageOf::first(9)).await.unwrap();
        let codes: String = page.products.iter().map(|listed| listed.product.sku.as_str()).collect();
        assert_eq!(codes, "bac");
    })
    .await;
}

#[tokio::test]
async fn each_operation_makes_the_round_trips_it_states() {
    in_each_layout(async |wire, keys| {
        let facets = of_shop(&wire, &keys);
        let (mug, everything) = (product("mug", "Acme", 100), Selection::default());
        let acme = Selection { brands: [label("Acme")].into(), ..Selection::default() };
        facets.put(&product("x", "Acme", 1)).await.unwrap();
        facets.page(&everything, Order::Name, PageOf::first(9)).await.unwrap();
        assert_eq!(wire.round_trips_of(facets.put(&mug)).await, 1);
        assert_eq!(wire.round_trips_of(facets.put(&mug)).await, 2);
        for selection in [&everything, &acme] {
            assert_eq!(wire.round_trips_of(facets.page(selection, Order::Name, PageOf::first(9))).await, 1);
        }
        assert_eq!(wire.round_trips_of(facets.get(&mug.sku)).await, 1);
        assert_eq!(wire.round_trips_of(facets.remove(&mug.sku)).await, 2);
        assert_eq!(wire.round_trips_of(facets.remove(&mug.sku)).await, 1);
    })
    .await;
}

#[tokio::test]
async fn what_cannot_be_is_refused_and_changes_nothing() {
    in_each_layout(async |wire, keys| {
        let facets = of_shop(&wire, &keys);
        let dear = facets.put(&product("mug", "Acme", Cents::MAX_PRICE.get() + 1)).await;
        assert!(matches!(dear, Err(FacetsError::PriceTooHigh { .. })), "{dear:?}");
        let many = (0..51).map(|number| label(&format!("brand{number}"))).collect();
        let many = Selection { brands: many, ..Selection::default() };
        let refused = facets.page(&many, Order::Name, PageOf::first(1)).await;
        assert!(matches!(refused, Err(FacetsError::TooManyValues { given: 51 })), "{refused:?}");

        for key in [keys.facet_category(&label("Kitchen")), keys.facet_newest(), keys.facet_brands()] {
            wire.send(&["SET", &key, "somebody's"]).await;
            let refused = facets.put(&product("mug", "Acme", 100)).await;
            assert!(matches!(refused, Err(FacetsError::Store(StoreError::WrongType { .. }))), "{refused:?}");
            wire.send(&["DEL", &key]).await;
        }
        assert_no_ghosts(&wire, &keys, &Model::new(), &["Acme"], &["Kitchen"]).await;

        facets.put(&product("mug", "Acme", 100)).await.unwrap();
        wire.send(&["HSET", &keys.facet_products(), "mug", "somebody's"]).await;
        let acme = Selection { brands: [label("Acme")].into(), ..Selection::default() };
        let broken = facets.page(&acme, Order::Name, PageOf::first(1)).await;
        assert!(matches!(broken, Err(FacetsError::Store(StoreError::Malformed { .. }))), "{broken:?}");
        let far = PageOf { offset: u32::MAX, limit: u32::MAX };
        let nothing = Selection {
            prices: vec![PriceRange { from: cents(i64::MAX), to: cents(5) }],
            ..Selection::default()
        };
        assert_eq!(facets.page(&nothing, Order::Name, far).await.unwrap().total, 0);
        assert_eq!(facets.page(&Selection::default(), Order::Name, far.next()).await.unwrap().products, []);
    })
    .await;
}
