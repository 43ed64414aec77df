//! What every limiter does for a single caller: counts, refuses, leaves a TTL, and leaves foreign data alone.

use std::num::NonZeroU32;
use std::time::Duration;

use redis::Value;
use storefront::limits::{
    Admission, Algorithm, Counting, Limit, LimitError, Limiter, MOST_LOGGED, MOST_PER_WINDOW, Window,
};
use storefront::{ApiKey, Keys, Layout, StoreError};

use crate::shop::{self, Wire, in_each_layout, until};

fn algorithms(burst: u32) -> [Algorithm; 4] {
    [
        Algorithm::FixedWindow,
        Algorithm::SlidingLog,
        Algorithm::SlidingCounter,
        Algorithm::TokenBucket { burst },
    ]
}

fn caller() -> ApiKey {
    "api_key".parse().unwrap()
}

fn limiter(wire: &Wire, keys: &Keys, algorithm: Algorithm, most: u32, window: Window) -> Limiter<Wire> {
    Limiter::new(wire.clone(), keys.clone(), Limit::new(most, window).unwrap(), algorithm).unwrap()
}

fn cost(requests: u32) -> NonZeroU32 {
    NonZeroU32::new(requests).unwrap()
}

async fn ttl_of(wire: &Wire, key: &str) -> i64 {
    redis::cmd("PTTL").arg(key).query_async(&mut wire.clone()).await.unwrap()
}

#[test]
fn keys_are_spelled_as_documented() {
    let (caller, minute) = (caller(), Window::minute());
    let (one, many) = (Keys::new("", Layout::Standalone), Keys::new("shop:", Layout::Cluster));
    assert_eq!(one.rate_limit(&caller, &minute), "rate_limit:api_key:minute");
    assert_eq!(many.rate_limit(&caller, &minute), "shop:rate_limit:{api_key}:minute");
    assert_eq!(many.rate_limit_log(&caller, &minute), "shop:rate_limit:{api_key}:minute:log");
    assert_eq!(one.rate_limit_counter(&caller, &minute), "rate_limit:api_key:minute:counter");
    assert_eq!(one.rate_limit_bucket(&caller, &minute), "rate_limit:api_key:minute:bucket");
    assert_eq!(one.rate_limit_recorded(&caller, &minute), "rate_limit:api_key:minute:recorded");
}

#[test]
fn limits_that_no_algorithm_can_keep_are_refused_when_they_are_made() {
    let window = |name: &str, length| Window::new(name, length).map(|window| window.length());
    assert_eq!(window("w", Duration::from_micros(1_999)), Ok(Duration::from_millis(1)));
    assert_eq!(window("w", Window::LONGEST), Ok(Window::LONGEST));
    for length in [Duration::ZERO, Duration::from_micros(999), Window::LONGEST + Duration::from_nanos(1)] {
        assert_eq!(window("w", length), Err(LimitError::WindowLength { length }));
    }
    assert!(matches!(window("w", Duration::MAX), Err(LimitError::WindowLength { .. })));
    for name in ["", "a:b", "{a}", "a b", "*", "é", "a\n", &"a".repeat(65)] {
        assert!(matches!(window(name, Window::LONGEST), Err(LimitError::WindowName { .. })), "{name}");
    }
    assert!(Limit::new(MOST_PER_WINDOW, Window::day()).is_ok());
    assert!(matches!(Limit::new(u32::MAX, Window::day()), Err(LimitError::TooMany { .. })));
}

#[tokio::test]
async fn limits_that_one_algorithm_cannot_keep_are_refused_by_it() {
    let wire = Wire::standalone().await;
    let make = |algorithm, most, window| {
        let limit = Limit::new(most, window).unwrap();
        Limiter::new(wire.clone(), Keys::new("", Layout::Standalone), limit, algorithm).map(|_| ())
    };
    let bucket = |burst| Algorithm::TokenBucket { burst };
    assert_eq!(make(Algorithm::SlidingLog, MOST_LOGGED, Window::day()), Ok(()));
    assert!(matches!(
        make(Algorithm::SlidingLog, MOST_LOGGED + 1, Window::day()),
        Err(LimitError::TooMany { .. })
    ));
    assert_eq!(make(bucket(MOST_PER_WINDOW), MOST_PER_WINDOW, Window::second()), Ok(()));
    let millisecond = Window::new("ms", Duration::from_millis(1)).unwrap();
    assert!(matches!(make(bucket(1), 1_001, millisecond), Err(LimitError::TooFast { .. })));
    assert_eq!(make(bucket(365), 1, Window::day()), Ok(()));
    for burst in [366, u32::MAX] {
        assert_eq!(make(bucket(burst), 1, Window::day()), Err(LimitError::TooSlow { burst }));
    }
}

#[tokio::test]
async fn a_limiter_counts_down_and_then_says_how_long_to_wait() {
    in_each_layout(async |wire, keys| {
        for algorithm in algorithms(3) {
            let limiter = limiter(&wire, &keys, algorithm, 3, Window::day());
            for left in [2, 1, 0] {
                let expected = Admission { admitted: true, remaining: left, retry_after: None };
                assert_eq!(limiter.admit(&caller()).await.unwrap(), expected, "{algorithm:?}");
            }
            let refused = limiter.admit(&caller()).await.unwrap();
            let wait = refused.retry_after.unwrap();
            assert!(!refused.admitted && refused.remaining == 0, "{algorithm:?}: {refused:?}");
            // A sliding counter whose window has just begun may have to wait for nearly two.
            assert!(wait > Duration::ZERO && wait <= 2 * Window::LONGEST, "{algorithm:?}: {wait:?}");
            // Another caller is another matter.
            assert!(limiter.admit(&"other".parse().unwrap()).await.unwrap().admitted, "{algorithm:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn each_request_is_one_round_trip() {
    in_each_layout(async |wire, keys| {
        for algorithm in algorithms(2) {
            let limiter = limiter(&wire, &keys, algorithm, 2, Window::hour());
            // The server learns the script.
            let _ = limiter.admit(&caller()).await.unwrap();
            for admitted in [true, false, false] {
                let request =
                    async { assert_eq!(limiter.admit(&caller()).await.unwrap().admitted, admitted) };
                assert_eq!(wire.round_trips_of(request).await, 1, "{algorithm:?}");
            }
        }
    })
    .await;
}

#[tokio::test]
async fn every_key_has_a_ttl_after_each_request_and_is_gone_in_the_end() {
    in_each_layout(async |wire, keys| {
        let short = Window::new("short", Duration::from_millis(60)).unwrap();
        for algorithm in algorithms(2) {
            // In an hour nothing ends while we look.
            let long = limiter(&wire, &keys, algorithm, 2, Window::hour());
            let longest = 2 * 3_600_000 + 1;
            for request in 1..=4 {
                let _ = long.admit(&caller()).await.unwrap();
                let ttl = ttl_of(&wire, &long.key_of(&caller())).await;
                assert!((1..=longest).contains(&ttl), "{algorithm:?}, request {request}: {ttl}");
            }
            let short = limiter(&wire, &keys, algorithm, 2, short.clone());
            for _ in 0..4 {
                let _ = short.admit(&caller()).await.unwrap();
            }
            let gone = async || ttl_of(&wire, &short.key_of(&caller())).await == -2;
            until("the key is gone", gone).await;
            assert!(short.admit(&caller()).await.unwrap().admitted, "{algorithm:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_refused_request_changes_nothing() {
    in_each_layout(async |wire, keys| {
        for algorithm in algorithms(5) {
            let limiter = limiter(&wire, &keys, algorithm, 5, Window::day());
            assert!(limiter.admit_many(&caller(), cost(4)).await.unwrap().admitted);
            let key = limiter.key_of(&caller());
            let before = wire.send(&["DUMP", &key]).await;
            for _ in 0..3 {
                let refused = limiter.admit_many(&caller(), cost(2)).await.unwrap();
                assert!(!refused.admitted && refused.remaining == 1, "{algorithm:?}: {refused:?}");
                assert!(refused.retry_after.is_some());
            }
            assert_eq!(wire.send(&["DUMP", &key]).await, before, "{algorithm:?}");
            // What is left is still to be had.
            assert!(limiter.admit(&caller()).await.unwrap().admitted, "{algorithm:?}");
            assert!(!limiter.admit(&caller()).await.unwrap().admitted, "{algorithm:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_request_above_the_whole_limit_is_refused_without_asking() {
    in_each_layout(async |wire, keys| {
        for algorithm in algorithms(5) {
            let (none, some) = (
                limiter(&wire, &keys, algorithm, 0, Window::hour()),
                limiter(&wire, &keys, algorithm, 5, Window::minute()),
            );
            let requests = async {
                for request in
                    [none.admit(&caller()).await, some.admit_many(&caller(), NonZeroU32::MAX).await]
                {
                    let never = Admission { admitted: false, remaining: 0, retry_after: None };
                    assert_eq!(request.unwrap(), never, "{algorithm:?}");
                }
            };
            assert_eq!(wire.round_trips_of(requests).await, 0, "{algorithm:?}");
            assert!(some.admit_many(&caller(), cost(5)).await.unwrap().admitted, "{algorithm:?}");
        }
        let empty = limiter(&wire, &keys, Algorithm::TokenBucket { burst: 0 }, 5, Window::hour());
        assert!(!empty.admit(&caller()).await.unwrap().admitted);
    })
    .await;
}

#[tokio::test]
async fn somebody_elses_value_is_named_and_left_alone() {
    in_each_layout(async |wire, keys| {
        for algorithm in algorithms(5) {
            let limiter = limiter(&wire, &keys, algorithm, 5, Window::hour());
            let key = limiter.key_of(&caller());
            let mut foreign: Vec<&[&str]> = vec![&["LPUSH", "a"]];
            match algorithm {
                Algorithm::SlidingLog => foreign.push(&["SET", "1"]),
                Algorithm::SlidingCounter => {
                    foreign.extend(
                        [["SET", "7"], ["SET", "1 2"], ["SET", "1 2 -3"], ["SET", ""]]
                            .each_ref()
                            .map(|words| &words[..]),
                    );
                }
                _ => foreign.extend(
                    [["SET", "x"], ["SET", "-1"], ["SET", "1.5"], ["SET", ""]]
                        .each_ref()
                        .map(|words| &words[..]),
                ),
            }
            for words in foreign {
                wire.send(&["DEL", &key]).await;
                wire.send(&[words[0], &key, words[1]]).await;
                let before = wire.send(&["DUMP", &key]).await;
                let error = limiter.admit(&caller()).await.unwrap_err();
                let as_expected = match words[0] {
                    "LPUSH" => matches!(error, StoreError::WrongType { .. }),
                    _ if algorithm == Algorithm::SlidingLog => matches!(error, StoreError::WrongType { .. }),
                    _ => matches!(error, StoreError::Malformed { .. }),
                };
                assert!(as_expected, "{algorithm:?} with {words:?}: {error:?}");
                assert_eq!(wire.send(&["DUMP", &key]).await, before, "{algorithm:?} with {words:?}");
                assert_eq!(ttl_of(&wire, &key).await, -1);
            }
        }
    })
    .await;
}

#[tokio::test]
async fn a_counter_that_somebody_left_without_a_ttl_does_not_refuse_for_ever() {
    in_each_layout(async |wire, keys| {
        let limiter = limiter(&wire, &keys, Algorithm::FixedWindow, 5, Window::minute());
        let key = limiter.key_of(&caller());
        wire.send(&["SET", &key, "5"]).await;
        let refused = limiter.admit(&caller()).await.unwrap();
        assert_eq!(refused.retry_after, Some(Duration::from_mins(1)));
        assert!((1..=60_000).contains(&ttl_of(&wire, &key).await));
    })
    .await;
}

#[tokio::test]
async fn log_entries_of_one_moment_do_not_collide() {
    let wire = Wire::standalone().await;
    let keys = shop::own_keys(Layout::Standalone);
    let time = storefront::limits::RecordedTime::default();
    let limiter =
        limiter(&wire, &keys, Algorithm::SlidingLog, 1_000, Window::minute()).on_recorded_time(time.clone());
    let key = limiter.key_of(&caller());
    let at = async |second| {
        time.set(Duration::from_secs(second));
        for _ in 0..50 {
            assert!(limiter.admit_many(&caller(), cost(3)).await.unwrap().admitted);
        }
    };
    at(1_000).await;
    at(1_050).await;
    // Those of 1,000 leave; then the clock is set back to a moment that is in the log.
    time.set(Duration::from_secs(1_061));
    assert!(limiter.admit(&caller()).await.unwrap().admitted);
    at(1_050).await;
    assert_eq!(wire.send(&["ZCARD", &key]).await, Value::Int(301));
}

#[tokio::test]
async fn a_clock_set_back_shuts_nobody_out_for_longer_than_two_windows() {
    in_each_layout(async |wire, keys| {
        for algorithm in [Algorithm::SlidingCounter, Algorithm::TokenBucket { burst: 5 }] {
            let time = storefront::limits::RecordedTime::default();
            let limiter =
                limiter(&wire, &keys, algorithm, 5, Window::minute()).on_recorded_time(time.clone());
            time.set(Duration::from_mins(100));
            assert!(limiter.admit_many(&caller(), cost(5)).await.unwrap().admitted);
            time.set(Duration::from_secs(5_990));
            let refused = limiter.admit(&caller()).await.unwrap();
            assert!(!refused.admitted, "{algorithm:?}");
            assert!(refused.retry_after.unwrap() <= Duration::from_mins(2), "{algorithm:?}: {refused:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_server_is_asked_whether_it_has_increx() {
    in_each_layout(async |wire, _| {
        let info: Vec<Value> =
            redis::cmd("COMMAND").arg("INFO").arg("INCREX").query_async(&mut wire.clone()).await.unwrap();
        let expected =
            if matches!(info[..], [Value::Array(_)]) { Counting::Increx } else { Counting::Script };
        assert_eq!(Counting::of_server(&mut wire.clone()).await.unwrap(), expected);
    })
    .await;
}
