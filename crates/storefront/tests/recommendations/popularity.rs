//! What many look at, fading with time.

use std::collections::BTreeMap;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use storefront::recommendations::PopularProducts;
use storefront::{Sku, StoreError};

use crate::shop::{Wire, in_each_layout, sku};
use crate::support::{label, product};

const DAY_MS: u64 = 86_400_000;

/// The server's clock.
async fn now(wire: &Wire) -> u64 {
    let time: Vec<u64> = redis::from_redis_value(wire.send(&["TIME"]).await).unwrap();
    time[0] * 1_000 + time[1] / 1_000
}

#[tokio::test(flavor = "multi_thread")]
async fn popularity_fades_as_a_sum_over_all_views_says() {
    in_each_layout(async |wire, keys| {
        let now = now(&Wire::standalone().await).await;
        let begin = now - 200 * DAY_MS;
        let mut numbers = StdRng::seed_from_u64(5);
        // 200 days of a half-life of two: the landmark moves again and again. Favourites change every month.
        let mut views: Vec<(u64, u64)> = (0..1_500)
            .map(|_| {
                let moment = begin + numbers.random_range(0..200 * DAY_MS);
                let favourite = (moment - begin) / (30 * DAY_MS);
                let product =
                    if numbers.random_range(0..3) == 0 { favourite } else { numbers.random_range(0..40) };
                (moment, product)
            })
            .collect();
        views.sort_unstable();
        let popular =
            PopularProducts::new(wire.clone(), keys.clone()).with_half_life(Duration::from_hours(48));
        let landmark = format!("{}:landmark", keys.popular_products());
        let (mut moved, mut last) = (0, String::new());
        for (index, (moment, number)) in views.iter().enumerate() {
            // Some come late.
            let moment = if index % 5 == 0 { moment.saturating_sub(3 * DAY_MS) } else { *moment };
            popular.viewed_at(&product(*number), Some(&label("Books")), moment).await.unwrap();
            let stored: String = redis::from_redis_value(wire.send(&["GET", &landmark]).await).unwrap();
            moved += usize::from(stored != last && !last.is_empty());
            last = stored;
        }
        assert!((18..=25).contains(&moved), "{moved}");
        let mut oracle = BTreeMap::<Sku, f64>::new();
        for (index, (moment, number)) in views.iter().enumerate() {
            let moment = if index % 5 == 0 { moment.saturating_sub(3 * DAY_MS) } else { *moment };
            let age = (now - moment) as f64 / (2 * DAY_MS) as f64;
            *oracle.entry(product(*number)).or_default() += (-age).exp2();
        }
        let top = popular.top(100).await.unwrap();
        assert_eq!(top.len(), oracle.len());
        for popular in &top {
            let ratio = popular.views / oracle[&popular.sku];
            // The clock went on meanwhile, by far less than an hour.
            assert!((0.99..1.000_001).contains(&ratio), "{popular:?} {ratio}");
        }
        let mut expected: Vec<(&Sku, f64)> = oracle.iter().map(|(sku, views)| (sku, *views)).collect();
        expected.sort_by(|a, b| b.1.total_cmp(&a.1));
        assert!(top.iter().map(|popular| &popular.sku).eq(expected.iter().map(|(sku, _)| *sku)));
        assert_eq!(top[0].sku, product(6), "the favourite of the last month");
        assert_eq!(popular.top_in(&label("Books"), 3).await.unwrap().len(), 3);

        // As it is stored, so it is ranked.
        let key = keys.popular_products();
        let stored: Vec<String> =
            redis::from_redis_value(wire.send(&["ZREVRANGE", &key, "0", "9"]).await).unwrap();
        assert!(stored.iter().map(String::as_str).eq(top[..10].iter().map(|popular| popular.sku.as_str())));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn popularity_bears_hostile_moments_long_pauses_and_many_products() {
    in_each_layout(async |wire, keys| {
        let popular = PopularProducts::new(wire.clone(), keys.clone())
            .with_half_life(Duration::from_secs(1))
            .with_most(10);
        // Two thousand half-lives a step, from 1970 on.
        popular.viewed_at(&sku("OLD"), None, 0).await.unwrap();
        for step in 1..5 {
            popular.viewed_at(&sku("OLDER"), None, step * 2_000_000).await.unwrap();
        }
        // A moment to come is now, so what is seen later still counts.
        popular.viewed_at(&sku("A"), None, u64::MAX).await.unwrap();
        for _ in 0..2 {
            popular.viewed(&sku("B"), None).await.unwrap();
        }
        let top = popular.top(usize::MAX).await.unwrap();
        assert_eq!(top[0].sku, sku("B"));
        assert!(top.iter().all(|popular| popular.views.is_finite() && popular.views < 4.0), "{top:?}");
        for number in 0..40 {
            popular.viewed(&product(number), None).await.unwrap();
        }
        assert!(popular.top(100).await.unwrap().len() <= 11);
        let zero = PopularProducts::new(wire.clone(), keys.clone()).with_half_life(Duration::ZERO);
        zero.viewed(&sku("C"), None).await.unwrap();
        assert_eq!(zero.top(0).await.unwrap(), []);
        wire.send(&["SET", &format!("{}:landmark", keys.popular_products()), "soon"]).await;
        let refused = popular.viewed(&sku("A"), None).await;
        assert!(matches!(refused, Err(StoreError::Malformed { .. })), "{refused:?}");
    })
    .await;
}
