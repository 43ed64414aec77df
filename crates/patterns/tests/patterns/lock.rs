use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::join_all;
use lab_testing::faults::lossy_proxy;
use lab_testing::{TIMEOUT, TestConnection, prefix, until};
use patterns::fence::{Fence, FenceError};
use patterns::lock::{LockError, Locks, Token};
use patterns::script::StoreError;
use tokio::time::sleep;

use crate::everywhere;

const SHORT: Duration = Duration::from_millis(150);
const LONG: Duration = Duration::from_mins(5);

fn token() -> Token {
    Token::random().unwrap()
}

fn locks(connection: &TestConnection, prefix: &str, owner: &str) -> Locks<TestConnection> {
    Locks::new(connection.clone(), prefix, owner).with_ttl(LONG)
}

#[test]
fn one_holds_it_and_others_learn_who_does() {
    everywhere(async |connection, prefix| {
        let owner = "worker:1\n{é}";
        let (ours, theirs) = (locks(&connection, &prefix, owner), locks(&connection, &prefix, "other"));
        let held = ours.try_acquire("{a}:b", &token()).await.unwrap();
        assert!(held.lease().is_held());
        match theirs.try_acquire("{a}:b", &token()).await.unwrap_err() {
            LockError::Held { owner: by, expires_in } => {
                assert_eq!(by, owner);
                assert!(expires_in > SHORT && expires_in <= LONG, "{expires_in:?}");
            }
            other => panic!("{other}"),
        }
        let holder = ours.holder("{a}:b").await.unwrap().unwrap();
        assert_eq!((holder.owner.as_str(), holder.number), (owner, held.number()));
        assert!(!theirs.release("{a}:b", &token()).await.unwrap(), "another's token releases nothing");
        assert!(ours.release("{a}:b", held.token()).await.unwrap());
        assert_eq!(ours.holder("{a}:b").await.unwrap(), None);
        let next = theirs.try_acquire("{a}:b", &token()).await.unwrap();
        assert!(next.number() > held.number());
    });
}

#[test]
fn the_same_token_is_the_same_holder_and_the_same_owner_is_refused() {
    everywhere(async |connection, prefix| {
        let locks = locks(&connection, &prefix, "me");
        let token = token();
        let first = locks.try_acquire("a", &token).await.unwrap();
        let again = locks.try_acquire("a", &token).await.unwrap();
        assert_eq!(first.number(), again.number());
        // It does not wait for itself.
        let refused = locks.acquire("a", &Token::random().unwrap(), TIMEOUT).await;
        assert_matches!(refused, Err(LockError::Reentrant { .. }));
    });
}

#[test]
fn numbers_grow_when_the_lock_expires_is_deleted_or_loses_its_number() {
    everywhere(async |connection, prefix| {
        let locks = locks(&connection, &prefix, "me");
        let [lock, number] = locks.keys("a").unwrap();
        let mut last = 0;
        for lost in [&[][..], &[&lock], &[&number], &[&lock, &number], &[&lock]] {
            for key in lost {
                let _: () = connection.send(&["DEL", key.as_str()]).await;
            }
            let held = locks.try_acquire("a", &token()).await;
            match held {
                Ok(held) => {
                    assert!(held.number() > last, "{} after {last}", held.number());
                    last = held.number();
                }
                Err(LockError::Reentrant { .. }) if !lost.contains(&&lock) => {}
                other => panic!("{other:?}"),
            }
        }
        // A number ahead of the clock, as after the clock was set back.
        let _: () = connection.send(&["SET", &number, "9000000000000000"]).await;
        let _: () = connection.send(&["DEL", &lock]).await;
        assert_eq!(locks.try_acquire("a", &token()).await.unwrap().number(), 9_000_000_000_000_001);
    });
}

#[test]
fn a_waiter_gets_the_lock_when_it_is_released_or_expires() {
    everywhere(async |connection, prefix| {
        let (ours, theirs) = (locks(&connection, &prefix, "us"), locks(&connection, &prefix, "them"));
        let held = ours.try_acquire("a", &token()).await.unwrap();
        let mine = token();
        let (waited, released) = tokio::join!(theirs.acquire("a", &mine, TIMEOUT), async {
            sleep(Duration::from_millis(20)).await;
            ours.release("a", held.token()).await
        });
        assert!(released.unwrap());
        theirs.release("a", waited.unwrap().token()).await.unwrap();

        // This holder dies.
        ours.clone().with_ttl(SHORT).try_acquire("a", &token()).await.unwrap();
        theirs.acquire("a", &token(), TIMEOUT).await.unwrap();
        assert_matches!(ours.acquire("a", &token(), SHORT).await, Err(LockError::Held { .. }));
    });
}

#[test]
fn a_guard_renews_beyond_the_ttl_and_not_after_its_release() {
    everywhere(async |connection, prefix| {
        let ttl = Duration::from_secs(2);
        let locks = locks(&connection, &prefix, "me").with_ttl(ttl);
        let guard = locks.guard("a", &token(), TIMEOUT).await.unwrap();
        let number = guard.number();
        let worked = guard.run(sleep(ttl * 5 / 4)).await;
        assert!(worked.is_ok(), "{worked:?}");
        assert_eq!(locks.holder("a").await.unwrap().unwrap().number, number);
        assert!(guard.release().await.unwrap());
        assert_eq!(connection.round_trips_of(sleep(ttl / 2)).await, 0, "nothing renews after the release");
        assert_eq!(locks.holder("a").await.unwrap(), None);

        // A guard that is dropped stops, too.
        let guard = locks.guard("a", &token(), TIMEOUT).await.unwrap();
        drop(guard);
        let free = async || locks.holder("a").await.unwrap().is_none();
        until("the lock of a dropped guard expires", free).await;
    });
}

#[test]
fn a_guard_that_loses_its_lock_drops_its_work() {
    everywhere(async |connection, prefix| {
        let locks = locks(&connection, &prefix, "me").with_ttl(SHORT);
        let guard = locks.guard("a", &token(), TIMEOUT).await.unwrap();
        let _: () = connection.send(&["DEL", &locks.keys("a").unwrap()[0]]).await;
        assert_matches!(guard.run(sleep(TIMEOUT)).await, Err(LockError::Lost));
        assert!(!guard.is_held());
        let mut held = locks.try_acquire("a", &token()).await.unwrap();
        locks.release("a", held.token()).await.unwrap();
        assert_matches!(locks.renew(&mut held).await, Err(LockError::Lost));
        assert!(!guard.release().await.unwrap());
    });
}

/// The renewal is not armed after the release: the caller is canceled when the server has said yes, and before it knows.
#[tokio::test]
async fn a_canceled_acquire_leaves_no_renewal_behind() {
    for connection in [TestConnection::server().await, TestConnection::resp3().await] {
        let locks = locks(&connection, &prefix(), "me").with_ttl(LONG);
        let token = token();
        // The server knows the script from here on.
        locks.try_acquire("a", &token).await.unwrap();
        locks.release("a", &token).await.unwrap();
        {
            let mut guard = Box::pin(locks.guard("a", &token, TIMEOUT));
            assert!((&mut guard).now_or_never().is_none());
            let is_held = async || locks.holder("a").await.unwrap().is_some();
            until("the server has taken the lock", is_held).await;
        }
        assert!(locks.release("a", &token).await.unwrap());
        assert_eq!(connection.round_trips_of(sleep(SHORT)).await, 0, "nothing renews after the release");
        assert_eq!(locks.holder("a").await.unwrap(), None);
        // Taken three times and released three times by one owner: it is one lock.
        for _ in 0..3 {
            locks.try_acquire("a", &token).await.unwrap();
        }
        assert!(locks.release("a", &token).await.unwrap());
        assert_eq!(locks.holder("a").await.unwrap(), None);
        for _ in 0..2 {
            assert!(!locks.release("a", &token).await.unwrap());
        }
    }
}

/// The server executes the command, and its reply is lost.
#[tokio::test]
async fn after_a_lost_reply_the_same_token_takes_or_releases() {
    let proxy = lossy_proxy(lab_testing::server(), 0);
    let connection = TestConnection::reconnecting(&proxy.url()).await;
    let locks = locks(&connection, &prefix(), "me");
    let mine = token();
    // The server knows the scripts from here on.
    locks.try_acquire("a", &mine).await.unwrap();
    locks.release("a", &mine).await.unwrap();

    proxy.cut_replies(1);
    assert_matches!(locks.try_acquire("a", &mine).await, Err(LockError::Store(StoreError::Redis(_))));
    proxy.cut_replies(0);
    let held = locks.acquire("a", &mine, TIMEOUT).await.unwrap();
    assert_eq!(locks.holder("a").await.unwrap().unwrap().number, held.number());

    proxy.cut_replies(1);
    locks.release("a", &mine).await.unwrap_err();
    proxy.cut_replies(0);
    until("it is connected again", async || locks.release("a", &mine).await.is_ok()).await;
    assert_eq!(locks.holder("a").await.unwrap(), None);
    // Now another has it. A third release says no, and harms nobody.
    let next = locks.try_acquire("a", &token()).await.unwrap();
    assert!(!locks.release("a", &mine).await.unwrap());
    assert_eq!(locks.holder("a").await.unwrap().unwrap().number, next.number());
}

/// A holder that stops for longer than its TTL writes anyway, and the record refuses it.
#[test]
fn late_writes_are_refused_by_the_fence() {
    everywhere(async |connection, prefix| {
        let records = Fence::new(connection.clone(), &prefix);
        let (accepted, refused) = (AtomicU64::new(0), AtomicU64::new(0));
        let workers = (0..8_u64).map(|worker| {
            let locks =
                locks(&connection, &prefix, &format!("worker{worker}")).with_ttl(Duration::from_millis(20));
            let (records, accepted, refused) = (&records, &accepted, &refused);
            async move {
                for round in 0..4_u64 {
                    let held = locks.acquire("a", &token(), TIMEOUT).await.unwrap();
                    // Every third is stopped for longer than its TTL.
                    if (worker + round).is_multiple_of(3) {
                        sleep(Duration::from_millis(60)).await;
                    }
                    let number = held.number().to_string();
                    match records.write("r", held.number(), &[("number", &number)]).await {
                        Ok(()) => accepted.fetch_max(held.number(), Ordering::Relaxed),
                        Err(FenceError::Stale { .. }) => refused.fetch_add(1, Ordering::Relaxed),
                        Err(error) => panic!("{error}"),
                    };
                    let stored: u64 = records.read("r").await.unwrap()["number"].parse().unwrap();
                    assert!(stored >= accepted.load(Ordering::Relaxed).min(held.number()), "a stale write");
                    locks.release("a", held.token()).await.unwrap();
                }
            }
        });
        join_all(workers).await;
        let stored: u64 = records.read("r").await.unwrap()["number"].parse().unwrap();
        assert_eq!(stored, accepted.into_inner(), "the highest number wrote last");
        assert!(refused.into_inner() > 0, "no holder was overtaken");
    });
}

#[test]
fn what_another_program_wrote_is_named_and_left_alone() {
    everywhere(async |connection, prefix| {
        let locks = locks(&connection, &prefix, "me");
        let [lock, number] = locks.keys("a").unwrap();
        let _: () = connection.send(&["SET", &lock, "mine"]).await;
        for error in [
            locks.try_acquire("a", &token()).await.unwrap_err(),
            locks.release("a", &token()).await.unwrap_err(),
        ] {
            assert_matches!(error, LockError::Store(StoreError::Malformed(_)));
        }
        assert_matches!(locks.holder("a").await, Err(StoreError::Malformed(_)));
        assert_eq!(connection.send::<String>(&["GET", &lock]).await, "mine");
        let _: () = connection.send(&["DEL", &lock]).await;
        let _: () = connection.send(&["LPUSH", &lock, "mine"]).await;
        let error = locks.try_acquire("a", &token()).await.unwrap_err();
        assert_matches!(error, LockError::Store(StoreError::WrongType(_)));
        assert_matches!(locks.holder("a").await, Err(StoreError::WrongType(_)));
        let _: () = connection.send(&["DEL", &lock]).await;
        let _: () = connection.send(&["SET", &number, "x"]).await;
        let error = locks.try_acquire("a", &token()).await.unwrap_err();
        assert_matches!(error, LockError::Store(StoreError::Malformed(_)));
        for (name, owner) in [("", "me"), ("a", "")] {
            let error = Locks::new(connection.clone(), &prefix, owner).try_acquire(name, &token()).await;
            assert_matches!(error, Err(LockError::Store(StoreError::Key(_))));
        }
    });
}

#[test]
fn each_call_is_one_round_trip() {
    everywhere(async |connection, prefix| {
        let locks = locks(&connection, &prefix, "me");
        let mut held = locks.try_acquire("a", &token()).await.unwrap();
        let token = held.token().clone();
        assert_eq!(connection.round_trips_of(locks.try_acquire("a", &token)).await, 1);
        assert_eq!(connection.round_trips_of(locks.renew(&mut held)).await, 1);
        assert_eq!(connection.round_trips_of(locks.holder("a")).await, 1);
        assert_eq!(connection.round_trips_of(locks.release("a", &token)).await, 1);
    });
}
