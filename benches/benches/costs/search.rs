//! Autocomplete at 100,000 products and facets at 20,000: beside a plain command where there is one, and beside the 5 ms for which
//! nothing may hold the server.

use std::time::Duration;

use patterns::autocomplete::Autocomplete;
use patterns::facets::{Facets, Order, PageOf, PriceRange, Product, Selection};
use patterns::money::Cents;
use patterns::script::join_all;
use redis::aio::MultiplexedConnection;

use crate::measure::{Row, Side, compare};

const COMPLETED: u64 = 100_000;
const FACETED: u64 = 20_000;
const THINGS: [&str; 8] =
    ["Kettle", "Saucepan", "Toaster", "Blender", "Coffee mug", "Chef’s knife", "Scale", "Tray"];

pub async fn rows(connection: &MultiplexedConnection) -> Vec<Row> {
    // Filling the indexes keeps a busy machine busy for longer than the usual timeout.
    let connection = &mut connection.clone();
    connection.set_response_timeout(Duration::from_mins(1));
    let mut rows = autocomplete(connection).await;
    rows.extend(facets(connection).await);
    let mut unlink = redis::cmd("UNLINK");
    unlink.arg("best").arg(Autocomplete::new(connection.clone(), "").key().unwrap());
    unlink.arg(&Facets::new(connection.clone(), "").keys().unwrap());
    unlink.exec_async(&mut connection.clone()).await.unwrap();
    rows
}

async fn autocomplete(connection: &MultiplexedConnection) -> Vec<Row> {
    let autocomplete = Autocomplete::new(connection.clone(), "");
    let name = |number: u64| {
        format!(
            "Brand{} {} {}",
            number % 24,
            THINGS[usize::try_from(number).unwrap() / 24 % 8],
            number % 1_000
        )
    };
    // Each popularity once.
    let popularity = |number: u64| number * 40_503 % 100_003;
    for numbers in (0..COMPLETED).collect::<Vec<_>>().chunks(50) {
        let puts = numbers.iter().map(|number| {
            let (autocomplete, number) = (&autocomplete, *number);
            async move { autocomplete.put(&format!("PROD{number}"), &name(number), popularity(number)).await }
        });
        for result in join_all(puts).await {
            result.unwrap();
        }
    }
    let best = autocomplete.suggest("c", 10).await.unwrap();
    let list: Vec<String> = best.iter().map(|it| format!("{}\n{}", it.name, it.id)).collect();
    for (rank, member) in list.iter().enumerate() {
        redis::cmd("ZADD")
            .arg("best")
            .arg(rank)
            .arg(member)
            .exec_async(&mut connection.clone())
            .await
            .unwrap();
    }
    let ours = || {
        Side::new("autocomplete", &["zrange"], |_| {
            let autocomplete = autocomplete.clone();
            async move { assert_eq!(autocomplete.suggest("c", 10).await.unwrap().len(), 10) }
        })
    };
    let peer = || {
        Side::new("ZRANGE of a list of ten", &["zrange"], |_| {
            let (mut connection, list) = (connection.clone(), list.clone());
            async move {
                let range = redis::cmd("ZRANGE").arg("best").arg(0).arg(9).take();
                assert_eq!(range.query_async::<Vec<String>>(&mut connection).await.unwrap(), list);
            }
        })
    };
    let suggestion = compare(connection, "ten suggestions of 100,000 products", 8.0, ours(), peer()).await;

    let mut rows = vec![suggestion];
    let mut number = 0;
    rows.push(
        beside_5_ms(connection, "rename one of 100,000 products", async || {
            number += 1;
            let id = format!("PROD{number}");
            assert!(!autocomplete.put(&id, &format!("Renamed {}", name(number)), number).await.unwrap());
        })
        .await,
    );
    // The one that the lists of the shortest prefixes begin with: another one took its place at once.
    let mut best = Vec::new();
    rows.push(
        beside_5_ms(connection, "remove the most popular of 100,000", async || {
            if best.is_empty() {
                best = autocomplete.suggest("b", 20).await.unwrap();
                best.reverse();
            }
            assert!(autocomplete.remove(&best.pop().unwrap().id).await.unwrap());
        })
        .await,
    );
    rows.push(
        beside_5_ms(connection, "suggest for a long prefix with 1,000 hits", async || {
            assert_eq!(autocomplete.suggest("chefs knife ", 10).await.unwrap().len(), 10);
        })
        .await,
    );
    rows
}

async fn facets(connection: &MultiplexedConnection) -> Vec<Row> {
    let facets = Facets::new(connection.clone(), "");
    let product = |number: u64| Product {
        id: format!("PROD{number}"),
        name: format!("Brand{} {} {number}", number % 240, THINGS[usize::try_from(number).unwrap() / 24 % 8]),
        brand: format!("Brand{}", number % 240),
        category: format!("Category{}", number / 3 % 80),
        price: Cents::new((number * 2_654_435_761 % 100_000).cast_signed()).unwrap(),
        rating: u8::try_from(number / 7 % 5).unwrap() + 1,
        popularity: number * 40_503 % 10_007,
        added: 1_790_000_000 + 60 * number,
    };
    for numbers in (0..FACETED).collect::<Vec<_>>().chunks(50) {
        let products: Vec<Product> = numbers.iter().map(|number| product(*number)).collect();
        for result in join_all(products.iter().map(|product| facets.put(product))).await {
            result.unwrap();
        }
    }
    let prices = |ranges: i64| {
        let cents = |amount| Cents::new(amount).unwrap();
        (0..ranges)
            .map(|it| PriceRange { from: cents(25_000 * it), to: cents(25_000 * it + 24_000) })
            .collect()
    };
    let some = Selection {
        brands: (0..3).map(|it| format!("Brand{it}")).collect(),
        prices: prices(2),
        ..Selection::default()
    };
    let all = Selection {
        brands: (0..50).map(|it| format!("Brand{it}")).collect(),
        categories: (0..50).map(|it| format!("Category{it}")).collect(),
        prices: prices(4),
        ratings: (1..=5).collect(),
    };
    let mut rows = Vec::new();
    for (what, selection, order, offset) in [
        ("page of 20,000 products, nothing selected", &Selection::default(), Order::Popularity, 0),
        ("page: 3 of 240 brands, half of the prices", &some, Order::PriceAscending, 20),
        ("page: all facets, 105 values, by name", &all, Order::Name, 500),
    ] {
        let page = PageOf { offset, limit: 20 };
        let row = beside_5_ms(connection, what, async || {
            assert_eq!(facets.page(selection, order, page).await.unwrap().products.len(), 20);
        });
        rows.push(row.await);
    }
    let mut number = 0;
    rows.push(
        beside_5_ms(connection, "change one of 20,000 products", async || {
            number += 1;
            let changed = Product { id: format!("PROD{number}"), ..product(number + 10_001) };
            assert!(!facets.put(&changed).await.unwrap());
        })
        .await,
    );
    rows
}

/// The mean of 200 calls beside the time for which no call may hold the server. This is processor time of the server's main thread,
/// since on a busy machine, a call of milliseconds also waits for other programs.
async fn beside_5_ms(connection: &MultiplexedConnection, what: &str, mut work: impl AsyncFnMut()) -> Row {
    const CALLS: u32 = 200;
    // The server learns the script.
    work().await;
    let before = processor_time(connection).await;
    for _ in 0..CALLS {
        work().await;
    }
    Row {
        what: what.to_owned(),
        ours: (processor_time(connection).await - before) / f64::from(CALLS),
        peer: Duration::from_millis(5).as_micros() as f64,
        peer_name: "5 ms, the most that a call may take".to_owned(),
        limit: 1.0,
    }
}

/// In microseconds.
async fn processor_time(connection: &MultiplexedConnection) -> f64 {
    let info = redis::cmd("INFO").arg("cpu").query_async::<String>(&mut connection.clone()).await.unwrap();
    let seconds = |field: &str| -> f64 {
        info.lines().find_map(|line| line.strip_prefix(field)).unwrap().parse().unwrap()
    };
    1e6 * (seconds("used_cpu_user_main_thread:") + seconds("used_cpu_sys_main_thread:"))
}
