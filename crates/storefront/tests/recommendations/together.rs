//! What is bought together.

use std::collections::{BTreeMap, BTreeSet};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use storefront::Sku;
use storefront::recommendations::{BoughtTogether, MOST_PAIRED};

use crate::shop::{in_each_layout, sku};
use crate::support::{number, product};

#[tokio::test(flavor = "multi_thread")]
async fn what_is_bought_together_is_the_cosine_of_their_orders() {
    in_each_layout(async |wire, keys| {
        let together = BoughtTogether::new(wire.clone(), keys.clone());
        let mut numbers = StdRng::seed_from_u64(11);
        let (mut pairs, mut support) = (BTreeMap::<(Sku, Sku), f64>::new(), BTreeMap::<Sku, f64>::new());
        for order in 0..150 {
            // Product 0 is in every second order; the others come in groups of four.
            let group = numbers.random_range(0..4);
            let mut bought: BTreeSet<Sku> = (0..=numbers.random_range(0..3))
                .map(|_| product(1 + 4 * group + numbers.random_range(0..4)))
                .collect();
            if numbers.random_range(0..2) == 0 {
                bought.insert(product(0));
            }
            let bought: Vec<Sku> = bought.into_iter().collect();
            for one in &bought {
                *support.entry(one.clone()).or_default() += 1.0;
                for other in bought.iter().filter(|other| *other != one) {
                    *pairs.entry((one.clone(), other.clone())).or_default() += 1.0;
                }
            }
            let id = format!("ORD-{order}").parse().unwrap();
            let twice: Vec<Sku> = bought.iter().chain(&bought).cloned().collect();
            assert_eq!(together.count(&id, &twice).await.unwrap(), bought.len());
            assert_eq!(together.count(&id, &bought).await.unwrap(), 0);
        }
        for number in 0..17 {
            let one = product(number);
            let mut expected: Vec<(Sku, f64)> = pairs
                .iter()
                .filter(|((seed, _), shared)| *seed == one && **shared >= 2.0)
                .map(|((_, other), shared)| (other.clone(), shared / (support[&one] * support[other]).sqrt()))
                .collect();
            expected.sort_by(|a, b| b.1.total_cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
            let found = together.with(&one, 100).await.unwrap();
            assert_eq!(found.len(), expected.len());
            for (found, (sku, score)) in found.iter().zip(&expected) {
                assert!(found.sku == *sku && (found.score - score).abs() < 1e-12, "{found:?} {sku} {score}");
                assert!(found.score <= 1.0 + 1e-12);
            }
        }
        // Counted alone, the bestseller shares the most orders with each of them; as a cosine with none.
        let (mut by_count, mut by_cosine) = (0, 0);
        for number in 1..17 {
            let key = keys.also_bought(&product(number));
            let first: Vec<String> =
                redis::from_redis_value(wire.send(&["ZREVRANGE", &key, "0", "0"]).await).unwrap();
            by_count += usize::from(first == ["PROD0"]);
            by_cosine += usize::from(together.with(&product(number), 1).await.unwrap()[0].sku == product(0));
        }
        assert!(by_count >= 8 && by_cosine <= 4, "first {by_count} times by count, {by_cosine} by cosine");

        let many: Vec<Sku> = (100..150).map(product).collect();
        assert_eq!(together.count(&"BIG".parse().unwrap(), &many).await.unwrap(), MOST_PAIRED);
        assert_eq!(together.count(&"NONE".parse().unwrap(), &[]).await.unwrap(), 0);
        assert_eq!(together.with(&sku("NOBODY"), 5).await.unwrap(), []);
        assert_eq!(together.with_all(&[], 5).await.unwrap(), []);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn neighbours_of_a_product_stay_bounded_and_the_best_stay() {
    in_each_layout(async |wire, keys| {
        let together = BoughtTogether::new(wire.clone(), keys.clone());
        let hub = sku("HUB");
        for order in 0..300 {
            let pair = [hub.clone(), product(if order % 3 == 0 { 0 } else { order })];
            together.count(&format!("o{order}").parse().unwrap(), &pair).await.unwrap();
        }
        assert!(number(&wire, &["ZCARD", &keys.also_bought(&hub)]).await <= 200);
        assert_eq!(together.with(&hub, 1).await.unwrap()[0].sku, product(0));
        assert_eq!(number(&wire, &["ZSCORE", &keys.also_bought(&hub), "PROD0"]).await, 100);
        assert_eq!(number(&wire, &["ZCARD", &keys.also_bought_orders(&hub)]).await, 300);
        wire.send(&["SET", &keys.also_bought(&sku("FOREIGN")), "x"]).await;
        let refused = together.count(&"o".parse().unwrap(), &[sku("FOREIGN"), sku("OTHER")]).await;
        assert!(refused.unwrap_err().to_string().contains("WRONGTYPE"));
    })
    .await;
}
