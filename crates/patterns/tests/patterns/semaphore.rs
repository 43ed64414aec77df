use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use futures_util::future::join_all;
use lab_testing::{TIMEOUT, TestConnection, until};
use patterns::script::StoreError;
use patterns::semaphore::{Permits, SemaphoreError, Semaphores, Token};
use tokio::time::sleep;

use crate::everywhere;

const SHORT: Duration = Duration::from_millis(150);
/// How long a waiter waits who must not wait to the end.
const LIMIT: Duration = Duration::from_secs(20);

fn token() -> Token {
    Token::random().unwrap()
}

fn semaphores(connection: &TestConnection, prefix: &str, capacity: u32) -> Semaphores<TestConnection> {
    Semaphores::new(connection.clone(), prefix, capacity).with_lease(TIMEOUT)
}

async fn until_waiting(semaphores: &Semaphores<TestConnection>, count: u32) {
    until("they wait", async || semaphores.sweep("s").await.unwrap().waiting == count).await;
}

#[test]
fn permits_are_taken_all_or_none_and_given_back_once() {
    everywhere(async |connection, prefix| {
        let semaphores = semaphores(&connection, &prefix, 3);
        let (first, second) = (token(), token());
        let mut permits = semaphores.try_acquire("{s}", &first, 2).await.unwrap();
        let refused = semaphores.try_acquire("{s}", &second, 2).await;
        assert_matches!(refused, Err(SemaphoreError::Full { free: 1, ahead: 0 }));
        // The same token again is the same holder.
        semaphores.try_acquire("{s}", &first, 2).await.unwrap();
        semaphores.try_acquire("{s}", &second, 1).await.unwrap();
        semaphores.renew(&mut permits).await.unwrap();
        assert_eq!(semaphores.sweep("{s}").await.unwrap().held, 3);
        assert!(semaphores.release("{s}", &first, 2).await.unwrap());
        assert!(!semaphores.release("{s}", &first, 2).await.unwrap());
        assert_matches!(semaphores.renew(&mut permits).await, Err(SemaphoreError::Lost));
        assert_eq!(semaphores.sweep("{s}").await.unwrap().held, 1);
        for permits in [0, 4] {
            let refused = semaphores.try_acquire("{s}", &first, permits).await;
            assert_matches!(refused, Err(SemaphoreError::Permits { .. }));
        }
    });
}

#[test]
fn never_more_than_the_capacity_while_holders_die() {
    everywhere(async |connection, prefix| {
        let semaphores = semaphores(&connection, &prefix, 4).with_lease(SHORT);
        let (inside, most) = (Mutex::new(Vec::<Permits>::new()), AtomicU32::new(0));
        let clients = (0..16_u32).map(|client| {
            let (semaphores, inside, most) = (&semaphores, &inside, &most);
            async move {
                for round in 0..4 {
                    let (mine, count) = (token(), 1 + (client + round) % 3);
                    let permits = semaphores.acquire("s", &mine, count, TIMEOUT).await.unwrap();
                    {
                        let mut inside = inside.lock().unwrap();
                        inside.push(permits);
                        // Who died works until its lease ends, by its own clock.
                        let working = inside.iter().filter(|permits| permits.lease().is_held());
                        most.fetch_max(working.map(Permits::count).sum(), Ordering::Relaxed);
                    }
                    sleep(Duration::from_millis(2)).await;
                    if !(client + round).is_multiple_of(4) {
                        inside.lock().unwrap().retain(|permits| *permits.token() != mine);
                        semaphores.release("s", &mine, count).await.unwrap();
                    }
                }
            }
        });
        join_all(clients).await;
        let most = most.into_inner();
        assert!((2..=4).contains(&most), "{most} inside at once");
        until("all places are free", async || semaphores.sweep("s").await.unwrap().held == 0).await;
    });
}

#[test]
fn a_waiter_for_several_permits_goes_when_they_are_released_together_or_one_by_one() {
    everywhere(async |connection, prefix| {
        let semaphores = semaphores(&connection, &prefix, 2);
        for holds in [&[2][..], &[1, 1]] {
            let held: Vec<(Token, u32)> = holds.iter().map(|count| (token(), *count)).collect();
            for (token, count) in &held {
                semaphores.try_acquire("s", token, *count).await.unwrap();
            }
            let mine = token();
            let (waited, ()) = tokio::join!(semaphores.acquire("s", &mine, 2, LIMIT), async {
                until_waiting(&semaphores, 1).await;
                for (token, count) in &held {
                    assert!(semaphores.release("s", token, *count).await.unwrap());
                }
            });
            waited.unwrap();
            assert!(semaphores.release("s", &mine, 2).await.unwrap());
        }
    });
}

#[test]
fn small_requests_do_not_pass_a_large_one() {
    everywhere(async |connection, prefix| {
        let semaphores = semaphores(&connection, &prefix, 3);
        let (first, large, small) = (token(), token(), token());
        semaphores.try_acquire("s", &first, 2).await.unwrap();
        let order = Mutex::new(Vec::new());
        let ((), (), ()) = tokio::join!(
            async {
                semaphores.acquire("s", &large, 3, LIMIT).await.unwrap();
                order.lock().unwrap().push("large");
                semaphores.release("s", &large, 3).await.unwrap();
            },
            async {
                until_waiting(&semaphores, 1).await;
                // One permit is free, and yet this one waits behind.
                let refused = semaphores.try_acquire("s", &small, 1).await;
                assert_matches!(refused, Err(SemaphoreError::Full { free: 1, ahead: 1 }));
                semaphores.acquire("s", &small, 1, LIMIT).await.unwrap();
                order.lock().unwrap().push("small");
            },
            async {
                until_waiting(&semaphores, 2).await;
                semaphores.release("s", &first, 2).await.unwrap();
            }
        );
        assert_eq!(order.into_inner().unwrap(), ["large", "small"]);
        let usage = semaphores.sweep("s").await.unwrap();
        assert_eq!((usage.held, usage.waiting), (1, 0));
    });
}

#[test]
fn a_dead_head_of_the_line_is_skipped_and_a_patient_waiter_is_kept() {
    everywhere(async |connection, prefix| {
        let grace = Duration::from_secs(1);
        let semaphores = semaphores(&connection, &prefix, 1).with_grace(grace);
        let first = token();
        semaphores.try_acquire("s", &first, 1).await.unwrap();
        let head = tokio::spawn({
            let semaphores = semaphores.clone();
            async move { semaphores.acquire("s", &token(), 1, TIMEOUT).await.map(drop) }
        });
        until_waiting(&semaphores, 1).await;
        let others: Vec<_> = (0..9_u32)
            .map(|_| {
                let semaphores = semaphores.clone();
                tokio::spawn(async move {
                    let mine = token();
                    semaphores.acquire("s", &mine, 1, TIMEOUT).await?;
                    semaphores.release("s", &mine, 1).await
                })
            })
            .collect();
        until_waiting(&semaphores, 10).await;
        head.abort();
        let _killed = head.await;
        // All others wait for longer than the grace, ask again, and stay.
        sleep(grace * 2).await;
        until_waiting(&semaphores, 9).await;
        let [_, _, last_asks] = semaphores.keys("s").unwrap();
        let last: Vec<(String, f64)> =
            connection.send(&["ZRANGE", &last_asks, "-1", "-1", "WITHSCORES"]).await;
        let (seconds, micros): (u64, u64) = connection.send(&["TIME"]).await;
        let latest = Duration::from_secs(seconds) + Duration::from_micros(micros) + grace;
        assert!(last[0].1 <= latest.as_millis() as f64, "{last:?} is more than a grace after {latest:?}");
        assert!(semaphores.release("s", &first, 1).await.unwrap());
        for other in others {
            assert!(other.await.unwrap().unwrap());
        }
        until("the line is empty", async || semaphores.sweep("s").await.unwrap().waiting == 0).await;
    });
}

#[test]
fn a_waiter_that_gives_up_or_loses_its_place_blocks_nobody() {
    everywhere(async |connection, prefix| {
        let semaphores = semaphores(&connection, &prefix, 2);
        let first = token();
        semaphores.try_acquire("s", &first, 1).await.unwrap();
        assert_matches!(semaphores.acquire("s", &token(), 2, SHORT).await, Err(SemaphoreError::Full { .. }));
        assert_eq!(semaphores.sweep("s").await.unwrap().waiting, 0);
        // A place without a sign of life, as after a lost key, counts for nothing.
        let [_, waiters, last_asks] = semaphores.keys("s").unwrap();
        let _: () = connection.send(&["ZADD", &waiters, "1", "gone:2"]).await;
        semaphores.try_acquire("s", &token(), 1).await.unwrap();
        let left: usize = connection.send(&["EXISTS", &waiters]).await;
        assert_eq!(left, 0);
        let left: usize = connection.send(&["EXISTS", &last_asks]).await;
        assert_eq!(left, 0);
    });
}

#[test]
fn the_sweeper_removes_only_what_has_ended() {
    everywhere(async |connection, prefix| {
        let semaphores = semaphores(&connection, &prefix, 3);
        // A reservation for ten minutes, whose job ended at once.
        let reservation = semaphores.clone().with_lease(Duration::from_mins(10));
        reservation.try_acquire("s", &token(), 1).await.unwrap();
        // A job that renews, in time on the busiest machine.
        let renewing = semaphores.clone().with_lease(Duration::from_secs(20));
        let mut renewed = renewing.try_acquire("s", &token(), 1).await.unwrap();
        // An orphan.
        let orphan = semaphores.clone().with_lease(Duration::from_secs(1));
        let orphan = orphan.try_acquire("s", &token(), 1).await.unwrap();
        let full = semaphores.try_acquire("s", &token(), 1).await;
        assert_matches!(full, Err(SemaphoreError::Full { free: 0, .. }));

        let mut removed = 0;
        while removed == 0 {
            renewing.renew(&mut renewed).await.unwrap();
            sleep(SHORT / 10).await;
            removed += semaphores.sweep("s").await.unwrap().removed;
        }
        assert_eq!(removed, 1);
        for _ in 0..20 {
            sleep(SHORT).await;
            renewing.renew(&mut renewed).await.unwrap();
            let usage = semaphores.sweep("s").await.unwrap();
            assert_eq!((usage.held, usage.removed), (2, 0), "the reservation and the job that renews");
        }
        assert!(!semaphores.release("s", orphan.token(), 1).await.unwrap());
    });
}

#[test]
fn a_lost_key_frees_permits_or_the_line_and_nothing_hangs() {
    everywhere(async |connection, prefix| {
        let semaphores = semaphores(&connection, &prefix, 1).with_grace(SHORT * 2);
        let keys = semaphores.keys("s").unwrap();
        for key in &keys {
            let first = token();
            let mut held = semaphores.try_acquire("s", &first, 1).await.unwrap();
            let mine = token();
            let (waited, ()) = tokio::join!(semaphores.acquire("s", &mine, 1, TIMEOUT), async {
                until_waiting(&semaphores, 1).await;
                let _: () = connection.send(&["DEL", key.as_str()]).await;
                if *key == keys[0] {
                    assert_matches!(semaphores.renew(&mut held).await, Err(SemaphoreError::Lost));
                } else {
                    assert!(semaphores.release("s", &first, 1).await.unwrap());
                }
            });
            waited.unwrap();
            assert!(semaphores.release("s", &mine, 1).await.unwrap());
        }
    });
}

#[test]
fn work_per_call_is_bounded_with_many_waiters_and_permits() {
    everywhere(async |connection, prefix| {
        let semaphores = semaphores(&connection, &prefix, 5_000);
        semaphores.try_acquire("s", &token(), 1_000).await.unwrap();
        let mut waiters = redis::cmd("ZADD");
        let [_, places, last_asks] = semaphores.keys("s").unwrap();
        waiters.arg(&places);
        let mut asks = redis::cmd("ZADD");
        asks.arg(&last_asks);
        for waiter in 0..1_000 {
            waiters.arg(waiter).arg(format!("waiter{waiter}:1"));
            asks.arg(if waiter < 500 { 0_u64 } else { 9_000_000_000_000_000 })
                .arg(format!("waiter{waiter}:1"));
        }
        waiters.exec_async(&mut connection.clone()).await.unwrap();
        asks.exec_async(&mut connection.clone()).await.unwrap();
        // The dead are removed a hundred at a time.
        let mut left = Vec::new();
        for _ in 0..6 {
            let refused = semaphores.try_acquire("s", &token(), 1).await;
            assert_matches!(refused, Err(SemaphoreError::Full { free: 0, .. }));
            left.push(connection.send::<usize>(&["ZCARD", &places]).await);
        }
        assert_eq!(left, [899, 798, 697, 596, 500, 500]);
    });
}

#[test]
fn a_key_of_another_type_is_named_and_left_alone() {
    everywhere(async |connection, prefix| {
        let semaphores = semaphores(&connection, &prefix, 1);
        for key in semaphores.keys("s").unwrap() {
            let _: () = connection.send(&["SET", &key, "mine"]).await;
            let errors = BTreeMap::from([
                ("acquire", semaphores.acquire("s", &token(), 1, SHORT).await.map(drop).unwrap_err()),
                ("release", semaphores.release("s", &token(), 1).await.map(drop).unwrap_err()),
            ]);
            for (call, error) in errors {
                assert_matches!(error, SemaphoreError::Store(StoreError::WrongType(_)), "{call}");
            }
            assert_eq!(connection.send::<String>(&["GET", &key]).await, "mine");
            let _: () = connection.send(&["DEL", &key]).await;
            assert_eq!(semaphores.sweep("s").await.unwrap().held, 0, "nothing was written");
        }
    });
}

#[test]
fn each_call_is_one_round_trip() {
    everywhere(async |connection, prefix| {
        let semaphores = semaphores(&connection, &prefix, 1);
        let mine = token();
        assert_eq!(connection.round_trips_of(semaphores.try_acquire("s", &mine, 1)).await, 1);
        let mut held = semaphores.try_acquire("s", &mine, 1).await.unwrap();
        assert_eq!(connection.round_trips_of(semaphores.renew(&mut held)).await, 1);
        assert_eq!(connection.round_trips_of(semaphores.sweep("s")).await, 1);
        assert_eq!(connection.round_trips_of(semaphores.release("s", &mine, 1)).await, 1);
    });
}
