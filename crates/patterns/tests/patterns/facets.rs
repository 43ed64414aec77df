use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use lab_server::Server;
use lab_testing::faults::lossy_proxy;
use lab_testing::slots::MovingSlots;
use lab_testing::{TestConnection, cases, prefix};
use patterns::facets::{
    FacetPage, Facets, FacetsError, MAX_PAGE, Order, PageOf, PriceBand, PriceRange, Product, Selection,
};
use patterns::money::Cents;
use patterns::script::{StoreError, join_all};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use tokio::task::JoinSet;

use crate::everywhere;

const BANDS: [i64; 2] = [300, 600];
const BRANDS: [&str; 4] = ["Acme", "Bolt & Co.", "C\n3", "D\\or"];
const CATEGORIES: [&str; 3] = ["Audio", "Home office", "玩具"];

/// What the catalog should hold.
type Model = BTreeMap<String, Product>;

fn cents(cents: i64) -> Cents {
    Cents::new(cents).unwrap()
}

fn of_shop(connection: &TestConnection, prefix: &str) -> Facets<TestConnection> {
    Facets::new(connection.clone(), prefix).with_price_bands(BANDS.map(cents).to_vec())
}

fn set(values: &[&str]) -> BTreeSet<String> {
    values.iter().map(|value| (*value).to_owned()).collect()
}

fn product(number: usize) -> Product {
    Product {
        id: format!("p{number}"),
        name: format!("Thing of a rather long name {}", number % 90),
        brand: BRANDS[number % 4].into(),
        category: CATEGORIES[number % 3].into(),
        price: cents(i64::try_from(number * 37 % 900).unwrap()),
        rating: 1 + u8::try_from(number % 5).unwrap(),
        popularity: number as u64 * 7_919 % 11,
        added: u64::MAX - number as u64 / 3,
    }
}

/// How often the server ran each command for this, also inside scripts. Nobody else may use the server.
pub async fn commands_of<T>(
    connection: &TestConnection,
    work: impl Future<Output = T>,
) -> BTreeMap<String, u64> {
    let _: () = connection.send(&["CONFIG", "RESETSTAT"]).await;
    work.await;
    let info: String = connection.send(&["INFO", "commandstats"]).await;
    let counts = info.lines().filter_map(|line| {
        let (command, rest) = line.strip_prefix("cmdstat_")?.split_once(":calls=")?;
        Some((command.to_owned(), rest.split_once(',')?.0.parse().ok()?))
    });
    counts.filter(|(command, _)| !command.starts_with("config")).collect()
}

/// Goes through the whole catalog. Products that are equal in the order are in the order of their IDs here.
fn expected(model: &Model, selection: &Selection, order: Order) -> FacetPage {
    // Whether a product passes brand, category, price, and rating.
    let passes = |product: &Product| {
        let in_range = |range: &PriceRange| range.from <= product.price && product.price <= range.to;
        [
            selection.brands.is_empty() || selection.brands.contains(&product.brand),
            selection.categories.is_empty() || selection.categories.contains(&product.category),
            selection.prices.is_empty() || selection.prices.iter().any(in_range),
            selection.ratings.is_empty() || selection.ratings.contains(&product.rating),
        ]
    };
    let all_but = |facet: usize| {
        let others_pass = move |product: &&Product| {
            passes(product).into_iter().enumerate().all(|(number, passes)| passes || number == facet)
        };
        model.values().filter(others_pass).cloned().collect::<Vec<_>>()
    };
    let mut left = all_but(4);
    match order {
        Order::Popularity => left.sort_by_key(|it| Reverse(it.popularity)),
        Order::PriceAscending => left.sort_by_key(|it| it.price),
        Order::PriceDescending => left.sort_by_key(|it| Reverse(it.price)),
        Order::Rating => left.sort_by_key(|it| Reverse(it.rating)),
        Order::Newest => left.sort_by_key(|it| Reverse(it.added)),
        Order::Name => left.sort_by_key(|it| it.name.clone()),
    }
    let edges = [0, BANDS[0], BANDS[1], i64::MAX];
    let band = |edge: &[i64]| PriceBand {
        from: cents(edge[0]),
        below: (edge[1] != i64::MAX).then(|| cents(edge[1])),
        products: all_but(2).iter().filter(|it| edge[0] <= it.price.get() && it.price.get() < edge[1]).count()
            as u64,
    };
    FacetPage {
        total: left.len() as u64,
        products: left,
        brands: counted(all_but(0).into_iter().map(|it| it.brand)),
        categories: counted(all_but(1).into_iter().map(|it| it.category)),
        prices: edges.windows(2).map(band).collect(),
        ratings: counted(all_but(3).into_iter().map(|it| it.rating)),
    }
}

fn counted<T: Ord>(values: impl Iterator<Item = T>) -> BTreeMap<T, u64> {
    let mut counts = BTreeMap::new();
    for value in values {
        *counts.entry(value).or_insert(0) += 1;
    }
    counts
}

/// What decides the order, as a text.
fn sorted_by(product: &Product, order: Order) -> String {
    match order {
        Order::Popularity => product.popularity.to_string(),
        Order::PriceAscending | Order::PriceDescending => product.price.to_string(),
        Order::Rating => product.rating.to_string(),
        Order::Newest => product.added.to_string(),
        Order::Name => product.name.chars().take(24).collect(),
    }
}

/// All pages, one after the other: they have every product once, in order, and the same counts on each.
async fn assert_pages(
    facets: &Facets<TestConnection>,
    model: &Model,
    selection: &Selection,
    order: Order,
    limit: u32,
) {
    let wanted = expected(model, selection, order);
    let (mut page, mut products) = (PageOf::first(limit), Vec::new());
    loop {
        let found = facets.page(selection, order, page).await.unwrap();
        let is_last = found.products.is_empty();
        let left = wanted.total.saturating_sub(page.offset.into());
        assert_eq!(
            found.products.len() as u64,
            left.min(limit.min(MAX_PAGE).into()),
            "{order:?} {page:?} {selection:?}"
        );
        products.extend(found.products.iter().cloned());
        assert_eq!(
            FacetPage { products: wanted.products.clone(), ..found },
            wanted,
            "{order:?} {selection:?}"
        );
        if is_last {
            break;
        }
        page = page.next();
    }
    let by = |products: &[Product]| products.iter().map(|it| sorted_by(it, order)).collect::<Vec<_>>();
    assert_eq!(by(&products), by(&wanted.products), "{order:?} {selection:?}");
    let all: Model = products.into_iter().map(|it| (it.id.clone(), it)).collect();
    assert_eq!(all, wanted.products.into_iter().map(|it| (it.id.clone(), it)).collect::<Model>());
}

/// The keys hold what follows from the model, and nothing else.
async fn assert_no_ghosts(connection: &TestConnection, facets: &Facets<TestConnection>, model: &Model) {
    let [products, ids, brands, categories, rows, bits, first, second, third] = facets.keys().unwrap();
    assert_eq!(connection.send::<u64>(&["HLEN", &products]).await, model.len() as u64);
    assert_eq!(connection.send::<u64>(&["HLEN", &ids]).await, model.len() as u64);
    let counts =
        [counted(model.values().map(|it| &it.brand)), counted(model.values().map(|it| &it.category))];
    assert_eq!(connection.send::<usize>(&["HLEN", &rows]).await, counts[0].len() + counts[1].len());
    for (key, counts) in [&brands, &categories].into_iter().zip(counts) {
        let stored: Vec<(String, f64)> = connection.send(&["ZRANGE", key, "0", "-1", "WITHSCORES"]).await;
        let text = |value: String| value.replace("\\n", "\n").replace("\\\\", "\\");
        let stored: BTreeMap<String, f64> =
            stored.into_iter().map(|(value, count)| (text(value), count)).collect();
        assert_eq!(stored, counts.into_iter().map(|(value, count)| (value.clone(), count as f64)).collect());
    }
    // One bit for each product in its row of products, in those that its record names, and in those of its values; and one for
    // each value that has a row.
    let records: Vec<String> = connection.send(&["HVALS", &products]).await;
    let named: usize =
        records.iter().map(|record| record.split('\n').nth(8).unwrap().split(' ').count() + 2).sum();
    let taken: usize = connection.send(&["HLEN", &rows]).await;
    assert_eq!(connection.send::<usize>(&["BITCOUNT", &bits]).await, named + taken);
    assert_eq!(connection.send::<u64>(&["EXISTS", &first, &second, &third]).await, 0);
    if model.is_empty() {
        assert_eq!(connection.send::<u64>(&["EXISTS", &bits, &brands, &categories]).await, 0);
    }
}

fn some_product() -> impl Strategy<Value = Product> {
    let price = prop_oneof![0..900_i64, prop::sample::select(vec![299, 300, 301, 599, 600, 1_000_000_000])];
    let number = || prop_oneof![0..5_u64, any::<u64>()];
    (0..40_usize, 0..4_usize, 0..3_usize, price, 1..=5_u8, number(), number(), "[ab|é\n]{1,3}").prop_map(
        |(id, brand, category, price, rating, popularity, added, name)| Product {
            id: format!("p\n{id}"),
            name,
            brand: BRANDS[brand].into(),
            category: CATEGORIES[category].into(),
            price: cents(price),
            rating,
            popularity,
            added,
        },
    )
}

fn some_selection() -> impl Strategy<Value = (Selection, Order, u32)> {
    let maybe = |values: &[&str], most: usize| {
        let values: Vec<String> =
            values.iter().chain(&["Unknown"]).map(|value| (*value).to_owned()).collect();
        prop_oneof![
            1 => Just(BTreeSet::new()),
            2 => prop::collection::btree_set(prop::sample::select(values), 1..most)
        ]
    };
    let range = (0..900_i64, prop_oneof![-50..500_i64, Just(i64::MAX / 2)])
        .prop_map(|(from, length)| PriceRange { from: cents(from), to: cents((from + length).max(0)) });
    let ratings = prop::collection::btree_set(1..=5_u8, 0..4);
    let prices = prop_oneof![1 => Just(vec![]), 2 => prop::collection::vec(range, 1..4)];
    let limit = prop_oneof![1..12_u32, Just(u32::MAX)];
    (
        maybe(&BRANDS, 4),
        maybe(&CATEGORIES, 3),
        prices,
        ratings,
        prop::sample::select(Order::ALL.to_vec()),
        limit,
    )
        .prop_map(|(brands, categories, prices, ratings, order, limit)| {
            (Selection { brands, categories, prices, ratings }, order, limit)
        })
}

#[test]
fn every_page_is_what_going_through_the_catalog_gives() {
    let changes = prop::collection::vec((some_product(), prop::bool::weighted(0.8)), 1..60);
    let selections = prop::collection::vec(some_selection(), 8);
    let result = TestRunner::new(cases(12)).run(&(changes, selections), |(changes, selections)| {
        everywhere(async |connection, prefix| {
            let facets = of_shop(&connection, &prefix);
            let mut model = Model::new();
            for (product, stays) in &changes {
                if *stays {
                    let is_new = facets.put(product).await.unwrap();
                    assert_eq!(is_new, model.insert(product.id.clone(), product.clone()).is_none());
                } else {
                    assert_eq!(
                        facets.remove(&product.id).await.unwrap(),
                        model.remove(&product.id).is_some()
                    );
                }
                assert_eq!(facets.get(&product.id).await.unwrap().as_ref(), model.get(&product.id));
            }
            assert_no_ghosts(&connection, &facets, &model).await;
            for (selection, order, limit) in &selections {
                assert_pages(&facets, &model, selection, *order, *limit).await;
            }
            for id in model.keys() {
                assert!(facets.remove(id).await.unwrap());
            }
            assert_no_ghosts(&connection, &facets, &Model::new()).await;
        });
        Ok(())
    });
    assert_eq!(result, Ok(()));
}

#[test]
fn pages_of_wide_selections_follow_each_other_without_gap_or_repeat() {
    everywhere(async |connection, prefix| {
        let facets = of_shop(&connection, &prefix);
        let model: Model = (0..700).map(product).map(|it| (it.id.clone(), it)).collect();
        for result in join_all(model.values().map(|product| facets.put(product))).await {
            assert!(result.unwrap());
        }
        let wide = Selection { brands: set(&BRANDS[..3]), ..Selection::default() };
        let price = vec![PriceRange { from: cents(0), to: cents(300) }];
        let narrow = Selection { prices: price, ratings: [2, 3, 4].into(), ..wide.clone() };
        for selection in [&wide, &narrow, &Selection::default()] {
            for order in Order::ALL {
                assert_pages(&facets, &model, selection, order, 90).await;
            }
        }
        assert_pages(&facets, &model, &wide, Order::Rating, 7).await;
        let counts = facets.page(&wide, Order::Rating, PageOf::first(0)).await.unwrap();
        assert_eq!(counts, FacetPage { products: vec![], ..expected(&model, &wide, Order::Rating) });
    });
}

#[test]
fn each_call_is_one_round_trip() {
    everywhere(async |connection, prefix| {
        let facets = of_shop(&connection, &prefix);
        let acme = Selection { brands: set(&["Acme"]), ..Selection::default() };
        facets.put(&product(1)).await.unwrap();
        for _ in 0..2 {
            assert_eq!(connection.round_trips_of(facets.put(&product(0))).await, 1);
        }
        for selection in [&acme, &Selection::default()] {
            assert_eq!(
                connection.round_trips_of(facets.page(selection, Order::Name, PageOf::first(9))).await,
                1
            );
        }
        assert_eq!(connection.round_trips_of(facets.get("p0")).await, 1);
        assert_eq!(connection.round_trips_of(facets.repair()).await, 1);
        assert_eq!(connection.round_trips_of(facets.remove("p0")).await, 1);
    });
}

#[test]
fn what_cannot_be_is_refused_and_changes_nothing() {
    everywhere(async |connection, prefix| {
        let facets = of_shop(&connection, &prefix);
        let good = product(0);
        let expensive = facets.put(&Product { price: cents(1_000_000_001), ..good.clone() }).await;
        assert_matches!(expensive, Err(FacetsError::PriceTooHigh { .. }));
        for rating in [0, 6] {
            let refused = facets.put(&Product { rating, ..good.clone() }).await;
            assert_matches!(refused, Err(FacetsError::Rating { .. }));
        }
        for text in ["", &"a".repeat(513)] {
            let refused = facets.put(&Product { brand: text.into(), ..good.clone() }).await;
            assert_matches!(refused, Err(FacetsError::Store(StoreError::Key(_))));
        }
        let page = async |selection| facets.page(&selection, Order::Name, PageOf::first(1)).await;
        let many = (0..51).map(|number| format!("brand{number}")).collect();
        let refused = page(Selection { brands: many, ..Selection::default() }).await;
        assert_matches!(refused, Err(FacetsError::TooManySelected { given: 51, .. }));
        let many = (0..5).map(|it| PriceRange { from: cents(10 * it), to: cents(10 * it + 5) }).collect();
        let refused = page(Selection { prices: many, ..Selection::default() }).await;
        assert_matches!(refused, Err(FacetsError::TooManySelected { given: 5, .. }));

        for key in &facets.keys().unwrap()[..6] {
            let _: () = connection.send(&["XADD", key, "*", "f", "v"]).await;
            assert_matches!(facets.put(&good).await, Err(FacetsError::Store(StoreError::WrongType(_))));
            let _: () = connection.send(&["DEL", key]).await;
        }
        assert_no_ghosts(&connection, &facets, &Model::new()).await;

        facets.put(&good).await.unwrap();
        let products = &facets.keys().unwrap()[0];
        let _: () = connection.send(&["HSET", products, "p0", "foreign"]).await;
        let malformed = |error: &FacetsError| matches!(error, FacetsError::Store(StoreError::Malformed(_)));
        assert!(malformed(&page(Selection::default()).await.unwrap_err()));
        assert!(malformed(&facets.put(&good).await.unwrap_err()));
        assert!(malformed(&facets.remove("p0").await.unwrap_err()));
        assert_matches!(facets.get("p0").await, Err(StoreError::Malformed(_)));
    });
}

#[test]
fn a_lost_key_is_noticed_and_repaired() {
    everywhere(async |connection, prefix| {
        let facets = of_shop(&connection, &prefix);
        let model: Model = (0..20).map(product).map(|it| (it.id.clone(), it)).collect();
        for lost in 0..6 {
            for product in model.values() {
                facets.put(product).await.unwrap();
            }
            assert!(!facets.repair().await.unwrap());
            let _: () = connection.send(&["DEL", &facets.keys().unwrap()[lost]]).await;
            assert_matches!(facets.put(&product(0)).await, Err(FacetsError::Lost), "key {lost}");
            assert_matches!(facets.remove("p1").await, Err(FacetsError::Lost), "key {lost}");
            let page = facets.page(&Selection::default(), Order::Name, PageOf::first(1)).await;
            assert_matches!(page, Err(FacetsError::Lost), "key {lost}");
            assert!(facets.repair().await.unwrap());
            assert_no_ghosts(&connection, &facets, &Model::new()).await;
        }
        for product in model.values() {
            assert!(facets.put(product).await.unwrap());
        }
        assert_pages(&facets, &model, &Selection::default(), Order::Name, 7).await;
    });
}

#[tokio::test]
async fn the_work_of_a_call_does_not_grow_with_the_catalog() {
    let server = Server::start().unwrap();
    let connection = TestConnection::to_server(&server).await;
    let facets = Facets::new(connection.clone(), "");
    let everything = Selection {
        brands: set(&BRANDS),
        categories: set(&CATEGORIES),
        prices: vec![PriceRange { from: cents(0), to: cents(900) }],
        ratings: (1..=5).collect(),
    };
    let mut calls = Vec::new();
    for number in 0..2_000 {
        if number == 100 || number == 1_999 {
            let mut most = 0;
            for order in Order::ALL {
                for offset in [0, 50, number / 2, number - 3] {
                    let page = PageOf { offset: u32::try_from(offset).unwrap(), limit: 20 };
                    let work = async { facets.page(&everything, order, page).await.unwrap() };
                    let commands = commands_of(&connection, work).await;
                    // Nothing that looks at products one by one, except for those of the page.
                    let bits = [
                        "evalsha", "eval", "bitcount", "bitop", "getrange", "get", "set", "del", "hlen",
                        "zcard",
                    ];
                    let small = ["hget", "hmget", "zrange"];
                    assert!(
                        commands.keys().all(|it| bits.contains(&it.as_str()) || small.contains(&it.as_str())),
                        "{commands:?}"
                    );
                    most = most.max(commands.values().sum());
                }
            }
            calls.push(most);
            let commands =
                commands_of(&connection, facets.put(&Product { name: format!("A{number}"), ..product(7) }))
                    .await;
            assert!(commands.values().sum::<u64>() < 25, "{commands:?}");
            assert_eq!(commands["bitfield"], 1);
        }
        facets.put(&product(number)).await.unwrap();
    }
    assert!(calls[1] < 2_500 && calls[1] < 2 * calls[0], "{calls:?}");
}

#[tokio::test]
async fn more_brands_than_are_counted_are_found_all_the_same_and_a_row_that_is_free_is_used_again() {
    let connection = TestConnection::server().await;
    let facets = of_shop(&connection, &prefix());
    let of = |number: usize| Product { brand: format!("brand{number}"), ..product(number) };
    for number in 0..1_000 {
        facets.put(&of(number)).await.unwrap();
    }
    assert_matches!(facets.put(&of(1_000)).await, Err(FacetsError::TooManyValues));
    let one = Selection { brands: set(&["brand7"]), ..Selection::default() };
    let page = facets.page(&one, Order::Name, PageOf::first(9)).await.unwrap();
    assert_eq!((page.total, page.brands.len(), page.brands["brand7"]), (1, 101, 1));
    facets.remove("p5").await.unwrap();
    assert!(facets.put(&of(1_000)).await.unwrap());
    let one = Selection { brands: set(&["brand5", "brand1000"]), ..Selection::default() };
    assert_eq!(facets.page(&one, Order::Name, PageOf::first(9)).await.unwrap().products, [of(1_000)]);
}

#[tokio::test]
async fn pages_and_removals_work_when_memory_is_full() {
    let server = Server::start().unwrap();
    let connection = TestConnection::to_server(&server).await;
    let facets = of_shop(&connection, "");
    let model: Model = (0..9).map(product).map(|it| (it.id.clone(), it)).collect();
    for product in model.values() {
        facets.put(product).await.unwrap();
    }
    let _: () = connection.send(&["CONFIG", "SET", "maxmemory", "1"]).await;
    assert!(facets.put(&Product { rating: 5, ..product(0) }).await.is_err());
    let acme = Selection { brands: set(&["Acme"]), ..Selection::default() };
    assert_pages(&facets, &model, &acme, Order::Rating, 2).await;
    for id in model.keys() {
        assert!(facets.remove(id).await.unwrap());
    }
    assert_no_ghosts(&connection, &facets, &Model::new()).await;
}

#[tokio::test]
async fn a_page_leaves_nothing_for_a_replica_or_the_log() {
    let server = Server::builder().config("appendonly", "yes").start().unwrap();
    let connection = TestConnection::to_server(&server).await;
    let facets = of_shop(&connection, "");
    facets.put(&product(0)).await.unwrap();
    let offset = async || {
        let info: String = connection.send(&["INFO", "persistence"]).await;
        info.lines().find(|line| line.starts_with("aof_current_size")).unwrap().to_owned()
    };
    let before = offset().await;
    let acme = Selection { brands: set(&["Acme"]), ..Selection::default() };
    for _ in 0..9 {
        facets.page(&acme, Order::Name, PageOf::first(9)).await.unwrap();
    }
    assert_eq!(offset().await, before);
}

const PRODUCTS: u64 = 12;
const WRITERS: u64 = 4;
const READERS: u64 = 4;
const CHANGES: u64 = 60;

/// A product in one of three states. In each, brand, category, price, rating, and name say the same, so a mix of two shows.
fn in_state(number: u64, state: u64) -> Product {
    let which = usize::try_from(state % 3).unwrap();
    Product {
        id: format!("p{number}"),
        name: format!("{} p{number}", BRANDS[which]),
        brand: BRANDS[which].into(),
        category: CATEGORIES[which].into(),
        price: cents(100 * (1 + i64::try_from(which).unwrap())),
        rating: 1 + u8::try_from(which).unwrap(),
        popularity: state % 3,
        added: state % 3,
    }
}

/// Selections that must agree with each other on a page of one moment.
fn assert_of_one_moment(page: &FacetPage, selected: usize) {
    assert_eq!(
        page.brands.values().sum::<u64>(),
        PRODUCTS,
        "each product has one brand at every moment: {page:?}"
    );
    assert_eq!(page.total, page.brands.get(BRANDS[selected]).copied().unwrap_or(0));
    assert_eq!(page.products.len() as u64, page.total);
    for product in &page.products {
        assert_eq!(*product, in_state(product.id[1..].parse().unwrap(), selected as u64));
    }
    // What is narrowed by the brand has one value of every other facet.
    assert!(page.categories.len() <= 1 && page.ratings.len() <= 1, "{page:?}");
    assert_eq!(page.categories.values().sum::<u64>(), page.total);
    assert_eq!(page.prices.iter().map(|band| band.products).sum::<u64>(), page.total);
}

/// Writers change all products again and again while readers look.
async fn race(facets: &Facets<TestConnection>) {
    for number in 0..PRODUCTS {
        facets.put(&in_state(number, number)).await.unwrap();
    }
    let (over, pages) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let mut readers = JoinSet::new();
    for reader in 0..READERS {
        let (facets, over, pages) = (facets.clone(), Arc::clone(&over), Arc::clone(&pages));
        readers.spawn(async move {
            for (number, order) in (reader..).zip(Order::ALL.iter().cycle()) {
                if over.load(Ordering::Relaxed) {
                    break;
                }
                let selected = usize::try_from(number % 3).unwrap();
                let brand = Selection { brands: set(&[BRANDS[selected]]), ..Selection::default() };
                let page = facets.page(&brand, *order, PageOf::first(100)).await.unwrap();
                assert_of_one_moment(&page, selected);
                pages.fetch_add(1, Ordering::Relaxed);
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
    assert!(pages.load(Ordering::Relaxed) > 0);
}

/// Reads every product, and compares all keys with them.
async fn assert_whole(connection: &TestConnection, facets: &Facets<TestConnection>) {
    let mut model = Model::new();
    for number in 0..PRODUCTS {
        if let Some(product) = facets.get(&format!("p{number}")).await.unwrap() {
            assert_eq!(product, in_state(number, product.popularity));
            model.insert(product.id.clone(), product);
        }
    }
    assert_no_ghosts(connection, facets, &model).await;
    assert_pages(
        facets,
        &model,
        &Selection { ratings: [1, 2].into(), ..Selection::default() },
        Order::Name,
        5,
    )
    .await;
}

#[test]
fn every_page_is_of_one_moment() {
    everywhere(async |connection, prefix| {
        let facets = of_shop(&connection, &prefix);
        race(&facets).await;
        assert_whole(&connection, &facets).await;
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn every_page_is_of_one_moment_while_the_slot_moves() {
    let connection = TestConnection::cluster().await;
    let facets = of_shop(&connection, &prefix());
    let moving = MovingSlots::of([&facets.keys().unwrap()[0]]);
    race(&facets).await;
    // The last of each value leaves while the slot moves, too.
    for number in 0..PRODUCTS {
        assert!(facets.remove(&format!("p{number}")).await.unwrap());
    }
    for number in 0..PRODUCTS {
        facets.put(&in_state(number, 1)).await.unwrap();
    }
    moving.end();
    assert_whole(&connection, &facets).await;
}

#[test]
fn racing_puts_and_removals_leave_no_ghost() {
    everywhere(async |connection, prefix| {
        let facets = of_shop(&connection, &prefix);
        let mut writers = JoinSet::new();
        for writer in 0..8_u64 {
            let facets = facets.clone();
            writers.spawn(async move {
                for change in 0..CHANGES {
                    let product = in_state(change % 3, writer + change);
                    if (writer + change) % 4 == 0 {
                        facets.remove(&product.id).await.unwrap();
                    } else {
                        facets.put(&product).await.unwrap();
                    }
                }
            });
        }
        writers.join_all().await;
        assert_whole(&connection, &facets).await;
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_tried_again_after_a_lost_answer_counts_once() {
    let lossy = lossy_proxy(lab_testing::server(), 7);
    let (connection, prefix) = (TestConnection::server().await, prefix());
    let unsure = of_shop(&TestConnection::reconnecting(&lossy.url()).await, &prefix);
    for change in 0..60_u64 {
        let product = in_state(change % PRODUCTS, change / 5);
        // Until there is an answer.
        while unsure.put(&product).await.is_err() {}
        if change % 7 == 0 {
            while unsure.remove(&product.id).await.is_err() {}
        }
    }
    assert!(lossy.cuts() > 5, "{}", lossy.cuts());
    assert_whole(&connection, &of_shop(&connection, &prefix)).await;
}
