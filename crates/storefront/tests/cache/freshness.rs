//! How old a document may be, and what becomes of it after a write.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use redis::Value;
use storefront::Layout;
use storefront::cache::Cache;
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::shop::{in_each_layout, until};
use crate::support::{another, number, patient, product, pttl};

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
            .with_absent_ttl(Duration::from_mins(1));
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
        assert!((1..=60_000).contains(&pttl(&wire, &key.value).await));
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
        let cache = patient(wire.clone(), keys.clone()).with_stale_for(stale_for);
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
