//! Failed logins: exactly as many attempts as the rules allow, then pauses that grow, whoever asks at the same time.

use std::net::IpAddr;
use std::num::NonZeroU32;
use std::time::Duration;

use redis::Value;
use storefront::limits::{Attempt, LoginGuard, LoginRules, RulesError};
use storefront::{CustomerId, Keys, Layout, StoreError};
use tokio::task::JoinSet;

use crate::shop::faults::Breaking;
use crate::shop::moving::{Moving, owner_of};
use crate::shop::{Wire, in_each_layout, own_keys, server, until};

fn address() -> IpAddr {
    "203.0.113.7".parse().unwrap()
}

fn account() -> CustomerId {
    "user123".parse().unwrap()
}

fn rules(attempts: u32, first_pause: Duration, longest_pause: Duration) -> LoginRules {
    let attempts = NonZeroU32::new(attempts).unwrap();
    LoginRules::new(attempts, first_pause, longest_pause, Duration::from_hours(24)).unwrap()
}

/// Pauses of which none ends during a test.
fn long_pauses(attempts: u32) -> LoginRules {
    rules(attempts, Duration::from_hours(1), Duration::from_hours(2))
}

async fn ttl_of(wire: &Wire, key: &str) -> i64 {
    redis::cmd("PTTL").arg(key).query_async(&mut wire.clone()).await.unwrap()
}

/// Ends a pause as if its time had passed, unless it has.
async fn end_pause(wire: &Wire, keys: &Keys) {
    wire.send(&["DEL", &keys.blocked_ip(address())]).await;
}

#[test]
fn keys_are_spelled_as_documented() {
    let (one, many) = (Keys::new("", Layout::Standalone), Keys::new("shop:", Layout::Cluster));
    assert_eq!(one.failed_login(address()), "failed_login:203.0.113.7");
    assert_eq!(one.blocked_ip(address()), "blocked_ip:203.0.113.7");
    assert_eq!(many.failed_login(address()), "shop:failed_login:{203.0.113.7}");
    assert_eq!(many.blocked_ip(address()), "shop:blocked_ip:{203.0.113.7}");
    assert_eq!(one.failed_login_of_account(&account()), "failed_login:account:user123");
    assert_eq!(many.blocked_account(&account()), "shop:blocked_account:{user123}");
}

#[test]
fn addresses_of_one_network_are_one_address() {
    let keys = Keys::new("", Layout::Standalone);
    let key = |text: &str| keys.failed_login(text.parse().unwrap());
    assert_eq!(key("::ffff:203.0.113.7"), key("203.0.113.7"));
    assert_eq!(key("2001:db8:1:2::1"), "failed_login:2001:db8:1:2::/64");
    assert_eq!(key("2001:db8:1:2:ffff:ffff:ffff:ffff"), key("2001:db8:1:2::"));
    assert_ne!(key("2001:db8:1:3::1"), key("2001:db8:1:2::1"));
    assert_eq!(key("::1"), "failed_login:::/64");
}

#[test]
fn rules_that_forget_before_they_pardon_are_refused() {
    let (five, second, hour) = (NonZeroU32::MIN, Duration::from_secs(1), Duration::from_hours(1));
    let refused = |first, longest, remembered| LoginRules::new(five, first, longest, remembered).unwrap_err();
    assert!(LoginRules::new(five, second, second, 2 * second).is_ok());
    assert!(matches!(refused(Duration::ZERO, second, hour), RulesError::Pauses { .. }));
    assert!(matches!(refused(second * 2, second, hour), RulesError::Pauses { .. }));
    assert!(matches!(refused(second, hour, hour), RulesError::Remembered { .. }));
    assert!(matches!(refused(second, hour, Duration::MAX), RulesError::Remembered { .. }));
    assert!(matches!(refused(second, Duration::MAX, Duration::MAX), RulesError::Remembered { .. }));
}

#[tokio::test]
async fn pauses_double_up_to_the_longest() {
    in_each_layout(async |wire, keys| {
        let guard = LoginGuard::new(wire.clone(), keys.clone());
        let mut pauses = Vec::new();
        for attempt in 1..=18 {
            let Attempt::Allowed { left, pause } = guard.attempt(address(), None).await.unwrap() else {
                panic!("attempt {attempt} is blocked")
            };
            assert_eq!(left, 5_u32.saturating_sub(attempt));
            let ttl = ttl_of(&wire, &keys.blocked_ip(address())).await;
            if attempt < 5 {
                assert_eq!((pause, ttl), (Duration::ZERO, -2));
                continue;
            }
            pauses.push(pause.as_secs());
            // A shorter one may be over by now.
            if pause > Duration::from_secs(10) {
                let left = Duration::from_millis(ttl.try_into().unwrap());
                assert!(!left.is_zero() && left <= pause, "{left:?} of {pause:?}");
                match guard.attempt(address(), None).await.unwrap() {
                    Attempt::Blocked { retry_after: Some(wait) } => assert!(wait <= pause),
                    other => panic!("{other:?} in the pause of attempt {attempt}"),
                }
            }
            end_pause(&wire, &keys).await;
        }
        assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900, 900, 900]);
    })
    .await;
}

#[tokio::test]
async fn a_pause_ends_by_itself_and_then_one_attempt_gets_through() {
    in_each_layout(async |wire, keys| {
        let short = rules(2, Duration::from_millis(30), Duration::from_millis(60));
        let guard = LoginGuard::new(wire.clone(), keys.clone()).with_rules(short, short);
        for _ in 0..2 {
            assert!(matches!(guard.attempt(address(), None).await.unwrap(), Attempt::Allowed { .. }));
        }
        let mut allowed = Attempt::Blocked { retry_after: None };
        while let Attempt::Blocked { .. } = allowed {
            allowed = guard.attempt(address(), None).await.unwrap();
        }
        assert_eq!(allowed, Attempt::Allowed { left: 0, pause: Duration::from_millis(60) });
        let gone = async || ttl_of(&wire, &keys.blocked_ip(address())).await == -2;
        until("the block is gone", gone).await;
        let remembered = ttl_of(&wire, &keys.failed_login(address())).await;
        assert!((1..=86_400_000).contains(&remembered), "{remembered}");
    })
    .await;
}

#[tokio::test]
async fn attempts_while_blocked_change_nothing() {
    in_each_layout(async |wire, keys| {
        let guard = LoginGuard::new(wire.clone(), keys.clone()).with_rules(long_pauses(1), long_pauses(1));
        let _ = guard.attempt(address(), None).await.unwrap();
        let dump = async || wire.send(&["DUMP", &keys.failed_login(address())]).await;
        let ends = async || {
            let at = wire.send(&["PEXPIRETIME", &keys.blocked_ip(address())]).await;
            redis::from_redis_value::<i64>(at).unwrap()
        };
        let before = (dump().await, ends().await);
        for _ in 0..5 {
            assert!(matches!(guard.attempt(address(), None).await.unwrap(), Attempt::Blocked { .. }));
        }
        assert_eq!(dump().await, before.0);
        // A key that moves takes along how long it has to live, not until when: some milliseconds are lost on the way.
        assert!(ends().await.abs_diff(before.1) < 10_000, "{before:?}");
    })
    .await;
}

#[tokio::test]
async fn a_success_forgets_the_failures_and_ends_the_pause() {
    in_each_layout(async |wire, keys| {
        let guard = LoginGuard::new(wire.clone(), keys.clone()).with_rules(long_pauses(3), long_pauses(3));
        for _ in 0..2 {
            // The third uses up the last attempt, and is right.
            for _ in 0..3 {
                let attempt = guard.attempt(address(), Some(&account())).await.unwrap();
                assert!(matches!(attempt, Attempt::Allowed { .. }));
            }
            guard.succeeded(address(), Some(&account())).await.unwrap();
            for key in [
                keys.failed_login(address()),
                keys.blocked_ip(address()),
                keys.failed_login_of_account(&account()),
                keys.blocked_account(&account()),
            ] {
                assert_eq!(ttl_of(&wire, &key).await, -2, "{key}");
            }
        }
    })
    .await;
}

#[tokio::test]
async fn an_account_is_guarded_against_many_addresses() {
    in_each_layout(async |wire, keys| {
        let guard = LoginGuard::new(wire.clone(), keys.clone()).with_rules(long_pauses(5), long_pauses(10));
        let mut allowed = 0;
        for number in 0..30 {
            let address = IpAddr::from([198, 51, 100, number]);
            let attempt = guard.attempt(address, Some(&account())).await.unwrap();
            allowed += u32::from(matches!(attempt, Attempt::Allowed { .. }));
        }
        assert_eq!(allowed, 10);
        // Without the account nobody stops them, and other accounts are open.
        assert!(matches!(guard.attempt(address(), None).await.unwrap(), Attempt::Allowed { left: 4, .. }));
        let other = "user124".parse().unwrap();
        let attempt = guard.attempt(address(), Some(&other)).await.unwrap();
        assert!(matches!(attempt, Attempt::Allowed { left: 3, .. }), "{attempt:?}");
    })
    .await;
}

#[tokio::test]
async fn somebody_who_resets_his_address_does_not_reset_the_account_he_guesses_at() {
    in_each_layout(async |wire, keys| {
        let guard = LoginGuard::new(wire.clone(), keys.clone()).with_rules(long_pauses(5), long_pauses(10));
        let own = "attacker".parse().unwrap();
        let mut guesses = 0;
        for _ in 0..30 {
            let guess = guard.attempt(address(), Some(&account())).await.unwrap();
            guesses += u32::from(matches!(guess, Attempt::Allowed { .. }));
            if matches!(guard.attempt(address(), Some(&own)).await.unwrap(), Attempt::Allowed { .. }) {
                guard.succeeded(address(), Some(&own)).await.unwrap();
            }
        }
        assert_eq!(guesses, 10);
    })
    .await;
}

#[tokio::test]
async fn a_block_made_by_hand_has_no_end() {
    in_each_layout(async |wire, keys| {
        let guard = LoginGuard::new(wire.clone(), keys.clone());
        wire.send(&["SET", &keys.blocked_ip(address()), "by_hand"]).await;
        let forever = Attempt::Blocked { retry_after: None };
        assert_eq!(guard.attempt(address(), None).await.unwrap(), forever);
        guard.succeeded(address(), None).await.unwrap();
        assert_eq!(guard.attempt(address(), None).await.unwrap(), forever);
    })
    .await;
}

#[tokio::test]
async fn somebody_elses_value_is_named_and_left_alone() {
    in_each_layout(async |wire, keys| {
        let guard = LoginGuard::new(wire.clone(), keys.clone());
        let both = [keys.failed_login(address()), keys.blocked_ip(address())];
        for foreign in &both {
            for own in &both {
                wire.send(&["DEL", own]).await;
            }
            wire.send(&["SADD", foreign, "a"]).await;
            let attempt = guard.attempt(address(), None).await.unwrap_err();
            let success = guard.succeeded(address(), None).await.unwrap_err();
            for error in [attempt, success] {
                assert!(matches!(error, StoreError::WrongType { .. }), "{error:?}");
            }
            assert_eq!(wire.send(&["SCARD", foreign]).await, Value::Int(1));
            assert_eq!(wire.send(&["EXISTS", &both[0], &both[1]]).await, Value::Int(1));
        }
        for text in ["x", "-1", "1.5", ""] {
            wire.send(&["DEL", &both[1]]).await;
            wire.send(&["SET", &both[0], text]).await;
            let error = guard.attempt(address(), None).await.unwrap_err();
            assert!(matches!(error, StoreError::Malformed { .. }), "{text}: {error:?}");
            assert_eq!(ttl_of(&wire, &both[0]).await, -1);
        }
    })
    .await;
}

#[tokio::test]
async fn each_step_is_one_round_trip_and_one_more_with_an_account() {
    in_each_layout(async |wire, keys| {
        let guard = LoginGuard::new(wire.clone(), keys.clone());
        let account = account();
        // The server learns the scripts.
        let _ = guard.attempt(address(), None).await.unwrap();
        guard.succeeded(address(), None).await.unwrap();
        assert_eq!(wire.round_trips_of(guard.attempt(address(), None)).await, 1);
        assert_eq!(wire.round_trips_of(guard.attempt(address(), Some(&account))).await, 2);
        assert_eq!(wire.round_trips_of(guard.succeeded(address(), Some(&account))).await, 2);
        assert_eq!(wire.round_trips_of(guard.succeeded(address(), None)).await, 1);
    })
    .await;
}

/// Each client tries so many passwords; returns how many attempts were allowed, blocked, and answered by an error.
async fn crowd(clients: Vec<LoginGuard<Wire>>, tries: usize) -> [usize; 3] {
    let mut crowd = JoinSet::new();
    for guard in clients {
        crowd.spawn(async move {
            let mut counts = [0; 3];
            for _ in 0..tries {
                match guard.attempt(address(), None).await {
                    Ok(Attempt::Allowed { .. }) => counts[0] += 1,
                    Ok(Attempt::Blocked { .. }) => counts[1] += 1,
                    Err(_) => counts[2] += 1,
                }
            }
            counts
        });
    }
    let counts = crowd.join_all().await;
    [0, 1, 2].map(|kind| counts.iter().map(|count| count[kind]).sum())
}

fn strict(wire: Wire, keys: &Keys) -> LoginGuard<Wire> {
    LoginGuard::new(wire, keys.clone()).with_rules(long_pauses(5), long_pauses(5))
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_attempts_at_a_time_exactly_the_allowed_get_through() {
    for layout in [Layout::Standalone, Layout::Cluster] {
        for _ in 0..5 {
            let (keys, mut clients) = (own_keys(layout), Vec::new());
            for _ in 0..20 {
                let wire = match layout {
                    Layout::Standalone => Wire::standalone().await,
                    Layout::Cluster => Wire::cluster().await,
                };
                clients.push(strict(wire, &keys));
            }
            assert_eq!(crowd(clients, 3).await, [5, 55, 0], "{layout:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn while_slots_move_exactly_the_allowed_get_through() {
    let (keys, mut clients) = (own_keys(Layout::Cluster), Vec::new());
    for _ in 0..5 {
        let rules = long_pauses(400);
        clients.push(LoginGuard::new(Wire::cluster().await, keys.clone()).with_rules(rules, rules));
    }
    let key = keys.failed_login(address());
    let moving = Moving::slots_of([&key]);
    let mut counts = [0; 3];
    for _ in 0..5 {
        let owner = owner_of(&key);
        for (sum, count) in counts.iter_mut().zip(crowd(clients.clone(), 40).await) {
            *sum += count;
        }
        // However fast the clients are, the slot moves between some of their attempts.
        until("the slot moves", async || owner_of(&key) != owner).await;
    }
    let moves = moving.end();
    assert_eq!(counts, [400, 600, 0], "{moves} moves");
}

#[tokio::test(flavor = "multi_thread")]
async fn when_answers_are_lost_no_attempt_is_given_away() {
    for run in 0..5 {
        let (keys, mut clients) = (own_keys(Layout::Standalone), Vec::new());
        let breaking = Breaking::in_front_of(server(), 5).await;
        while clients.len() < 10 {
            clients.push(strict(Wire::reconnecting(breaking.url()).await, &keys));
        }
        let [allowed, blocked, unknown] = crowd(clients, 10).await;
        let said = format!("run {run}: {allowed} allowed, {blocked} blocked, {unknown} unknown");
        assert!(unknown > 0 && allowed <= 5 && allowed + unknown >= 5, "{said}");
        let counted = Wire::standalone().await.send(&["GET", &keys.failed_login(address())]).await;
        assert_eq!(counted, Value::BulkString(b"5".to_vec()), "{said}");
    }
}
