//! What is stored under which name, in how many round trips, and what somebody else has stored there.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::time::Duration;

use proptest::prelude::*;
use redis::Value;
use storefront::cache::{Cache, CacheError, KeyText};
use storefront::{Keys, Layout, StoreError};
use tokio::time::sleep;

use crate::shop::{cases, in_each_layout};
use crate::support::{number, product};

#[tokio::test]
async fn a_value_that_cannot_be_read_is_loaded_anew_and_another_type_is_an_error() {
    in_each_layout(async |wire, keys| {
        let cache = Cache::new(wire.clone(), keys.clone(), sleep);
        let key = product(&keys, "123");
        for bad in ["", "not JSON", "{\"name\":\"mug\"}", "-1", "\u{0}"] {
            wire.send(&["SET", &key.value, bad]).await;
            assert_eq!(cache.get_or_load(&key, || number(1)).await.unwrap(), Some(1), "{bad}");
            assert_eq!(wire.send(&["GET", &key.value]).await, Value::BulkString(b"1".to_vec()));
        }
        assert_eq!(cache.statistics().unreadable, 4, "nothing at all is no document either");
        wire.send(&["DEL", &key.value]).await;
        wire.send(&["LPUSH", &key.value, "somebody else's"]).await;
        let error = cache.get_or_load(&key, || number(1)).await.unwrap_err();
        assert!(matches!(error, CacheError::Store(StoreError::WrongType { .. })), "{error}");
        assert_eq!(wire.send(&["LLEN", &key.value]).await, Value::Int(1));
    })
    .await;
}

#[tokio::test]
async fn a_hit_is_one_round_trip_and_a_load_two() {
    in_each_layout(async |wire, keys| {
        for stale_for in [Duration::ZERO, Duration::from_mins(1)] {
            let cache = Cache::new(wire.clone(), keys.clone(), sleep).with_stale_for(stale_for);
            let key = product(&keys, &format!("p{}", stale_for.as_secs()));
            cache.get_or_load(&key, || number(1)).await.unwrap();
            cache.put(&key, Some(&2)).await.unwrap();
            assert_eq!(wire.round_trips_of(cache.get_or_load(&key, || number(9))).await, 1);
            assert_eq!(wire.round_trips_of(cache.invalidate(&key)).await, 1);
            assert_eq!(wire.round_trips_of(cache.get_or_load(&key, || number(9))).await, 2);
            assert_eq!(wire.round_trips_of(cache.put(&key, Some(&3))).await, 1);
            assert_eq!(cache.get_or_load(&key, || number(9)).await.unwrap(), Some(3));
            let seen = cache.statistics();
            assert_eq!((seen.hits, seen.loads), (2, 2));
            assert!((seen.hit_rate() - 0.5).abs() < 1e-9);
        }
    })
    .await;
}

#[test]
fn names_are_those_of_the_shop() {
    let (one, cluster) = (Keys::new("", Layout::Standalone), Keys::new("", Layout::Cluster));
    let (query, id) = ("query".parse().unwrap(), "123".parse().unwrap());
    assert_eq!(one.cached_product(&id).value, "product:123");
    assert_eq!(one.cached_search(&query, 1).value, "search:query:page:1");
    assert_eq!(one.cached_answer(&"rates".parse().unwrap(), &"EUR".parse().unwrap()).value, "api:rates:EUR");
    assert_eq!(cluster.cached_product(&id).load, "product:{123}:load");
    assert_eq!(cluster.cached_search(&query, 1).value, "search:{query}:page:1");
    assert!("".parse::<KeyText>().is_err() && "x".repeat(129).parse::<KeyText>().is_err());
}

#[tokio::test]
async fn a_document_is_never_written_over_somebody_elses_key() {
    in_each_layout(async |wire, keys| {
        let cache = Cache::new(wire.clone(), keys.clone(), sleep);
        let key = product(&keys, "123");
        wire.send(&["HSET", &key.value, "name", "Coffee mug"]).await;
        assert!(cache.put(&key, Some(&1)).await.is_err());
        assert_eq!(wire.send(&["HLEN", &key.value]).await, redis::Value::Int(1));

        // It comes while somebody loads.
        let key = product(&keys, "456");
        let load = async || {
            wire.send(&["HSET", &key.value, "name", "Coffee mug"]).await;
            Ok::<_, Infallible>(Some(1))
        };
        assert_eq!(cache.get_or_load(&key, load).await.unwrap(), Some(1));
        assert_eq!(cache.statistics().not_stored, 1);
        assert_eq!(wire.send(&["HLEN", &key.value]).await, redis::Value::Int(1));
    })
    .await;
}

proptest! {
    #![proptest_config(cases(256))]

    #[test]
    fn no_search_can_name_another_key(one in "\\PC{1,20}|[:{}*%a]{1,10}", other in "\\PC{1,20}|[:{}*%a]{1,10}", page in 0..3_u32) {
        let keys = Keys::new("", Layout::Standalone);
        let of = |text: &str| keys.cached_search(&text.parse().unwrap(), page).value;
        prop_assert_eq!(one == other, of(&one) == of(&other));
        prop_assert_eq!(of(&one).matches(':').count(), 3);
        let signs: BTreeSet<char> = "{}*?[ \n\r\0".chars().collect();
        prop_assert!(!of(&one).chars().any(|character| signs.contains(&character) || !character.is_ascii()));
    }
}
