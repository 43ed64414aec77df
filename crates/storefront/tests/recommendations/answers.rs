//! Views, popularity, pairs, people and vectors, against counting in memory.

use std::collections::{BTreeMap, BTreeSet};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use storefront::recommendations::{
    Basis, Because, BoughtTogether, InterestError, Interests, PopularProducts, Purchases, RecentViews,
    Recommendation, Recommender, SimilarCustomers,
};
use storefront::{Catalogue, CustomerId, Label, Product, Sku};
use tokio::task::JoinSet;

use crate::shop::{in_each_layout, sku};
use crate::support::{customer, label, number, product};

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
