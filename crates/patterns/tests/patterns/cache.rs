use std::collections::HashMap;
use std::convert::Infallible;
use std::future::{Ready, pending, ready};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use lab_server::Server;
use lab_testing::faults::lossy_proxy;
use lab_testing::slots::MovingSlots;
use lab_testing::{TestConnection, prefix, server, until};
use patterns::cache::{Cache, CacheError, Codec, CodecError, LEASE};
use patterns::script::StoreError;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::everywhere;

const LONG: Duration = Duration::from_mins(10);

/// A cache whose loaders have time enough on a machine that stands still.
fn patient(connection: &TestConnection, prefix: &str) -> Cache<TestConnection> {
    Cache::new(connection.clone(), prefix, "product").with_load_time(LONG).with_wait(LONG)
}

/// Loads a number and nothing else.
fn number(number: u64) -> Ready<Result<Option<u64>, Infallible>> {
    ready(Ok(Some(number)))
}

fn value_key(cache: &Cache<TestConnection>, id: &str) -> String {
    cache.key(&[id]).unwrap().as_str().to_owned()
}

fn lease_key(cache: &Cache<TestConnection>, id: &str) -> String {
    cache.key(&[id]).unwrap().companion("load")
}

/// Another connection of the same kind, as another process has.
async fn another(connection: &TestConnection) -> TestConnection {
    if connection.is_cluster() { TestConnection::cluster().await } else { TestConnection::server().await }
}

#[test]
fn of_a_hundred_misses_at_once_in_five_processes_one_loads() {
    everywhere(async |connection, prefix| {
        let loads = Arc::new(AtomicUsize::new(0));
        let mut caches = Vec::new();
        for _ in 0..5 {
            caches.push(patient(&another(&connection).await, &prefix));
        }
        for round in 0..3_u64 {
            let others = caches.clone();
            let waits = move || others.iter().map(|cache| cache.statistics().waits).sum::<u64>();
            let before = waits();
            let mut crowd = JoinSet::new();
            for client in 0..100 {
                let (cache, loads, waits) = (caches[client % 5].clone(), Arc::clone(&loads), waits.clone());
                crowd.spawn(async move {
                    let load = || async {
                        loads.fetch_add(1, Ordering::Relaxed);
                        until("the others wait", async || waits() - before >= 99).await;
                        number(round).await
                    };
                    cache.get_or_load(&[&round.to_string()], load).await.unwrap().unwrap()
                });
            }
            assert!(crowd.join_all().await.iter().all(|loaded| *loaded == round));
        }
        assert_eq!(loads.load(Ordering::Relaxed), 3, "one load for each value");
        let shared: u64 = caches.iter().map(|cache| cache.statistics().shared).sum();
        assert_eq!(shared, 3 * 99);
    });
}

#[test]
fn the_callers_of_one_process_share_one_load_and_its_result() {
    everywhere(async |connection, prefix| {
        let cache = patient(&connection, &prefix);
        cache.get_or_load(&["other"], || number(0)).await.unwrap();
        let load = || async {
            until("the others wait", async || cache.statistics().waits == 49).await;
            number(1).await
        };
        let trips = connection
            .round_trips_of(async {
                let calls = (0..50).map(|_| cache.get_or_load(&["123"], load));
                for found in patterns::script::join_all(calls).await {
                    assert_eq!(found.unwrap(), Some(1));
                }
            })
            .await;
        // However long the load takes, no caller asks again, and one lease is renewed.
        let renewals = trips - 52;
        assert!(renewals < 40, "50 looks, one question, one store, and {renewals} more");
        assert_eq!((cache.statistics().loads, cache.statistics().shared), (2, 49));
    });
}

#[test]
fn a_canceled_caller_is_replaced_at_once_and_a_lost_process_after_its_lease() {
    everywhere(async |connection, prefix| {
        for dies in ["canceled", "panics", "canceled alone", "other process"] {
            let cache = patient(&connection, &prefix);
            let waiting = if dies == "other process" { patient(&connection, &prefix) } else { cache.clone() };
            let begun = Arc::new(Notify::new());
            let (tell, loading) = (Arc::clone(&begun), cache.clone());
            let dead = tokio::spawn(async move {
                let load = || async {
                    tell.notify_one();
                    sleep(if dies == "panics" { Duration::from_millis(50) } else { LONG }).await;
                    assert_ne!(dies, "panics", "the loader dies");
                    number(9).await
                };
                loading.get_or_load(&[dies], load).await
            });
            begun.notified().await;
            if dies == "canceled alone" {
                dead.abort();
                until("it is gone", async || dead.is_finished()).await;
            }
            let (mut crowd, loads) = (JoinSet::new(), Arc::new(AtomicUsize::new(0)));
            for _ in 0..10 {
                let (cache, loads) = (waiting.clone(), Arc::clone(&loads));
                crowd.spawn(async move {
                    let load = || async {
                        loads.fetch_add(1, Ordering::Relaxed);
                        number(1).await
                    };
                    cache.get_or_load(&[dies], load).await.unwrap()
                });
            }
            let lease = lease_key(&cache, dies);
            if dies == "canceled" || dies == "other process" {
                until("they wait", async || waiting.statistics().waits == 10).await;
                dead.abort();
            }
            if dies != "other process" {
                // The lease is taken over, not waited for: it never ends by itself.
                let _: i64 = connection.send(&["PERSIST", &lease]).await;
            }
            assert!(crowd.join_all().await.iter().all(|loaded| *loaded == Some(1)), "{dies}");
            assert_eq!(loads.load(Ordering::Relaxed), 1, "{dies}: one of ten took over");
        }
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_load_longer_than_a_lease_keeps_it_and_one_that_hangs_loses_it() {
    let (connection, prefix) = (TestConnection::server().await, prefix());
    let cache = patient(&connection, &prefix);
    let other = patient(&another(&connection).await, &prefix);
    let long = cache.get_or_load(&["long"], async || {
        sleep(LEASE + LEASE / 2).await;
        number(1).await
    });
    let waits = async {
        until("it is loading", async || cache.statistics().loads == 1).await;
        other.get_or_load(&["long"], || number(2)).await
    };
    let (loaded, waited) = tokio::join!(long, waits);
    assert_eq!((loaded.unwrap(), waited.unwrap()), (Some(1), Some(1)));
    assert_eq!(other.statistics().loads, 0);

    let hanging = cache.clone().with_load_time(Duration::from_millis(100));
    let hangs = tokio::spawn({
        let hanging = hanging.clone();
        async move { hanging.get_or_load(&["hangs"], pending::<Result<Option<u64>, Infallible>>).await }
    });
    until("it is loading", async || cache.statistics().loads == 2).await;
    // Within the process and beyond it.
    assert_eq!(hanging.get_or_load(&["hangs"], || number(3)).await.unwrap(), Some(3));
    assert_eq!(other.get_or_load(&["hangs"], || number(4)).await.unwrap(), Some(3));
    hangs.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn one_loads_while_the_slots_move() {
    let (connection, prefix) = (TestConnection::cluster().await, prefix());
    let cache = patient(&connection, &prefix);
    let keys: Vec<String> = ["0", "1", "2"].iter().map(|id| value_key(&cache, id)).collect();
    let moving = MovingSlots::of(&keys);
    let loads = Arc::new(AtomicUsize::new(0));
    for round in 0..8_u64 {
        for id in ["0", "1", "2"] {
            let mut crowd = JoinSet::new();
            for _ in 0..20 {
                let (cache, loads) = (cache.clone(), Arc::clone(&loads));
                crowd.spawn(async move {
                    let load = || async {
                        loads.fetch_add(1, Ordering::Relaxed);
                        number(round).await
                    };
                    cache.get_or_load(&[id], load).await.unwrap().unwrap()
                });
            }
            assert!(crowd.join_all().await.iter().all(|loaded| *loaded == round));
            cache.invalidate(&[id]).await.unwrap();
        }
    }
    assert_eq!(loads.load(Ordering::Relaxed), 8 * 3);
    assert!(moving.end() > 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_loads_over_connections_that_break() {
    let (proxy, prefix) = (lossy_proxy(server(), 9), prefix());
    let loads = Arc::new(AtomicUsize::new(0));
    let (mut crowd, mut caches) = (JoinSet::new(), Vec::new());
    for _ in 0..10 {
        let cache = Cache::new(TestConnection::reconnecting(&proxy.url()).await, &prefix, "product");
        caches.push(cache.clone());
        for _ in 0..10 {
            let (cache, loads) = (cache.clone(), Arc::clone(&loads));
            crowd.spawn(async move {
                for _ in 0..10 {
                    loop {
                        let load = || async {
                            loads.fetch_add(1, Ordering::Relaxed);
                            number(7).await
                        };
                        match cache.get_or_load(&["123"], load).await {
                            Ok(loaded) => break assert_eq!(loaded, Some(7)),
                            Err(CacheError::Store(StoreError::Redis(_))) => {}
                            Err(other) => panic!("{other}"),
                        }
                    }
                }
            });
        }
    }
    crowd.join_all().await;
    assert!(proxy.cuts() > 5, "only {} connections broke", proxy.cuts());
    // A caller whose store was lost says so, and another one loads.
    let lost: u64 = caches.iter().map(|cache| cache.statistics().late + cache.statistics().not_stored).sum();
    let loads = loads.load(Ordering::Relaxed) as u64;
    assert!((1..=1 + lost).contains(&loads), "{loads} loads, {lost} of them were not stored");
}

#[tokio::test]
async fn a_loader_that_cannot_store_lets_the_next_one_load_at_once() {
    // Its memory runs out during a load, so the test needs its own server.
    let server = Server::start().unwrap();
    let connection = TestConnection::to_server(&server).await;
    let cache = Cache::new(connection.clone(), "", "product").with_wait(Duration::ZERO);
    let load = async || {
        let _: () = connection.send(&["CONFIG", "SET", "maxmemory", "1"]).await;
        number(1).await
    };
    assert_eq!(cache.get_or_load(&["123"], load).await.unwrap(), Some(1));
    assert_eq!(cache.statistics().not_stored, 1);
    let _: () = connection.send(&["CONFIG", "SET", "maxmemory", "0"]).await;
    assert_eq!(cache.get_or_load(&["123"], || number(2)).await.unwrap(), Some(2), "nothing blocks it");
}

#[test]
fn what_comes_too_late_is_its_callers_and_is_not_stored() {
    everywhere(async |connection, prefix| {
        let cache = patient(&connection, &prefix);
        let (begun, go) = (Notify::new(), Notify::new());
        let slow = cache.get_or_load(&["123"], || async {
            begun.notify_one();
            go.notified().await;
            number(1).await
        });
        let newer = async {
            begun.notified().await;
            // A caller that joined before the invalidation does not get the old row either.
            let joins = cache.get_or_load(&["123"], || number(2));
            let invalidates = async {
                until("it waits", async || cache.statistics().waits == 1).await;
                cache.invalidate(&["123"]).await.unwrap();
                go.notify_one();
            };
            tokio::join!(joins, invalidates).0
        };
        let (slow, newer) = tokio::join!(slow, newer);
        assert_eq!((slow.unwrap(), newer.unwrap()), (Some(1), Some(2)));
        assert_eq!(cache.get_or_load(&["123"], || number(3)).await.unwrap(), Some(2), "the newer one stays");
        assert_eq!((cache.statistics().late, cache.statistics().loads), (1, 2));
    });
}

#[test]
fn a_load_that_fails_is_the_callers_error_and_the_next_one_loads_at_once() {
    everywhere(async |connection, prefix| {
        let cache = Cache::new(connection, &prefix, "product");
        let fails = || async { Err::<Option<u64>, &str>("no database") };
        assert_matches!(cache.get_or_load(&["123"], fails).await, Err(CacheError::Load("no database")));
        assert_eq!(cache.get_or_load(&["123"], || number(1)).await.unwrap(), Some(1));
        assert_eq!((cache.statistics().failed, cache.statistics().waits), (1, 0));
    });
}

#[test]
fn who_waits_for_another_process_asks_seldom_and_not_forever() {
    everywhere(async |connection, prefix| {
        let holder = patient(&connection, &prefix);
        let (begun, stop) = (Notify::new(), Notify::new());
        let holds = holder.get_or_load(&["123"], || async {
            begun.notify_one();
            stop.notified().await;
            number(1).await
        });
        let waits = async {
            begun.notified().await;
            let limit = Duration::from_millis(700);
            let other = another(&connection).await;
            let cache = Cache::new(other.clone(), &prefix, "product").with_wait(limit);
            let mut error = None;
            let trips = other
                .round_trips_of(async { error = cache.get_or_load(&["123"], || number(2)).await.err() })
                .await;
            assert_matches!(error, Some(CacheError::GaveUp { waited }) if waited >= limit);
            // Pauses of at least 2, 4, 8, 16, 32, then 64 ms.
            assert!(trips <= 20, "{trips} in 0.7 s");
            assert_eq!((cache.statistics().gave_up, cache.statistics().loads), (1, 0));
            stop.notify_one();
        };
        assert_eq!(tokio::join!(holds, waits).0.unwrap(), Some(1));
    });
}

#[test]
fn no_value_is_served_that_is_older_than_an_invalidation_before_the_call() {
    everywhere(async |connection, prefix| {
        let writes = 120;
        // The row, and what is certain of it: the number whose invalidation has returned.
        let (row, certain) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
        let (reads, loads) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
        let mut readers = JoinSet::new();
        for process in 0..4 {
            let cache = Cache::new(another(&connection).await, &prefix, "product");
            // Several callers in each process.
            for _ in 0..=process % 3 {
                let (cache, row, certain) = (cache.clone(), Arc::clone(&row), Arc::clone(&certain));
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
                        let found = cache.get_or_load(&["123"], load).await.unwrap().unwrap();
                        stale += u64::from(found < at_least);
                        reads.fetch_add(1, Ordering::Relaxed);
                    }
                    (stale, cache.statistics().late)
                });
            }
        }
        let shop = Cache::new(another(&connection).await, &prefix, "product");
        for write in 1..=writes {
            row.store(write, Ordering::SeqCst);
            let seen = loads.load(Ordering::SeqCst);
            shop.invalidate(&["123"]).await.unwrap();
            certain.store(write, Ordering::SeqCst);
            // The next write comes during a load, or a moment later.
            let begun = async {
                while loads.load(Ordering::SeqCst) == seen && write < writes {
                    tokio::task::yield_now().await;
                }
            };
            // If something stale were stored, no caller would load again. The readers count that.
            let _ = tokio::time::timeout(Duration::from_millis(200), begun).await;
            sleep(Duration::from_millis(write % 3)).await;
        }
        let ends = readers.join_all().await;
        let (stale, late) = ends.iter().fold((0, 0), |sum, end| (sum.0 + end.0, sum.1 + end.1));
        assert_eq!(stale, 0, "of {} reads", reads.load(Ordering::Relaxed));
        assert!(late > 0, "no load was overtaken: this shows nothing");
    });
}

#[test]
fn times_to_live_vary_within_their_share() {
    everywhere(async |connection, prefix| {
        let cache = Cache::new(connection.clone(), &prefix, "product")
            .with_ttl(Duration::from_secs(100))
            .with_jitter(0.1)
            .with_stale_for(Duration::from_secs(1000));
        let mut lives = Vec::new();
        for id in 0..100 {
            let (id, began) = (id.to_string(), Instant::now());
            cache.get_or_load(&[&id], || number(1)).await.unwrap();
            let life: u128 = connection.send(&["PTTL", &value_key(&cache, &id)]).await;
            assert!(life <= 1_100_000 && life + began.elapsed().as_millis() + 1 >= 1_090_000, "{life}");
            lives.push(life);
        }
        let (shortest, longest) = (lives.iter().min().unwrap(), lives.iter().max().unwrap());
        assert!(longest - shortest > 5_000, "spread over most of ten seconds: {shortest} to {longest}");
    });
}

#[test]
fn what_does_not_exist_is_asked_for_once_and_remembered_for_a_shorter_time() {
    everywhere(async |connection, prefix| {
        let cache =
            Cache::new(connection.clone(), &prefix, "product").with_absent_ttl(Duration::from_mins(1));
        let mut loads = 0;
        for _ in 0..10 {
            let load = || {
                loads += 1;
                async { Ok::<Option<u64>, Infallible>(None) }
            };
            assert_eq!(cache.get_or_load(&["nothing"], load).await.unwrap(), None);
        }
        assert_eq!((loads, cache.statistics().hits), (1, 9));
        let key = value_key(&cache, "nothing");
        assert_eq!(connection.send::<String>(&["GET", &key]).await, "null");
        assert!((1..=60_000).contains(&connection.send::<i64>(&["PTTL", &key]).await));
        // The row is created, and the entry deleted.
        cache.invalidate(&["nothing"]).await.unwrap();
        assert_eq!(cache.get_or_load(&["nothing"], || number(1)).await.unwrap(), Some(1));
    });
}

#[test]
fn a_stale_value_is_served_to_all_but_the_one_who_loads_it_again() {
    everywhere(async |connection, prefix| {
        let cache = patient(&connection, &prefix).with_stale_for(LONG);
        let other = patient(&another(&connection).await, &prefix).with_stale_for(LONG);
        let key = value_key(&cache, "123");
        cache.get_or_load(&["123"], || number(1)).await.unwrap();
        assert_eq!(cache.get_or_load(&["123"], || number(9)).await.unwrap(), Some(1), "fresh");
        // Its time is over: what is left is less than the stale time.
        let _: i64 = connection.send(&["PEXPIRE", &key, "599999"]).await;
        let served = Arc::new(AtomicUsize::new(0));
        let mut crowd = JoinSet::new();
        for client in 0..50 {
            let (cache, served) =
                (if client % 5 == 0 { other.clone() } else { cache.clone() }, Arc::clone(&served));
            crowd.spawn(async move {
                let load = || async {
                    // Until all others have their answer: none of them has waited for this.
                    until("the others are served", async || served.load(Ordering::Relaxed) == 49).await;
                    number(2).await
                };
                let found = cache.get_or_load(&["123"], load).await.unwrap().unwrap();
                served.fetch_add(1, Ordering::Relaxed);
                found
            });
        }
        let found = crowd.join_all().await;
        assert_eq!(found.iter().filter(|found| **found == 1).count(), 49);
        let (one, two) = (cache.statistics(), other.statistics());
        assert_eq!((one.loads + two.loads, one.stale + two.stale), (2, 49));
        assert_eq!(cache.get_or_load(&["123"], || number(9)).await.unwrap(), Some(2));

        // A refresh that fails: the stale value, and the next caller tries.
        let _: i64 = connection.send(&["PEXPIRE", &key, "599999"]).await;
        let fails = || async { Err::<Option<u64>, &str>("no database") };
        assert_eq!(cache.get_or_load(&["123"], fails).await.unwrap(), Some(2));
        assert_eq!(cache.get_or_load(&["123"], || number(3)).await.unwrap(), Some(3));
    });
}

#[test]
fn many_values_are_loaded_together_and_only_those_that_are_missing() {
    everywhere(async |connection, prefix| {
        let cache = patient(&connection, &prefix);
        cache.put(&["b"], Some(&2)).await.unwrap();
        let load = async |wanted: Vec<String>| {
            assert_eq!(wanted, ["a", "c", "none"]);
            Ok::<_, Infallible>(HashMap::from([
                ("c".to_owned(), 3),
                ("a".to_owned(), 1),
                ("?".to_owned(), 0),
            ]))
        };
        let all = ["a", "b", "c", "none"];
        assert_eq!(cache.get_or_load_many(&all, load).await.unwrap(), [Some(1), Some(2), Some(3), None]);
        let nothing = async |wanted: Vec<String>| Err::<HashMap<String, u64>, _>(format!("{wanted:?}"));
        assert_eq!(cache.get_or_load_many(&all, nothing).await.unwrap(), [Some(1), Some(2), Some(3), None]);
        assert_eq!((cache.statistics().loads, cache.statistics().hits), (3, 5));
        assert!(cache.get_or_load_many(&[], nothing).await.unwrap().is_empty());
        let error = cache.get_or_load_many(&["a", "d"], nothing).await.unwrap_err();
        assert_matches!(error, CacheError::Load(wanted) if wanted == "[\"d\"]");

        // Two callers want the same in another order, and a third begins to load one of them: no caller waits forever, and each is
        // loaded once, but for the one whose loader fails.
        let (begun, fail) = (Notify::new(), Notify::new());
        let third = cache.get_or_load(&["y"], || async {
            begun.notify_one();
            fail.notified().await;
            Err::<Option<u64>, &str>("no database")
        });
        let loaded = AtomicUsize::new(0);
        let load = async |wanted: Vec<String>| {
            loaded.fetch_add(wanted.len(), Ordering::Relaxed);
            fail.notify_one();
            tokio::task::yield_now().await;
            Ok::<_, Infallible>(wanted.into_iter().map(|id| (id, 7)).collect())
        };
        let both = async {
            begun.notified().await;
            tokio::join!(
                cache.get_or_load_many(&["x", "y", "z", "x"], load),
                cache.get_or_load_many(&["z", "y", "x"], load)
            )
        };
        let (third, both) = tokio::join!(third, both);
        assert!(third.is_err());
        assert_eq!((both.0.unwrap(), both.1.unwrap()), (vec![Some(7); 4], vec![Some(7); 3]));
        assert_eq!(loaded.load(Ordering::Relaxed), 3);
    });
}

#[test]
fn a_value_that_cannot_be_read_is_loaded_again_and_another_type_is_an_error() {
    everywhere(async |connection, prefix| {
        let cache = Cache::new(connection.clone(), &prefix, "product");
        let key = value_key(&cache, "123");
        for bad in ["", "not JSON", "{\"name\":\"mug\"}", "-1", "\u{0}"] {
            let _: () = connection.send(&["SET", &key, bad]).await;
            assert_eq!(cache.get_or_load(&["123"], || number(1)).await.unwrap(), Some(1), "{bad}");
            assert_eq!(connection.send::<String>(&["GET", &key]).await, "1");
        }
        assert_eq!(cache.statistics().unreadable, 4, "nothing at all is no value either");
        let _: i64 = connection.send(&["DEL", &key]).await;
        let _: i64 = connection.send(&["HSET", &key, "name", "mug"]).await;
        for stale_for in [Duration::ZERO, LONG] {
            let cache = cache.clone().with_stale_for(stale_for);
            let error = cache.get_or_load(&["123"], || number(1)).await.unwrap_err();
            assert_matches!(error, CacheError::Store(StoreError::WrongType(_)));
            assert!(cache.put(&["123"], Some(&1)).await.is_err());
        }
        assert_eq!(connection.send::<i64>(&["HLEN", &key]).await, 1);

        // It comes during a load.
        let key = value_key(&cache, "456");
        let load = async || {
            let _: i64 = connection.send(&["HSET", &key, "name", "mug"]).await;
            number(1).await
        };
        assert_eq!(cache.get_or_load(&["456"], load).await.unwrap(), Some(1));
        assert_eq!(cache.statistics().not_stored, 1);
        assert_eq!(connection.send::<i64>(&["HLEN", &key]).await, 1);

        // A lease that never ends belongs to no loader.
        let _: () = connection.send(&["SET", &lease_key(&cache, "789"), "mine"]).await;
        assert_eq!(cache.get_or_load(&["789"], || number(1)).await.unwrap(), Some(1));
    });
}

#[test]
fn a_hit_is_one_round_trip_and_a_load_three() {
    everywhere(async |connection, prefix| {
        for stale_for in [Duration::ZERO, Duration::from_mins(1)] {
            let cache = Cache::new(connection.clone(), &prefix, "product").with_stale_for(stale_for);
            let id: &[&str] = &[&format!("p{}", stale_for.as_secs())];
            cache.get_or_load(id, || number(1)).await.unwrap();
            cache.put(id, Some(&2)).await.unwrap();
            let before = cache.statistics();
            assert_eq!(connection.round_trips_of(cache.get_or_load(id, || number(9))).await, 1);
            assert_eq!(connection.round_trips_of(cache.invalidate(id)).await, 1);
            assert_eq!(connection.round_trips_of(cache.get_or_load(id, || number(9))).await, 3);
            assert_eq!(connection.round_trips_of(cache.put(id, Some(&3))).await, 1);
            assert_eq!(cache.get_or_load(id, || number(9)).await.unwrap(), Some(3));
            let seen = cache.statistics();
            assert_eq!((seen.hits, seen.loads), (before.hits + 2, before.loads + 1));
            assert!((seen.hit_rate() - seen.hits as f64 / (seen.hits + seen.loads) as f64).abs() < 1e-9);
        }
    });
}

#[test]
fn a_command_that_is_sent_twice_changes_nothing_else() {
    everywhere(async |connection, prefix| {
        let cache = Cache::new(connection.sending_twice(), &prefix, "product");
        for round in 0..3 {
            assert_eq!(cache.get_or_load(&["123"], || number(round)).await.unwrap(), Some(round));
            cache.invalidate(&["123"]).await.unwrap();
        }
        cache.put(&["123"], Some(&7)).await.unwrap();
        assert_eq!(cache.get_or_load(&["123"], || number(9)).await.unwrap(), Some(7));
        assert_eq!((cache.statistics().loads, cache.statistics().late), (3, 0));
    });
}

/// JSON, backwards.
#[derive(Clone)]
struct Backwards;

impl Codec for Backwards {
    fn encode<T: Serialize>(&self, value: &T) -> Result<Vec<u8>, CodecError> {
        let mut bytes = serde_json::to_vec(value)?;
        bytes.reverse();
        Ok(bytes)
    }

    fn decode<T: DeserializeOwned>(&self, bytes: &[u8]) -> Result<T, CodecError> {
        Ok(serde_json::from_slice(&bytes.iter().copied().rev().collect::<Vec<_>>())?)
    }
}

#[test]
fn a_codec_decides_how_values_are_stored_and_names_are_those_of_the_shop() {
    everywhere(async |connection, prefix| {
        let cache = Cache::new(connection.clone(), &prefix, "search").with_codec(Backwards);
        let ids = ["query {é}:", "page", "1"];
        let load = async || Ok::<_, Infallible>(Some("mug".to_owned()));
        for _ in 0..2 {
            assert_eq!(cache.get_or_load(&ids, load).await.unwrap().as_deref(), Some("mug"));
        }
        let key = cache.key(&ids).unwrap();
        assert_eq!(key.as_str(), format!("{prefix}search:query %7Bé%7D::page:1"));
        assert_eq!(connection.send::<String>(&["GET", key.as_str()]).await, "\"gum\"");
        // A map whose keys are no texts is no JSON.
        let no_json = async || Ok::<_, Infallible>(Some(HashMap::from([(vec![1], 1)])));
        assert_matches!(cache.get_or_load(&["x", "page", "1"], no_json).await, Err(CacheError::Codec(_)));
        let key = Cache::new(connection, "", "product").key(&["123"]).unwrap();
        assert_eq!(
            (key.as_str(), key.companion("load").as_str()),
            ("product:123", "product:{product:123}:load")
        );
    });
}
