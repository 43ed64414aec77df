use std::time::Duration;

use lab_testing::TestConnection;
use patterns::popular_products::{Popular, PopularProducts};
use patterns::script::StoreError;

use crate::everywhere;

const DAY_MS: u64 = 86_400_000;
const WEEK_MS: u64 = 7 * DAY_MS;

/// The server's clock.
async fn now(connection: &TestConnection) -> u64 {
    let server = if connection.is_cluster() { TestConnection::server().await } else { connection.clone() };
    let (seconds, micros): (u64, u64) = server.send(&["TIME"]).await;
    seconds * 1_000 + micros / 1_000
}

fn skus(top: &[Popular]) -> Vec<&str> {
    top.iter().map(|popular| popular.sku.as_str()).collect()
}

#[test]
fn views_are_summed_and_old_ones_weigh_less() {
    everywhere(async |connection, prefix| {
        let popular = PopularProducts::new(connection.clone(), &prefix);
        // Views of the last weeks: each halves for every week since.
        let views: [(&str, f64, u32); 3] = [("OLD", 10.0, 300), ("NEW", 1.0, 60), ("NOW", 0.0, 40)];
        for (sku, weeks, count) in views {
            let weight = f64::from(count) * (-weeks).exp2();
            popular.add(sku, Some("Books"), weight).await.unwrap();
        }
        for _ in 0..5 {
            popular.viewed("NOW", None).await.unwrap();
        }
        let top = popular.top(10).await.unwrap();
        assert_eq!(skus(&top), ["NOW", "NEW", "OLD"]);
        for (popular, expected) in top.iter().zip([45.0, 30.0, 300.0 / 1_024.0]) {
            // The clock went on meanwhile, by far less than an hour.
            assert!((0.99..1.000_001).contains(&(popular.views / expected)), "{popular:?} {expected}");
        }
        // As it is stored, so it is ranked.
        let key = popular.key().unwrap();
        let stored: Vec<String> = connection.send(&["ZREVRANGE", key.as_str(), "0", "9"]).await;
        assert_eq!(stored, skus(&top));
        assert_eq!(skus(&popular.top_in("Books", 2).await.unwrap()), ["NOW", "NEW"]);
        assert_eq!(popular.top(0).await.unwrap(), []);
        assert_eq!(popular.top_in("Toys", 9).await.unwrap(), []);
        let ttl: i64 = connection.send(&["PTTL", key.as_str()]).await;
        assert!(ttl > 0, "{ttl}");

        assert_eq!(connection.round_trips_of(popular.viewed("NOW", None)).await, 1);
        assert_eq!(connection.round_trips_of(popular.top(10)).await, 1);
    });
}

#[test]
fn a_clock_that_was_set_back_neither_stops_views_nor_lets_those_of_the_future_win() {
    everywhere(async |connection, prefix| {
        let popular =
            PopularProducts::new(connection.clone(), &prefix).with_half_life(Duration::from_hours(1));
        let key = popular.key().unwrap();
        let clock = key.companion("clock");
        // The clock was a day ahead, and 24 half-lives weigh 16 million times as much.
        let future = now(&connection).await + DAY_MS;
        let score = (future as f64 / 3_600_000.0).to_string();
        let _: i64 = connection.send(&["ZADD", key.as_str(), &score, "FUTURE"]).await;
        let _: i64 = connection.send(&["HSET", &clock, "at", &future.to_string(), "ahead", "0"]).await;
        assert!(popular.top(1).await.unwrap()[0].views < 1.000_001);
        for _ in 0..2 {
            popular.viewed("PRESENT", None).await.unwrap();
        }
        let top = popular.top(2).await.unwrap();
        assert_eq!(skus(&top), ["PRESENT", "FUTURE"]);
        assert!((top[0].views - 2.0).abs() < 0.01 && top[1].views < 1.01, "{top:?}");
        let at: u64 = connection.send(&["HGET", &clock, "at"]).await;
        assert!(at < future, "the clock is healed");
    });
}

#[test]
fn junk_in_the_clock_is_replaced_and_hostile_weights_do_no_harm() {
    everywhere(async |connection, prefix| {
        let popular = PopularProducts::new(connection.clone(), &prefix);
        let clock = popular.key().unwrap().companion("clock");
        for junk in ["soon", "inf", "nan", "-1", "1e300", "99999999999999999999"] {
            let _: i64 = connection.send(&["HSET", &clock, "at", junk, "ahead", junk]).await;
            popular.viewed("A", None).await.unwrap();
            assert!(popular.top(1).await.unwrap()[0].views.is_finite(), "{junk}");
        }
        for weight in [f64::NAN, f64::INFINITY, -1.0, 0.0] {
            popular.add("B", None, weight).await.unwrap();
        }
        let top = popular.top(9).await.unwrap();
        assert!(top[0].sku == "B" && top[0].views < 1.1e6, "{top:?}");
        assert!((top[1].views - 6.0).abs() < 0.01, "{top:?}");

        let _: () = connection.send(&["SET", popular.category_key("Books").unwrap().as_str(), "mine"]).await;
        assert_matches!(popular.viewed("A", Some("Books")).await, Err(StoreError::WrongType(_)));
    });
}

#[test]
fn a_ranking_stays_bounded_and_a_newcomer_gets_in() {
    everywhere(async |connection, prefix| {
        let popular = PopularProducts::new(connection.clone(), &prefix).with_max_products(10);
        for number in 0..60 {
            popular.viewed(&format!("P{number}"), None).await.unwrap();
            popular.viewed("BEST", None).await.unwrap();
        }
        let top = popular.top(100).await.unwrap();
        assert!(top.len() <= 12 && top[0].sku == "BEST", "{top:?}");
        assert!(skus(&top).contains(&"P59"), "{top:?}");
        assert!((top[0].views - 60.0).abs() < 0.01, "{top:?}");
        assert!(now(&connection).await / WEEK_MS > 0);
    });
}
