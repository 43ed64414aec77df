use std::collections::{BTreeMap, BTreeSet};

use patterns::interests::Interests;
use patterns::script::StoreError;
use patterns::similar_customers::{Basis, MAX_PURCHASES, SimilarCustomers};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::everywhere;

fn refs(texts: &BTreeSet<String>) -> Vec<&str> {
    texts.iter().map(String::as_str).collect()
}

#[test]
fn similar_customers_are_those_that_a_comparison_with_all_customers_finds() {
    everywhere(async |connection, prefix| {
        let mut numbers = StdRng::seed_from_u64(21);
        let interests = Interests::new(connection.clone(), &prefix);
        let similar = SimilarCustomers::new(connection.clone(), &prefix);
        let (mut likes, mut bought) = (BTreeMap::new(), BTreeMap::new());
        for number in 1..=30 {
            let customer = format!("user{number}@example.com");
            let own: BTreeSet<String> = (0..=numbers.random_range(0..5))
                .map(|_| format!("interest{}", numbers.random_range(0..12)))
                .collect();
            interests.add(&customer, &refs(&own)).await.unwrap();
            likes.insert(customer.clone(), own);
            let own: BTreeSet<String> = (0..=numbers.random_range(0..8))
                .map(|_| format!("PROD{}", numbers.random_range(0..15)))
                .collect();
            for _ in 0..2 {
                similar.bought(&customer, &refs(&own)).await.unwrap();
            }
            bought.insert(customer, own);
        }
        for (basis, things) in [(Basis::Interests, &likes), (Basis::Purchases, &bought)] {
            for (customer, own) in things.iter().take(5) {
                let jaccard = |other: &BTreeSet<String>| {
                    own.intersection(other).count() as f64 / own.union(other).count() as f64
                };
                let mut expected: Vec<(String, f64)> = things
                    .iter()
                    .filter(|(other, _)| *other != customer)
                    .map(|(other, theirs)| (other.clone(), jaccard(theirs)))
                    .filter(|(_, similarity)| *similarity > 0.0)
                    .collect();
                expected.sort_by(|a, b| b.1.total_cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
                let found = similar.to(customer, basis, 100).await.unwrap();
                let found: Vec<(String, f64)> =
                    found.into_iter().map(|similar| (similar.customer, similar.similarity)).collect();
                assert_eq!(found, expected, "{basis:?} {customer}");
                for suggestion in similar.recommend(customer, basis, 10).await.unwrap() {
                    assert!(!bought[customer].contains(&suggestion.sku));
                }
            }
            assert_eq!(similar.to("nobody", basis, 5).await.unwrap(), []);
            assert_eq!(similar.recommend("nobody", basis, 5).await.unwrap(), []);
        }
        // What an index says of a customer who has changed their mind does not count.
        interests.add("ann", &["rare"]).await.unwrap();
        let index = interests.index_key("rare").unwrap();
        let _: i64 = connection.send(&["ZADD", index.as_str(), "9", "bob"]).await;
        assert_eq!(similar.to("ann", Basis::Interests, 100).await.unwrap(), []);
    });
}

#[test]
fn the_newest_purchases_stay_whatever_the_clock_says() {
    everywhere(async |connection, prefix| {
        let similar = SimilarCustomers::new(connection.clone(), &prefix);
        for first in (0..250).step_by(50) {
            let skus: BTreeSet<String> = (first..first + 50).map(|number| format!("P{number}")).collect();
            similar.bought("ann", &refs(&skus)).await.unwrap();
        }
        similar.bought("ann", &["P200", "LAST"]).await.unwrap();
        let purchases = similar.purchases("ann", usize::MAX).await.unwrap();
        assert_eq!(purchases.len(), MAX_PURCHASES);
        assert_eq!(purchases[..2], ["P200", "LAST"]);
        assert!(!purchases.contains(&"P0".to_owned()));
        assert_eq!(similar.purchases("ann", 0).await.unwrap(), [""; 0]);
        assert_eq!(similar.buyers("LAST", 9).await.unwrap(), ["ann"]);
        similar.bought("ann", &[]).await.unwrap();

        let _: () = connection.send(&["SET", similar.buyers_key("FOREIGN").unwrap().as_str(), "mine"]).await;
        assert_matches!(similar.bought("ann", &["FOREIGN"]).await, Err(StoreError::WrongType(_)));
        assert_eq!(connection.round_trips_of(similar.bought("bob", &["A", "B"])).await, 3);
    });
}
