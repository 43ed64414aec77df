use patterns::product_vectors::ProductVectors;
use redis::Value;

use crate::everywhere;

#[test]
fn vectors_find_the_products_that_point_in_the_same_direction() {
    everywhere(async |connection, prefix| {
        let known: Vec<Value> = connection.send(&["COMMAND", "INFO", "VSIM"]).await;
        if known == [Value::Nil] {
            return;
        }
        let graph = ProductVectors::new(connection.clone(), &prefix);
        let exact = graph.clone().with_exact_search();
        // Two dimensions for five categories, and one that is the product's own.
        let vector = |number: usize| {
            let angle = (number % 5) as f32 * 1.2;
            [angle.cos(), angle.sin(), number as f32 / 1_000.0]
        };
        assert_eq!(exact.like("P1", 5).await.unwrap(), []);
        for number in 0..50 {
            assert!(exact.put(&format!("P{number}"), &vector(number)).await.unwrap());
        }
        assert!(!exact.put("P0", &vector(0)).await.unwrap());
        assert_eq!(exact.like("NOBODY", 5).await.unwrap(), []);
        let category = |sku: &str| sku[1..].parse::<usize>().unwrap() % 5;
        for (search, least) in [(&exact, 9), (&graph, 7)] {
            let found = search.like("P7", 9).await.unwrap();
            let right = found.iter().filter(|near| category(&near.sku) == 2).count();
            assert!(found.len() == 9 && right >= least, "{right} {found:?}");
            assert!(found.iter().all(|near| near.sku != "P7"));
            assert!(found.is_sorted_by(|a, b| (b.similarity, &a.sku) <= (a.similarity, &b.sku)));
        }
        assert_eq!(exact.near(&vector(3), 0).await.unwrap(), []);
        assert!(exact.near(&vector(3), 10).await.unwrap().iter().all(|near| category(&near.sku) == 3));
        assert!(exact.remove("P3").await.unwrap() && !exact.remove("P3").await.unwrap());
        assert!(exact.near(&vector(3), 50).await.unwrap().iter().all(|near| near.sku != "P3"));
        assert_eq!(connection.round_trips_of(exact.like("P7", 10)).await, 1);
    });
}
