//! Of many who miss at once one loads, whatever happens to him.

use std::convert::Infallible;
use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use storefront::Layout;
use storefront::cache::{Cache, CacheError, CacheKey};
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::shop::faults::Breaking;
use crate::shop::moving::Moving;
use crate::shop::{Wire, in_each_layout, own_keys, server, until};
use crate::support::{another, number, patient, product};

#[tokio::test(flavor = "multi_thread")]
async fn of_a_hundred_misses_at_once_one_loads() {
    in_each_layout(async |_, keys| {
        let loads = Arc::new(AtomicUsize::new(0));
        // As many processes: connections, counters and tokens of their own.
        let mut caches = Vec::new();
        for _ in 0..5 {
            caches.push(patient(another(keys.layout()).await, keys.clone()));
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
    let cache = patient(wire, keys.clone());
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
    let (mut crowd, mut caches) = (JoinSet::new(), Vec::new());
    for _ in 0..10 {
        let wire = Wire::reconnecting(breaking.url()).await;
        // A loader who never hears that it is his turn is waited for this long.
        let cache = Cache::new(wire, keys.clone(), sleep).with_load_time(Duration::from_secs(1));
        caches.push(cache.clone());
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
    // What was loaded can be lost twice on its way to the server, seldom; whose load that was says so, and another loads.
    let said = |cache: &Cache<Wire>| cache.statistics().late + cache.statistics().not_stored;
    let lost: u64 = caches.iter().map(said).sum();
    let loads = loads.load(Ordering::Relaxed) as u64;
    assert!((1..=1 + lost).contains(&loads), "{loads} loads, {lost} of them were not stored");
}

#[tokio::test(flavor = "multi_thread")]
async fn when_a_loader_panics_or_never_returns_somebody_else_takes_over() {
    in_each_layout(async |wire, keys| {
        let cache = patient(wire.clone(), keys.clone());
        for panics in [true, false] {
            let key = product(&keys, if panics { "panics" } else { "hangs" });
            let his = cache.clone();
            let (his_key, begun) = (key.clone(), Arc::new(Notify::new()));
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
            let (loads, pauses) = (Arc::new(AtomicUsize::new(0)), cache.statistics().pauses);
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
            until("they wait for him", async || cache.statistics().pauses - pauses >= 10).await;
            // The time for his load is over.
            wire.send(&["PEXPIRE", &key.load, "1"]).await;
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
        let cache = patient(wire.clone(), keys.clone());
        let key = product(&keys, "123");
        let slow = cache.clone();
        let (slow_key, begun, go) = (key.clone(), Arc::new(Notify::new()), Arc::new(Notify::new()));
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
        // The time for his load is over.
        wire.send(&["PEXPIRE", &key.load, "1"]).await;
        assert_eq!(cache.get_or_load(&key, || number(2)).await.unwrap(), Some(2), "somebody else took over");
        go.notify_one();
        assert_eq!(slow.await.unwrap(), Some(1));
        assert_eq!(cache.get_or_load(&key, || number(3)).await.unwrap(), Some(2), "the newer one stays");
        assert_eq!((cache.statistics().late, cache.statistics().loads), (1, 2));
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
        let holder = Cache::new(wire.clone(), keys.clone(), sleep).with_load_time(Duration::from_mins(10));
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
