//! The cache: one loader however many ask, no stale document after an invalidation, whatever happens at once.

#![allow(
    clippy::unwrap_used,
    reason = "clippy's exemption for tests does not reach what they share or await"
)]

mod shop;

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::future::{Ready, pending, ready};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use proptest::prelude::*;
use redis::Value;
use shop::faults::Breaking;
use shop::moving::Moving;
use shop::{Wire, in_each_layout, own_keys, server, until};
use storefront::cache::{Cache, CacheError, CacheKey, KeyText};
use storefront::{Keys, Layout, StoreError};
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::sleep;

fn product(keys: &Keys, id: &str) -> CacheKey {
    keys.cached_product(&id.parse().unwrap())
}

/// Loads a number and nothing else.
fn number(number: u64) -> Ready<Result<Option<u64>, Infallible>> {
    ready(Ok(Some(number)))
}

async fn another(layout: Layout) -> Wire {
    match layout {
        Layout::Standalone => Wire::standalone().await,
        Layout::Cluster => Wire::cluster().await,
    }
}

async fn pttl(wire: &Wire, key: &str) -> u64 {
    match wire.send(&["PTTL", key]).await {
        Value::Int(ttl) => ttl.try_into().unwrap(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_hundred_misses_at_once_one_loads() {
    in_each_layout(async |_, keys| {
        let loads = Arc::new(AtomicUsize::new(0));
        // As many processes: connections, counters and tokens of their own.
        let mut caches = Vec::new();
        for _ in 0..5 {
            caches.push(Cache::new(another(keys.layout()).await, keys.clone(), sleep));
        }
        for round in 0..5_u64 {
            let key = product(&keys, &round.to_string());
            let mut crowd = JoinSet::new();
            let others = caches.clone();
            let pauses = move || others.iter().map(|cache| cache.statistics().pauses).sum::<u64>();
            let before = pauses();
            for client in 0..100 {
                let (cache, key, loads) = (caches[client % 5].clone(), key.clone(), Arc::clone(&loads));
                let pauses = pauses.clone();
                crowd.spawn(async move {
                    let load = || async {
                        loads.fetch_add(1, Ordering::Relaxed);
                        // Until all others wait.
                        until("the others wait", async || pauses() - before >= 99).await;
                        number(round).await
                    };
                    cache.get_or_load(&key, load).await.unwrap().unwrap()
                });
            }
            assert!(crowd.join_all().await.iter().all(|loaded| *loaded == round));
        }
        assert_eq!(loads.load(Ordering::Relaxed), 5, "one load for each document");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_loads_while_the_slots_move() {
    let (wire, keys) = (Wire::cluster().await, own_keys(Layout::Cluster));
    let cache = Cache::new(wire, keys.clone(), sleep);
    let documents: Vec<CacheKey> = (0..3).map(|id| product(&keys, &id.to_string())).collect();
    let moving = Moving::slots_of(documents.iter().map(|key| &key.value));
    let loads = Arc::new(AtomicUsize::new(0));
    let mut rounds = 0;
    for round in 0..10_u64 {
        for key in &documents {
            let mut crowd = JoinSet::new();
            for _ in 0..20 {
                let (cache, key, loads) = (cache.clone(), key.clone(), Arc::clone(&loads));
                crowd.spawn(async move {
                    let load = || async {
                        loads.fetch_add(1, Ordering::Relaxed);
                        number(round).await
                    };
                    cache.get_or_load(&key, load).await.unwrap().unwrap()
                });
            }
            assert!(crowd.join_all().await.iter().all(|loaded| *loaded == round));
            cache.invalidate(key).await.unwrap();
            rounds += 1;
        }
    }
    assert_eq!(loads.load(Ordering::Relaxed), rounds);
    assert!(moving.end() > 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_loads_over_connections_that_break() {
    let breaking = Breaking::in_front_of(server(), 9).await;
    let keys = own_keys(Layout::Standalone);
    let loads = Arc::new(AtomicUsize::new(0));
    let mut crowd = JoinSet::new();
    for _ in 0..10 {
        let wire = Wire::reconnecting(breaking.url()).await;
        // A loader who never hears that it is his turn is waited for this long.
        let cache = Cache::new(wire, keys.clone(), sleep).with_load_time(Duration::from_secs(1));
        for _ in 0..10 {
            let (cache, key, loads) = (cache.clone(), product(&keys, "123"), Arc::clone(&loads));
            crowd.spawn(async move {
                for _ in 0..10 {
                    loop {
                        let load = || async {
                            loads.fetch_add(1, Ordering::Relaxed);
                            number(7).await
                        };
                        match cache.get_or_load(&key, load).await {
                            Ok(loaded) => break assert_eq!(loaded, Some(7)),
                            Err(error) => assert!(error.redis_error().is_some(), "{error}"),
                        }
                    }
                }
            });
        }
    }
    crowd.join_all().await;
    assert!(breaking.broken() > 5, "only {} connections broke", breaking.broken());
    assert_eq!(loads.load(Ordering::Relaxed), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn when_a_loader_panics_or_never_returns_somebody_else_takes_over() {
    in_each_layout(async |wire, keys| {
        let cache = Cache::new(wire, keys.clone(), sleep).with_load_time(Duration::from_secs(1));
        for panics in [true, false] {
            let key = product(&keys, if panics { "panics" } else { "hangs" });
            let (his, his_key, begun) = (cache.clone(), key.clone(), Arc::new(Notify::new()));
            let tell = Arc::clone(&begun);
            let dead = tokio::spawn(async move {
                let load = || async {
                    tell.notify_one();
                    assert!(!panics, "the loader dies");
                    pending::<Result<Option<u64>, Infallible>>().await
                };
                his.get_or_load(&his_key, load).await
            });
            begun.notified().await;
            let mut crowd = JoinSet::new();
            let loads = Arc::new(AtomicUsize::new(0));
            for _ in 0..10 {
                let (cache, key, loads) = (cache.clone(), key.clone(), Arc::clone(&loads));
                crowd.spawn(async move {
                    let load = || async {
                        loads.fetch_add(1, Ordering::Relaxed);
                        number(1).await
                    };
                    cache.get_or_load(&key, load).await.unwrap()
                });
            }
            assert!(crowd.join_all().await.iter().all(|loaded| *loaded == Some(1)));
            assert_eq!(loads.load(Ordering::Relaxed), 1, "one of ten took over");
            dead.abort();
        }
    })
    .await;
}

#[tokio::test]
async fn a_loader_who_cannot_store_lets_the_next_one_load_at_once() {
    // Its memory runs out while somebody loads, so it is a server of its own.
    let server = lab_server::Server::start().unwrap();
    let wire = Wire::reconnecting(&server.url()).await;
    let keys = own_keys(Layout::Standalone);
    let cache = Cache::new(wire.clone(), keys.clone(), sleep).with_wait(Duration::ZERO);
    let key = product(&keys, "123");
    let load = async || {
        wire.send(&["CONFIG", "SET", "maxmemory", "1"]).await;
        number(1).await
    };
    assert_eq!(cache.get_or_load(&key, load).await.unwrap(), Some(1));
    assert_eq!(cache.statistics().not_stored, 1);
    wire.send(&["CONFIG", "SET", "maxmemory", "0"]).await;
    assert_eq!(cache.get_or_load(&key, || number(2)).await.unwrap(), Some(2), "nobody holds it up");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_loader_brings_too_late_is_his_callers_and_is_not_stored() {
    in_each_layout(async |wire, keys| {
        let cache = Cache::new(wire, keys.clone(), sleep).with_load_time(Duration::from_millis(500));
        let key = product(&keys, "123");
        let (slow, slow_key, begun, go) =
            (cache.clone(), key.clone(), Arc::new(Notify::new()), Arc::new(Notify::new()));
        let (tell, wait) = (Arc::clone(&begun), Arc::clone(&go));
        let slow = tokio::spawn(async move {
            let load = || async {
                tell.notify_one();
                wait.notified().await;
                number(1).await
            };
            slow.get_or_load(&slow_key, load).await.unwrap()
        });
        begun.notified().await;
        assert_eq!(cache.get_or_load(&key, || number(2)).await.unwrap(), Some(2), "somebody else took over");
        go.notify_one();
        assert_eq!(slow.await.unwrap(), Some(1));
        assert_eq!(cache.get_or_load(&key, || number(3)).await.unwrap(), Some(2), "the newer one stays");
        assert_eq!((cache.statistics().late, cache.statistics().loads), (1, 2));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_document_is_served_that_is_older_than_an_invalidation_before_the_call() {
    in_each_layout(async |_, keys| {
        let writes = if keys.layout() == Layout::Standalone { 300 } else { 150 };
        let key = product(&keys, "123");
        // The row, and what is certain of it: the number whose invalidation has returned.
        let (row, certain) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
        let (reads, loads) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
        let mut readers = JoinSet::new();
        for _ in 0..8_u64 {
            let cache = Cache::new(another(keys.layout()).await, keys.clone(), sleep);
            let (key, row, certain) = (key.clone(), Arc::clone(&row), Arc::clone(&certain));
            let (reads, loads) = (Arc::clone(&reads), Arc::clone(&loads));
            readers.spawn(async move {
                let mut stale = 0_u64;
                while certain.load(Ordering::SeqCst) < writes {
                    let at_least = certain.load(Ordering::SeqCst);
                    let load = || async {
                        let read = row.load(Ordering::SeqCst);
                        // Slow enough for a write and its invalidation to come between reading and storing.
                        sleep(Duration::from_millis(loads.fetch_add(1, Ordering::SeqCst) % 4)).await;
                        number(read).await
                    };
                    let found = cache.get_or_load(&key, load).await.unwrap().unwrap();
                    stale += u64::from(found < at_least);
                    reads.fetch_add(1, Ordering::Relaxed);
                }
                (stale, cache.statistics().late)
            });
        }
        let shopkeeper = Cache::new(another(keys.layout()).await, keys.clone(), sleep);
        for write in 1..=writes {
            row.store(write, Ordering::SeqCst);
            let seen = loads.load(Ordering::SeqCst);
            shopkeeper.invalidate(&key).await.unwrap();
            certain.store(write, Ordering::SeqCst);
            // The next write comes while somebody loads, or a moment later.
            let begun = async {
                while loads.load(Ordering::SeqCst) == seen && write < writes {
                    tokio::task::yield_now().await;
                }
            };
            // Were something stale stored after all, nobody would load any more; the readers count that.
            let _ = tokio::time::timeout(Duration::from_millis(200), begun).await;
            sleep(Duration::from_millis(write % 3)).await;
        }
        let ends = readers.join_all().await;
        let (stale, late) = ends.iter().fold((0, 0), |sum, end| (sum.0 + end.0, sum.1 + end.1));
        let (reads, loads) = (reads.load(Ordering::Relaxed), loads.load(Ordering::Relaxed));
        println!(
            "{:?}: {writes} writes, {reads} reads, {loads} loads, {late} too late, {stale} stale",
            keys.layout()
        );
        assert_eq!(stale, 0, "of {reads}");
        assert!(late > 0, "no load was overtaken: this shows nothing");
    })
    .await;
}

#[tokio::test]
async fn times_to_live_vary_within_their_share() {
    in_each_layout(async |wire, keys| {
        let cache = Cache::new(wire.clone(), keys.clone(), sleep)
            .with_ttl(Duration::from_secs(100))
            .with_jitter(0.1)
            .with_stale_for(Duration::from_secs(1000));
        let mut lives = Vec::new();
        for id in 0..200 {
            let (key, began) = (product(&keys, &id.to_string()), Instant::now());
            cache.get_or_load(&key, || number(1)).await.unwrap();
            let life = pttl(&wire, &key.value).await;
            let elapsed = u64::try_from(began.elapsed().as_millis()).unwrap() + 1;
            assert!(life <= 1_100_000 && life + elapsed >= 1_090_000, "{life}");
            lives.push(life);
        }
        let (shortest, longest) = (lives.iter().min().unwrap(), lives.iter().max().unwrap());
        assert!(longest - shortest > 7_000, "spread over most of ten seconds: {shortest} to {longest}");
    })
    .await;
}

#[tokio::test]
async fn what_does_not_exist_is_asked_for_once_and_remembered_for_a_shorter_time() {
    in_each_layout(async |wire, keys| {
        let cache = Cache::new(wire.clone(), keys.clone(), sleep)
            .with_jitter(0.0)
            .with_absent_ttl(Duration::from_secs(5));
        let key = product(&keys, "nothing");
        let mut loads = 0;
        for _ in 0..10 {
            let load = || {
                loads += 1;
                async { Ok::<Option<u64>, Infallible>(None) }
            };
            assert_eq!(cache.get_or_load(&key, load).await.unwrap(), None);
        }
        assert_eq!((loads, cache.statistics().hits), (1, 9));
        assert_eq!(wire.send(&["GET", &key.value]).await, Value::BulkString(b"null".to_vec()));
        assert!((1..=5_000).contains(&pttl(&wire, &key.value).await));
        // The document is created, and the entry deleted.
        cache.invalidate(&key).await.unwrap();
        assert_eq!(cache.get_or_load(&key, || number(1)).await.unwrap(), Some(1));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stale_document_is_served_to_all_but_the_one_who_loads_it_anew() {
    in_each_layout(async |wire, keys| {
        let stale_for = Duration::from_mins(10);
        let cache = Cache::new(wire.clone(), keys.clone(), sleep).with_stale_for(stale_for);
        let key = product(&keys, "123");
        cache.get_or_load(&key, || number(1)).await.unwrap();
        assert_eq!(cache.get_or_load(&key, || number(9)).await.unwrap(), Some(1), "fresh");
        // Its time is over: what is left is less than the stale time.
        wire.send(&["PEXPIRE", &key.value, "599999"]).await;
        let (mut crowd, loads, served) =
            (JoinSet::new(), Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        for _ in 0..50 {
            let (cache, key) = (cache.clone(), key.clone());
            let (loads, served) = (Arc::clone(&loads), Arc::clone(&served));
            crowd.spawn(async move {
                let load = || async {
                    loads.fetch_add(1, Ordering::Relaxed);
                    // Until all others have got their answer, so none of them has waited for this.
                    until("the others are served", async || served.load(Ordering::Relaxed) == 49).await;
                    number(2).await
                };
                let found = cache.get_or_load(&key, load).await.unwrap().unwrap();
                served.fetch_add(1, Ordering::Relaxed);
                found
            });
        }
        let found = crowd.join_all().await;
        assert_eq!(found.iter().filter(|found| **found == 1).count(), 49);
        assert_eq!((loads.load(Ordering::Relaxed), cache.statistics().stale), (1, 49));
        assert_eq!(cache.get_or_load(&key, || number(9)).await.unwrap(), Some(2));

        // A refresh that fails: the stale document, and the next caller tries.
        wire.send(&["PEXPIRE", &key.value, "599999"]).await;
        let fails = || async { Err::<Option<u64>, &str>("no database") };
        assert_eq!(cache.get_or_load(&key, fails).await.unwrap(), Some(2));
        assert_eq!(cache.get_or_load(&key, || number(3)).await.unwrap(), Some(3));
    })
    .await;
}

#[tokio::test]
async fn a_load_that_fails_is_the_callers_error_and_the_next_one_loads_at_once() {
    in_each_layout(async |wire, keys| {
        let cache = Cache::new(wire, keys.clone(), sleep);
        let key = product(&keys, "123");
        let fails = || async { Err::<Option<u64>, &str>("no database") };
        let error = cache.get_or_load(&key, fails).await.unwrap_err();
        assert!(matches!(error, CacheError::Load("no database")));
        assert_eq!(cache.get_or_load(&key, || number(1)).await.unwrap(), Some(1));
        assert_eq!((cache.statistics().failed, cache.statistics().pauses), (1, 0));
    })
    .await;
}

#[tokio::test]
async fn who_waits_asks_seldom_and_not_for_ever() {
    in_each_layout(async |wire, keys| {
        let key = product(&keys, "123");
        let holder = Cache::new(wire.clone(), keys.clone(), sleep);
        let (begun, stop) = (Notify::new(), Notify::new());
        let holds = holder.get_or_load(&key, || async {
            begun.notify_one();
            stop.notified().await;
            number(1).await
        });
        let waits = async {
            begun.notified().await;
            let cache = Cache::new(wire.clone(), keys.clone(), |_| std::future::ready(()))
                .with_wait(Duration::from_secs(3));
            let mut error = None;
            // Time passes as fast as it likes here: what counts is how often is asked for 3 s of pauses.
            let trips = wire
                .round_trips_of(async { error = cache.get_or_load(&key, || number(2)).await.err() })
                .await;
            let waited = match error {
                Some(CacheError::GaveUp { waited }) => waited,
                other => panic!("{other:?}"),
            };
            assert!(waited >= Duration::from_secs(3) && waited < Duration::from_millis(3_128));
            assert!((24..=55).contains(&trips), "{trips} in 3 s: one in 64 to 128 ms");
            assert_eq!((cache.statistics().gave_up, cache.statistics().loads), (1, 0));
            stop.notify_one();
        };
        let (held, ()) = tokio::join!(holds, waits);
        assert_eq!(held.unwrap(), Some(1));
    })
    .await;
}

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

proptest! {
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
