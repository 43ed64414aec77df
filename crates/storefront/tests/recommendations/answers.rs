//! Views, popularity, pairs, people and vectors, against counting in memory.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::shop::{Wire, in_each_layout, sku};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use redis::Value;
use storefront::recommendations::{
    Basis, Because, BoughtTogether, Embedding, InterestError, Interests, MOST_PAIRED, PopularProducts,
    ProductVectors, Purchases, RecentViews, Recommendation, Recommender, Search, SimilarCustomers,
};
use storefront::{Catalogue, CustomerId, Label, Product, Sku, StoreError};
use tokio::task::JoinSet;

fn customer(number: u64) -> CustomerId {
    format!("user{number}").parse().unwrap()
}

fn label(text: &str) -> Label {
    text.parse().unwrap()
}

fn product(number: u64) -> Sku {
    sku(&format!("PROD{number}"))
}

async fn number(wire: &Wire, words: &[&str]) -> i64 {
    redis::from_redis_value(wire.send(words).await).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn recent_views_hold_each_product_once_the_latest_first() {
    in_each_layout(async |wire, keys| {
        let views = RecentViews::new(wire.clone(), keys.clone()).with_most(5);
        let ann = customer(1);
        for number in [1, 2, 3, 2, 2, 4, 5, 6, 1] {
            views.viewed(&ann, &product(number)).await.unwrap();
        }
        let expected = [1, 6, 5, 4, 2].map(product);
        assert_eq!(views.of(&ann, 10).await.unwrap(), expected);
        assert_eq!(views.of(&ann, 2).await.unwrap(), expected[..2]);
        assert_eq!(views.of(&ann, 0).await.unwrap(), []);
        assert_eq!(views.of(&customer(9), 5).await.unwrap(), []);
        let key = keys.recent_views(&ann);
        assert!(number(&wire, &["TTL", &key]).await > 89 * 86_400);

        // Many windows of one customer at once, each looking at the same products.
        let mut windows = JoinSet::new();
        for window in 0..10 {
            let views = views.clone();
            windows.spawn(async move {
                for turn in 0..30 {
                    views.viewed(&customer(1), &product((turn + window) % 4)).await.unwrap();
                }
            });
        }
        windows.join_all().await;
        let shown = views.of(&ann, 100).await.unwrap();
        assert_eq!(shown.iter().collect::<BTreeSet<_>>().len(), shown.len(), "{shown:?}");
        assert_eq!(shown.len(), 5);
        wire.send(&["SET", &keys.recent_views(&customer(2)), "x"]).await;
        let refused = views.viewed(&customer(2), &product(1)).await.unwrap_err();
        assert!(refused.to_string().contains("WRONGTYPE"), "{refused}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn interests_lead_to_a_customer_and_back() {
    in_each_layout(async |wire, keys| {
        let interests = Interests::new(wire.clone(), keys.clone());
        let (books, chefs) = (label("Books"), label("Chef's & Co"));
        let likes = [books.clone(), chefs.clone(), books.clone()];
        assert_eq!(interests.add(&customer(1), &likes).await.unwrap(), 2);
        assert_eq!(interests.add(&customer(1), &likes).await.unwrap(), 0);
        assert_eq!(interests.of(&customer(1)).await.unwrap(), BTreeSet::from([books.clone(), chefs.clone()]));
        assert!(interests.remove(&customer(1), &chefs).await.unwrap());
        assert!(!interests.remove(&customer(1), &chefs).await.unwrap());
        assert_eq!(number(&wire, &["ZCARD", &keys.interested(&chefs)]).await, 0);
        assert_eq!(number(&wire, &["ZCARD", &keys.interested(&books)]).await, 1);
        let many: Vec<Label> = (0..50).map(|n| label(&format!("label{n}"))).collect();
        assert!(matches!(interests.add(&customer(1), &many).await, Err(InterestError::TooMany)));
        assert_eq!(interests.of(&customer(1)).await.unwrap().len(), 1);
        assert_eq!(interests.add(&customer(1), &many[1..]).await.unwrap(), 49);
    })
    .await;
}

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

#[tokio::test(flavor = "multi_thread")]
async fn similar_customers_are_those_a_comparison_with_everybody_finds() {
    in_each_layout(async |wire, keys| {
        let mut numbers = StdRng::seed_from_u64(21);
        let interests = Interests::new(wire.clone(), keys.clone());
        let purchases = Purchases::new(wire.clone(), keys.clone());
        let mut likes = BTreeMap::new();
        let mut bought = BTreeMap::new();
        for who in 1..=60 {
            let own: BTreeSet<String> = (0..=numbers.random_range(0..5))
                .map(|_| format!("label{}", numbers.random_range(0..12)))
                .collect();
            let labels: Vec<Label> = own.iter().map(|name| label(name)).collect();
            interests.add(&customer(who), &labels).await.unwrap();
            likes.insert(customer(who), own);
            let own: BTreeSet<String> = (0..=numbers.random_range(0..8))
                .map(|_| product(numbers.random_range(0..15)).to_string())
                .collect();
            let skus: Vec<Sku> = own.iter().map(|name| sku(name)).collect();
            purchases.add(&customer(who), &skus).await.unwrap();
            purchases.add(&customer(who), &skus).await.unwrap();
            bought.insert(customer(who), own);
        }
        for (basis, things) in [(Basis::Interests, &likes), (Basis::Purchases, &bought)] {
            let similar = SimilarCustomers::new(wire.clone(), keys.clone(), basis);
            for who in 1..=10 {
                let own = &things[&customer(who)];
                let jaccard = |other: &BTreeSet<String>| {
                    own.intersection(other).count() as f64 / own.union(other).count() as f64
                };
                let mut expected: Vec<(CustomerId, f64)> = things
                    .iter()
                    .filter(|(other, _)| **other != customer(who))
                    .map(|(other, theirs)| (other.clone(), jaccard(theirs)))
                    .filter(|(_, similarity)| *similarity > 0.0)
                    .collect();
                expected.sort_by(|a, b| b.1.total_cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
                let found = similar.to(&customer(who), 100).await.unwrap();
                let found: Vec<(CustomerId, f64)> =
                    found.into_iter().map(|similar| (similar.customer, similar.similarity)).collect();
                assert_eq!(found, expected, "{basis:?} {who}");
            }
            for recommended in similar.recommend(&customer(1), 10).await.unwrap() {
                assert!(!bought[&customer(1)].contains(recommended.sku.as_str()));
            }
            assert_eq!(similar.to(&customer(99), 5).await.unwrap(), []);
            assert_eq!(similar.recommend(&customer(99), 5).await.unwrap(), []);
        }
        // Who likes something no longer is found by it no more, whatever the index says.
        let (one, thing) = (customer(1), label("label-of-two"));
        interests.add(&one, std::slice::from_ref(&thing)).await.unwrap();
        wire.send(&["ZADD", &keys.interested(&thing), "1", "user2"]).await;
        let similar = SimilarCustomers::new(wire.clone(), keys.clone(), Basis::Interests);
        let two =
            similar.to(&one, 100).await.unwrap().into_iter().find(|found| found.customer == customer(2));
        let common = likes[&one].intersection(&likes[&customer(2)]).count();
        assert_eq!(two.is_some(), common > 0);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_shown_an_empty_page_or_what_he_has() {
    in_each_layout(async |wire, keys| {
        let shop = Recommender::new(wire.clone(), keys.clone());
        let shown = async |who, count| shop.recommend(&customer(who), count).await.unwrap();
        let because = |shown: &[Recommendation]| {
            shown.iter().map(|shown| (shown.sku.to_string(), shown.because)).collect::<Vec<_>>()
        };
        assert_eq!(shown(1, 5).await, [], "there is no product");
        let catalogue = Catalogue::new(wire.clone(), keys.clone());
        for number in 0..3 {
            let name = format!("Thing {number}").parse().unwrap();
            let product = Product { sku: product(number), name, price: "1".parse().unwrap() };
            catalogue.put(&product).await.unwrap();
        }
        let fresh = because(&shown(1, 2).await);
        assert!(
            fresh.len() == 2 && fresh.iter().all(|(_, because)| *because == Because::OnSale),
            "{fresh:?}"
        );

        for _ in 0..3 {
            shop.viewed(&customer(2), &product(1), Some(&label("Books"))).await.unwrap();
        }
        shop.viewed(&customer(2), &product(2), Some(&label("Toys"))).await.unwrap();
        let popular = [("PROD1".into(), Because::Popular), ("PROD2".into(), Because::Popular)];
        assert_eq!(because(&shown(1, 2).await), popular);
        Interests::new(wire.clone(), keys.clone()).add(&customer(1), &[label("Toys")]).await.unwrap();
        let liked = [("PROD2".into(), Because::PopularInInterests), ("PROD1".into(), Because::Popular)];
        assert_eq!(because(&shown(1, 2).await), liked);

        let pair = [product(0), product(1)];
        for order in ["o1", "o2", "o2"] {
            shop.ordered(&customer(3), &order.parse().unwrap(), &pair).await.unwrap();
        }
        shop.ordered(&customer(1), &"o3".parse().unwrap(), &pair[..1]).await.unwrap();
        let all = [("PROD1".into(), Because::BoughtTogether), ("PROD2".into(), Because::PopularInInterests)];
        assert_eq!(because(&shown(1, 5).await), all);
        // He bought everything.
        shop.ordered(&customer(1), &"o4".parse().unwrap(), &[product(1), product(2)]).await.unwrap();
        assert_eq!(shown(1, 1).await.len(), 1);
        assert_eq!(shown(1, 0).await, []);
        assert_eq!(shown(1, usize::MAX).await, shown(1, usize::MAX).await);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_somebody_looks_at_counts_also_if_he_has_bought_a_lot() {
    in_each_layout(async |wire, keys| {
        let shop = Recommender::new(wire.clone(), keys.clone());
        let pair = [product(100), product(101)];
        for order in ["o1", "o2"] {
            shop.ordered(&customer(1), &order.parse().unwrap(), &pair).await.unwrap();
        }
        let many: Vec<Sku> = (0..50).map(product).collect();
        Purchases::new(wire.clone(), keys.clone()).add(&customer(2), &many).await.unwrap();
        shop.viewed(&customer(2), &product(100), None).await.unwrap();
        let shown = shop.recommend(&customer(2), 1).await.unwrap();
        assert_eq!(shown, [Recommendation { sku: product(101), because: Because::BoughtTogether }]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn reports_and_questions_take_the_round_trips_they_state() {
    in_each_layout(async |wire, keys| {
        let cluster = keys.layout() == storefront::Layout::Cluster;
        let trips = |here: usize, there: usize| if cluster { there } else { here };
        let views = RecentViews::new(wire.clone(), keys.clone());
        let popular = PopularProducts::new(wire.clone(), keys.clone());
        let together = BoughtTogether::new(wire.clone(), keys.clone());
        let similar = SimilarCustomers::new(wire.clone(), keys.clone(), Basis::Purchases);
        let shop = Recommender::new(wire.clone(), keys.clone());
        let bought = [product(1), product(2), product(3)];
        for order in ["o1", "o2"] {
            shop.ordered(&customer(1), &order.parse().unwrap(), &bought).await.unwrap();
            shop.ordered(&customer(2), &order.parse().unwrap(), &bought).await.unwrap();
        }
        shop.viewed(&customer(1), &product(1), Some(&label("Books"))).await.unwrap();
        popular.top(1).await.unwrap();

        assert_eq!(wire.round_trips_of(views.viewed(&customer(1), &product(2))).await, 1);
        assert_eq!(wire.round_trips_of(views.of(&customer(1), 10)).await, 1);
        assert_eq!(wire.round_trips_of(popular.viewed(&product(2), None)).await, 1);
        let books = label("Books");
        assert_eq!(wire.round_trips_of(popular.viewed(&product(2), Some(&books))).await, trips(1, 2));
        assert_eq!(wire.round_trips_of(popular.top(10)).await, 1);
        let order = "o9".parse().unwrap();
        assert_eq!(wire.round_trips_of(together.count(&order, &bought)).await, trips(1, 3));
        assert_eq!(wire.round_trips_of(together.with(&product(1), 10)).await, trips(2, 1 + 3));
        assert_eq!(wire.round_trips_of(similar.to(&customer(1), 10)).await, trips(3, 1 + 3 + 1));
        assert_eq!(wire.round_trips_of(similar.recommend(&customer(1), 10)).await, trips(5, 7));
        // Customer 3 looked at a product and sees two that go with it: views and purchases, pairs, supports.
        shop.viewed(&customer(3), &product(1), None).await.unwrap();
        let shown = wire.round_trips_of(shop.recommend(&customer(3), 2)).await;
        assert_eq!(shown, trips(4, 2 + 1 + 3));
        // Customer 9 is new: views and purchases, interests, what is popular.
        let shown = wire.round_trips_of(shop.recommend(&customer(9), 1)).await;
        assert_eq!(shown, 4);
    })
    .await;
}

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
