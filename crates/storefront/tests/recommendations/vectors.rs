//! Products as vectors, where the server has vector sets.

use redis::Value;
use storefront::Sku;
use storefront::recommendations::{Embedding, ProductVectors, Search};

use crate::shop::{Wire, in_each_layout, sku};
use crate::support::product;

#[tokio::test(flavor = "multi_thread")]
async fn vectors_find_the_products_that_share_traits() {
    let known: Vec<Value> =
        redis::from_redis_value(Wire::standalone().await.send(&["COMMAND", "INFO", "VSIM"]).await).unwrap();
    if known == [Value::Nil] {
        return;
    }
    in_each_layout(async |wire, keys| {
        let exact = ProductVectors::new(wire.clone(), keys.clone(), Search::Exact);
        let graph = ProductVectors::new(wire.clone(), keys.clone(), Search::Approximate);
        let embedding = |number: u64| {
            let (category, own) = (format!("category:{}", number % 5), format!("sku:{number}"));
            Embedding::of([(category.as_str(), 2.0), (own.as_str(), 1.0)]).unwrap()
        };
        assert_eq!(exact.like(&product(1), 5).await.unwrap(), []);
        for number in 0..100 {
            assert!(exact.put(&product(number), &embedding(number)).await.unwrap());
        }
        assert!(!exact.put(&product(0), &embedding(0)).await.unwrap());
        assert_eq!(exact.like(&sku("NOBODY"), 5).await.unwrap(), []);
        let category = |sku: &Sku| sku.as_str()["PROD".len()..].parse::<u64>().unwrap() % 5;
        for number in [0, 7, 49] {
            for (search, least) in [(&exact, 10), (&graph, 8)] {
                let found = search.like(&product(number), 10).await.unwrap();
                let right = found.iter().filter(|found| category(&found.sku) == number % 5).count();
                assert!(found.len() == 10 && right >= least, "{right} {found:?}");
                assert!(found.iter().all(|found| found.sku != product(number)));
                assert!(found.is_sorted_by(|a, b| (b.score, &a.sku) <= (a.score, &b.sku)));
            }
        }
        assert_eq!(wire.round_trips_of(exact.like(&product(7), 10)).await, 1);
        let taste = Embedding::between([&embedding(3), &embedding(8)]).unwrap();
        let near = exact.near(&taste, 20).await.unwrap();
        assert!(near.iter().all(|found| category(&found.sku) == 3), "{near:?}");
        assert!(exact.remove(&product(3)).await.unwrap() && !exact.remove(&product(3)).await.unwrap());
        assert!(exact.near(&taste, 99).await.unwrap().iter().all(|found| found.sku != product(3)));
    })
    .await;
}

#[test]
fn traits_that_say_nothing_make_no_vector() {
    assert_eq!(Embedding::of([]), None);
    assert_eq!(Embedding::of([("a", 0.0)]), None);
    assert_eq!(Embedding::of([("a", f32::NAN)]), None);
    assert_eq!(Embedding::of([("a", f32::MAX), ("a", f32::MAX)]), None);
    assert_eq!(Embedding::between([]), None);
    assert_eq!(Embedding::of([("a", 1.0)]), Embedding::of([("a", 7.5)]));
}
