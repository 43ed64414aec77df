//! Failed logins: exactly as many attempts as the rules allow, then pauses that grow, however many ask at once.

use std::net::IpAddr;
use std::num::NonZeroU32;
use std::time::Duration;

use lab_testing::slots::HalfMovedSlots;
use lab_testing::{TestConnection, prefix, until};
use patterns::login_guard::{self, Attempt, GuardKeys, Guarded, LoginGuard, LoginRules, RulesError};
use patterns::script::StoreError;
use redis::Value;
use redis::aio::ConnectionLike;
use tokio::task::JoinSet;

use crate::everywhere;
use crate::virtual_clock::VirtualClock;

const ACCOUNT: &str = "ann@example.com";

fn address() -> IpAddr {
    "203.0.113.7".parse().unwrap()
}

fn rules(attempts: u32, first_pause: Duration, longest_pause: Duration) -> LoginRules {
    let attempts = NonZeroU32::new(attempts).unwrap();
    LoginRules::new(attempts, first_pause, longest_pause, Duration::from_hours(24)).unwrap()
}

/// A guard with pauses of which none ends during a test.
fn strict<C: ConnectionLike + Clone>(
    connection: &C,
    prefix: &str,
    of_address: u32,
    of_account: u32,
) -> LoginGuard<C> {
    let long = |attempts| rules(attempts, Duration::from_hours(1), Duration::from_hours(2));
    LoginGuard::new(connection.clone(), prefix).with_rules(long(of_address), long(of_account))
}

fn keys<C: ConnectionLike + Clone>(guard: &LoginGuard<C>) -> GuardKeys {
    guard.keys(Guarded::Address(address())).unwrap()
}

async fn ttl(connection: &TestConnection, key: &str) -> i64 {
    connection.send(&["PTTL", key]).await
}

fn is_allowed(attempt: Attempt) -> bool {
    matches!(attempt, Attempt::Allowed { .. })
}

#[tokio::test]
async fn keys_are_spelled_as_documented() {
    let connection = TestConnection::server().await;
    let of = |who: Guarded<'_>| LoginGuard::new(connection.clone(), "shop:").keys(who).unwrap();
    let address = |text: &str| of(Guarded::Address(text.parse().unwrap()));
    let ours = address("203.0.113.7");
    assert_eq!(ours.attempts, "shop:failed_login:203.0.113.7");
    assert_eq!(ours.block, "shop:failed_login:{shop:failed_login:203.0.113.7}:block");
    assert_eq!(ours.published, "shop:blocked_ip:203.0.113.7");
    let account = of(Guarded::Account("a:b"));
    assert_eq!(account.attempts, "shop:failed_login:account:a%3Ab");
    assert_eq!(account.published, "shop:blocked_account:a:b");
    // The addresses of one network are one address.
    assert_eq!(address("::ffff:203.0.113.7"), ours);
    assert_eq!(address("2001:db8:1:2::1").published, "shop:blocked_ip:2001:db8:1:2::/64");
    assert_eq!(address("2001:db8:1:2:ffff:ffff:ffff:ffff"), address("2001:db8:1:2::"));
    assert_ne!(address("2001:db8:1:3::1"), address("2001:db8:1:2::1"));
}

#[test]
fn rules_that_forget_before_they_pardon_are_refused() {
    let (one, second, hour) = (NonZeroU32::MIN, Duration::from_secs(1), Duration::from_hours(1));
    let refused = |first, longest, remembered| LoginRules::new(one, first, longest, remembered).unwrap_err();
    assert!(LoginRules::new(one, second, second, 2 * second).is_ok());
    assert_matches!(refused(Duration::ZERO, second, hour), RulesError::Pauses { .. });
    assert_matches!(refused(second * 2, second, hour), RulesError::Pauses { .. });
    assert_matches!(refused(second, hour, hour), RulesError::Remembered { .. });
    assert_matches!(refused(second, hour, Duration::MAX), RulesError::Remembered { .. });
    assert_matches!(refused(second, Duration::MAX, Duration::MAX), RulesError::Remembered { .. });
}

#[test]
fn pauses_double_up_to_the_longest() {
    everywhere(async |connection, prefix| {
        let guard = LoginGuard::new(connection.clone(), &prefix);
        let keys = keys(&guard);
        let mut pauses = Vec::new();
        for attempt in 1..=18 {
            let Attempt::Allowed { left, pause } = guard.attempt(address(), None).await.unwrap() else {
                panic!("attempt {attempt} is blocked")
            };
            assert_eq!(left, 5_u32.saturating_sub(attempt));
            if attempt < 5 {
                assert_eq!((pause, ttl(&connection, &keys.published).await), (Duration::ZERO, -2));
                continue;
            }
            pauses.push(pause.as_secs());
            // A shorter one may be over by now.
            if pause > Duration::from_secs(10) {
                for key in [&keys.block, &keys.published] {
                    let left = Duration::from_millis(ttl(&connection, key).await.try_into().unwrap());
                    assert!(!left.is_zero() && left <= pause, "{key}: {left:?} of {pause:?}");
                }
                match guard.attempt(address(), None).await.unwrap() {
                    Attempt::Blocked { retry_after: Some(wait) } => assert!(wait <= pause),
                    other => panic!("{other:?} in the pause of attempt {attempt}"),
                }
            }
            // As if the time had passed, unless it has.
            let _: i64 = connection.send(&["DEL", &keys.block]).await;
        }
        assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900, 900, 900]);
    });
}

#[test]
fn a_pause_ends_by_itself_and_then_one_attempt_gets_through() {
    everywhere(async |connection, prefix| {
        let short = rules(2, Duration::from_millis(30), Duration::from_millis(60));
        let guard = LoginGuard::new(connection.clone(), &prefix).with_rules(short, short);
        for _ in 0..2 {
            assert!(is_allowed(guard.attempt(address(), None).await.unwrap()));
        }
        let mut allowed = Attempt::Blocked { retry_after: None };
        while let Attempt::Blocked { .. } = allowed {
            allowed = guard.attempt(address(), None).await.unwrap();
        }
        assert_eq!(allowed, Attempt::Allowed { left: 0, pause: Duration::from_millis(60) });
        let keys = keys(&guard);
        for key in [keys.block, keys.published] {
            until("the block is gone", async || ttl(&connection, &key).await == -2).await;
        }
        let remembered = ttl(&connection, &keys.attempts).await;
        assert!((1..=86_400_000).contains(&remembered), "{remembered}");
    });
}

#[test]
fn attempts_while_blocked_change_nothing() {
    everywhere(async |connection, prefix| {
        let guard = strict(&connection, &prefix, 1, 1);
        let _ = guard.attempt(address(), None).await.unwrap();
        let keys = keys(&guard);
        let state = async || -> (Value, Value) {
            (connection.send(&["DUMP", &keys.attempts]).await, connection.send(&["DUMP", &keys.block]).await)
        };
        let ends = async || connection.send::<i64>(&["PEXPIRETIME", &keys.block]).await;
        let before = (state().await, ends().await);
        for _ in 0..5 {
            assert!(!is_allowed(guard.attempt(address(), None).await.unwrap()));
        }
        assert_eq!(state().await, before.0);
        // A key that moves takes along how long it has to live, not until when: some milliseconds are lost on the way.
        assert!(ends().await.abs_diff(before.1) < 10_000, "{before:?}");
    });
}

#[test]
fn a_success_forgets_the_failures_and_ends_the_pause() {
    everywhere(async |connection, prefix| {
        let guard = strict(&connection, &prefix, 3, 3);
        for _ in 0..2 {
            // The third uses up the last attempt, and is right.
            for _ in 0..3 {
                assert!(is_allowed(guard.attempt(address(), Some(ACCOUNT)).await.unwrap()));
            }
            guard.succeeded(address(), Some(ACCOUNT)).await.unwrap();
            for who in [Guarded::Address(address()), Guarded::Account(ACCOUNT)] {
                let GuardKeys { attempts, block, published } = guard.keys(who).unwrap();
                for key in [attempts, block, published] {
                    assert_eq!(ttl(&connection, &key).await, -2, "{key}");
                }
            }
        }
    });
}

#[test]
fn an_account_is_guarded_against_many_addresses() {
    everywhere(async |connection, prefix| {
        let guard = strict(&connection, &prefix, 5, 10);
        let mut allowed = 0;
        for number in 0..30 {
            let address = IpAddr::from([198, 51, 100, number]);
            allowed += u32::from(is_allowed(guard.attempt(address, Some(ACCOUNT)).await.unwrap()));
        }
        assert_eq!(allowed, 10);
        // Without the account, nothing stops them, and other accounts are open.
        assert_matches!(guard.attempt(address(), None).await.unwrap(), Attempt::Allowed { left: 4, .. });
        let attempt = guard.attempt(address(), Some("bob@example.com")).await.unwrap();
        assert_matches!(attempt, Attempt::Allowed { left: 3, .. });
    });
}

#[test]
fn an_attacker_who_resets_their_address_does_not_reset_the_account() {
    everywhere(async |connection, prefix| {
        let guard = strict(&connection, &prefix, 5, 10);
        let mut guesses = 0;
        for _ in 0..30 {
            guesses += u32::from(is_allowed(guard.attempt(address(), Some(ACCOUNT)).await.unwrap()));
            if is_allowed(guard.attempt(address(), Some("attacker")).await.unwrap()) {
                guard.succeeded(address(), Some("attacker")).await.unwrap();
            }
        }
        assert_eq!(guesses, 10);
    });
}

#[test]
fn a_block_made_by_hand_stays_until_it_is_ended_by_hand() {
    everywhere(async |connection, prefix| {
        let guard = LoginGuard::new(connection.clone(), &prefix);
        let who = Guarded::Address(address());
        guard.block(who, None).await.unwrap();
        for _ in 0..2 {
            let attempt = guard.attempt(address(), None).await.unwrap();
            assert_eq!(attempt, Attempt::Blocked { retry_after: None });
            assert_eq!(ttl(&connection, &keys(&guard).published).await, -1);
            guard.succeeded(address(), None).await.unwrap();
        }
        guard.block(who, Some(Duration::from_hours(1))).await.unwrap();
        guard.succeeded(address(), None).await.unwrap();
        let attempt = guard.attempt(address(), None).await.unwrap();
        let Attempt::Blocked { retry_after: Some(wait) } = attempt else { panic!("{attempt:?}") };
        assert!(wait <= Duration::from_hours(1) && wait > Duration::from_mins(50));
        guard.unblock(who).await.unwrap();
        assert_eq!(ttl(&connection, &keys(&guard).published).await, -2);
        assert!(is_allowed(guard.attempt(address(), None).await.unwrap()));
    });
}

#[test]
fn a_block_that_was_not_published_is_published_by_the_next_attempt() {
    everywhere(async |connection, prefix| {
        let guard = strict(&connection, &prefix, 1, 1);
        let keys = keys(&guard);
        let _ = guard.attempt(address(), None).await.unwrap();
        assert!(!connection.send::<String>(&["GET", &keys.block]).await.contains("new"));
        // As a client leaves it that dies before it has told the other key.
        let _: () = connection.send(&["SET", &keys.block, "3600000 new", "PX", "3000000"]).await;
        let _: i64 = connection.send(&["DEL", &keys.published]).await;
        assert!(!is_allowed(guard.attempt(address(), None).await.unwrap()));
        let left = ttl(&connection, &keys.published).await;
        assert!((1..=3_000_000).contains(&left), "{left}");
        assert_eq!(connection.send::<String>(&["GET", &keys.block]).await, "3600000");
    });
}

#[test]
fn a_clock_set_back_an_hour_makes_no_pause_longer() {
    everywhere(async |connection, prefix| {
        let clock = VirtualClock::new(connection.clone(), &login_guard::scripts());
        let guard = LoginGuard::new(clock.clone(), &prefix);
        for _ in 0..5 {
            assert!(is_allowed(guard.attempt(address(), None).await.unwrap()));
        }
        let hour_before = VirtualClock::BEGIN_US - 3_600_000_000;
        for (passed, wait) in [(0, 1_000), (400_000, 600)] {
            clock.set_us(hour_before + passed);
            let retry_after = Some(Duration::from_millis(wait));
            assert_eq!(guard.attempt(address(), None).await.unwrap(), Attempt::Blocked { retry_after });
            // The other key follows.
            assert!((1..=1_000).contains(&ttl(&connection, &keys(&guard).published).await) || passed > 0);
        }
        clock.set_us(hour_before + 1_001_000);
        let pause = Duration::from_secs(2);
        assert_eq!(guard.attempt(address(), None).await.unwrap(), Attempt::Allowed { left: 0, pause });
    });
}

/// The server sees the block when it looks for the keys of the script, and the script, which begins a moment later, does not:
/// that happens about once in forty times. The attempt begins again, and waits until the slot has arrived.
#[tokio::test]
async fn a_pause_that_ends_while_its_slot_moves_is_over() {
    let connection = TestConnection::to_cluster(lab_testing::cluster()).await;
    // `HalfMovedSlots` takes every script that misses a key for one that has emptied it, so this connection is not counted.
    let client = redis::cluster::ClusterClientBuilder::new(lab_testing::cluster().urls())
        .retries(2_000)
        .min_retry_wait(5)
        .retry_wait_formula(50, 1)
        .response_timeout(lab_testing::TIMEOUT)
        .connection_timeout(lab_testing::TIMEOUT)
        .build()
        .unwrap();
    let guard = LoginGuard::new(client.get_async_connection().await.unwrap(), &prefix());
    let keys = keys(&guard);
    for _ in 0..100 {
        let _: () = connection.send(&["SET", &keys.attempts, "5"]).await;
        let _: () = connection.send(&["SET", &keys.block, "by_hand"]).await;
        let moving = HalfMovedSlots::of([&keys.block]);
        let _: i64 = connection.send(&["PEXPIRE", &keys.block, "8"]).await;
        let attempts = async {
            loop {
                if let Attempt::Allowed { left, .. } = guard.attempt(address(), None).await.unwrap() {
                    return left;
                }
            }
        };
        let arrival = async {
            tokio::time::sleep(Duration::from_millis(12)).await;
            drop(moving);
        };
        assert_eq!(tokio::join!(attempts, arrival).0, 0);
        assert_eq!(connection.send::<String>(&["GET", &keys.attempts]).await, "6");
    }
}

#[test]
fn a_foreign_value_is_named_and_left_alone() {
    everywhere(async |connection, prefix| {
        let guard = LoginGuard::new(connection.clone(), &prefix);
        let keys = keys(&guard);
        for foreign in [&keys.attempts, &keys.block] {
            let _: i64 = connection.send(&["DEL", &keys.attempts, &keys.block]).await;
            let _: i64 = connection.send(&["SADD", foreign, "a"]).await;
            let attempt = guard.attempt(address(), None).await.unwrap_err();
            let success = guard.succeeded(address(), None).await.unwrap_err();
            for error in [attempt, success] {
                assert_matches!(&error, StoreError::WrongType(names) if names.contains(foreign));
            }
            assert_eq!(connection.send::<i64>(&["EXISTS", &keys.attempts, &keys.block]).await, 1);
        }
        let _: i64 = connection.send(&["DEL", &keys.block]).await;
        for text in ["x", "-1", "1.5", ""] {
            let _: i64 = connection.send(&["DEL", &keys.attempts]).await;
            let _: () = connection.send(&["SET", &keys.attempts, text]).await;
            assert_matches!(guard.attempt(address(), None).await, Err(StoreError::Malformed(_)), "{text}");
            assert_eq!(ttl(&connection, &keys.attempts).await, -1);
        }
    });
}

#[test]
fn each_step_is_one_round_trip_and_one_more_with_an_account() {
    everywhere(async |connection, prefix| {
        let guard = LoginGuard::new(connection.clone(), &prefix);
        assert_eq!(connection.round_trips_of(guard.attempt(address(), None)).await, 1);
        assert_eq!(connection.round_trips_of(guard.attempt(address(), Some(ACCOUNT))).await, 2);
        assert_eq!(connection.round_trips_of(guard.succeeded(address(), Some(ACCOUNT))).await, 2);
        assert_eq!(connection.round_trips_of(guard.succeeded(address(), None)).await, 1);
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_attempts_at_once_exactly_the_allowed_get_through() {
    for cluster in [false, true] {
        let (prefix, mut crowd) = (prefix(), JoinSet::new());
        for _ in 0..20 {
            let connection =
                if cluster { TestConnection::cluster().await } else { TestConnection::server().await };
            let guard = strict(&connection, &prefix, 5, 5);
            crowd.spawn(async move {
                let mut allowed = 0;
                for _ in 0..3 {
                    allowed += u32::from(is_allowed(guard.attempt(address(), None).await.unwrap()));
                }
                allowed
            });
        }
        assert_eq!(crowd.join_all().await.iter().sum::<u32>(), 5, "cluster: {cluster}");
    }
}
