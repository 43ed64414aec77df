//! What the four limiters have in common.

use std::time::Duration;

use lab_server::Server;
use lab_testing::faults::lossy_proxy;
use lab_testing::slots::HalfMovedSlots;
use lab_testing::{TestConnection, prefix, until};
use patterns::fixed_window::{self, FixedWindow, FixedWindowAlgorithm};
use patterns::limit::{
    Algorithm, Decision, IfUnreachable, Limit, LimitError, Limiter, MAX_LIMITS, MAX_QUOTA, MAX_WINDOW,
    RETRY_UNREACHABLE,
};
use patterns::script::{Script, StoreError};
use patterns::sliding_counter::{self, SlidingCounterAlgorithm};
use patterns::sliding_log::{self, SlidingLog, SlidingLogAlgorithm};
use patterns::token_bucket::{self, TokenBucket, TokenBucketAlgorithm};
use redis::Value;
use redis::aio::ConnectionLike;
use tokio::task::JoinSet;

use crate::virtual_clock::VirtualClock;
use crate::{dumps, everywhere};

const DAY: Duration = Duration::from_hours(24);
const HOUR: Duration = Duration::from_hours(1);
const MINUTE: Duration = Duration::from_mins(1);

/// Runs a function for each algorithm.
macro_rules! for_each_algorithm {
    ($check:ident($($argument:expr),*)) => {
        $check::<FixedWindowAlgorithm>($($argument),*).await;
        $check::<SlidingLogAlgorithm>($($argument),*).await;
        $check::<SlidingCounterAlgorithm>($($argument),*).await;
        $check::<TokenBucketAlgorithm>($($argument),*).await;
    };
}

/// The same everywhere.
macro_rules! everywhere_for_each_algorithm {
    ($check:ident) => {
        everywhere(async |connection, prefix| {
            for_each_algorithm!($check(&connection, &prefix));
        });
    };
}

/// Each algorithm has a caller of its own, so that they never share a key.
fn caller<A>() -> String {
    let name = std::any::type_name::<A>();
    name.rsplit(':').next().unwrap().to_owned()
}

fn limiter<A: Algorithm, C: ConnectionLike + Clone>(
    connection: &C,
    prefix: &str,
    limits: &[Limit],
) -> Limiter<C, A> {
    Limiter::new(connection.clone(), prefix, limits, IfUnreachable::Refuse).unwrap()
}

fn on_virtual_time(connection: &TestConnection) -> VirtualClock {
    VirtualClock::new(connection.clone(), &all_scripts())
}

fn all_scripts() -> Vec<(&'static str, &'static Script)> {
    [fixed_window::scripts(), sliding_log::scripts(), sliding_counter::scripts(), token_bucket::scripts()]
        .concat()
}

async fn ttl(connection: &TestConnection, key: &str) -> i64 {
    connection.send(&["PTTL", key]).await
}

fn shown(decision: &Decision) -> (bool, u32, bool) {
    (decision.admitted, decision.remaining, decision.retry_after.is_some())
}

#[test]
fn a_limit_that_no_limiter_can_keep_is_refused() {
    let made = |limits: &[Limit]| {
        FixedWindow::new(NoConnection, "", limits, IfUnreachable::Refuse).map(|_| ()).err()
    };
    let limit = |quota, window| Limit::new("l", quota, window);
    for good in [limit(MAX_QUOTA, MAX_WINDOW), limit(0, Duration::from_millis(1)), limit(5, DAY)] {
        assert_eq!(made(&[good]), None);
    }
    for window in [Duration::ZERO, Duration::from_micros(1_999), MAX_WINDOW + Duration::from_millis(1)] {
        assert_eq!(made(&[limit(1, window)]), Some(LimitError::Window { window }));
    }
    assert_matches!(made(&[limit(MAX_QUOTA + 1, DAY)]), Some(LimitError::Quota { .. }));
    assert_matches!(made(&[limit(1, DAY).with_burst(u32::MAX)]), Some(LimitError::Quota { .. }));
    assert_matches!(made(&[Limit::new("", 1, DAY)]), Some(LimitError::Name(_)));
    assert_matches!(made(&[]), Some(LimitError::Number { limits: 0 }));
    assert_matches!(made(&[limit(1, DAY), limit(2, HOUR)]), Some(LimitError::SameName { .. }));
    let many: Vec<Limit> = (0..=MAX_LIMITS).map(|n| Limit::new(&n.to_string(), 1, DAY)).collect();
    assert_matches!(made(&many), Some(LimitError::Number { .. }));
    assert_eq!(made(&many[1..]), None);

    let bucket =
        |limit: Limit| TokenBucket::new(NoConnection, "", &[limit], IfUnreachable::Refuse).map(|_| ()).err();
    assert_eq!(bucket(limit(MAX_QUOTA, Duration::from_secs(1))), None);
    assert_matches!(bucket(limit(1_001, Duration::from_millis(1))), Some(LimitError::TooFast { .. }));
    assert_eq!(bucket(limit(1, DAY).with_burst(365)), None);
    assert_eq!(bucket(limit(1, DAY).with_burst(366)), Some(LimitError::TooSlow { burst: 366 }));
}

/// For what needs no server.
#[derive(Clone)]
struct NoConnection;

impl ConnectionLike for NoConnection {
    fn req_packed_command<'a>(&'a mut self, _: &'a redis::Cmd) -> redis::RedisFuture<'a, Value> {
        panic!("nothing is sent")
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        _: &'a redis::Pipeline,
        _: usize,
        _: usize,
    ) -> redis::RedisFuture<'a, Vec<Value>> {
        panic!("nothing is sent")
    }

    fn get_db(&self) -> i64 {
        0
    }
}

#[test]
fn keys_are_spelled_as_documented() {
    let keys = |prefix: &str, caller: &str, limits: &[Limit]| {
        FixedWindow::new(NoConnection, prefix, limits, IfUnreachable::Refuse).unwrap().keys(caller).unwrap()
    };
    let limits = [Limit::new("second", 10, Duration::from_secs(1)), Limit::new("a day", 1_000, DAY)];
    assert_eq!(keys("", "api_key", &limits[..1]), ["rate_limit:api_key:second"]);
    assert_eq!(
        keys("shop:", "2001:db8::1", &limits),
        ["shop:rate_limit:2001:db8::1:second", "shop:rate_limit:{shop:rate_limit:2001:db8::1:second}:a day"]
    );
}

#[test]
fn a_limiter_counts_down_and_then_says_how_long_to_wait() {
    async fn check<A: Algorithm>(connection: &TestConnection, prefix: &str) {
        let limits = [Limit::new("day", 3, DAY)];
        let (limiter, caller) = (limiter::<A, _>(connection, prefix, &limits), caller::<A>());
        for remaining in [2, 1, 0] {
            let decision = limiter.admit(&caller).await.unwrap();
            assert_eq!(shown(&decision), (true, remaining, false), "{caller}");
        }
        let refused = limiter.admit(&caller).await.unwrap();
        let wait = refused.retry_after.unwrap();
        assert_eq!(shown(&refused), (false, 0, true), "{caller}");
        // A sliding counter whose window has just begun may have to wait for nearly two.
        assert!(wait > Duration::ZERO && wait <= 2 * DAY, "{caller}: {wait:?}");
        assert!(refused.limits[0].reset_after >= wait && refused.limits[0].reset_after <= 2 * DAY);
        assert!(limiter.admit(&format!("not {caller}")).await.unwrap().admitted);
    }

    everywhere_for_each_algorithm!(check);
}

#[tokio::test]
async fn headers_are_structured_fields_in_whole_seconds() {
    let (connection, prefix) = (TestConnection::server().await, prefix());
    let limits = [
        Limit::new("a \"minute\" für Zoë", 100, MINUTE),
        Limit::new("short", 1_000, Duration::from_millis(1_500)),
    ];
    let limiter: FixedWindow<_> = limiter(&connection, &prefix, &limits);
    let decision = limiter.admit_many("7", 60).await.unwrap();
    assert_eq!(
        decision.headers(),
        [
            (
                "ratelimit-policy",
                r#""a \"minute\" f%C3%BCr Zo%C3%AB";q=100;w=60, "short";q=1000;w=2"#.to_owned()
            ),
            ("ratelimit", r#""a \"minute\" f%C3%BCr Zo%C3%AB";r=40;t=60, "short";r=940;t=2"#.to_owned()),
        ]
    );
    let refused = limiter.admit_many("7", 60).await.unwrap();
    let seconds: u64 = refused.retry_after_header().unwrap().parse().unwrap();
    assert!((50..=60).contains(&seconds), "{seconds}");
    assert_eq!(refused.headers()[2], ("retry-after", seconds.to_string()));
}

#[test]
fn each_call_is_one_round_trip() {
    async fn check<A: Algorithm>(connection: &TestConnection, prefix: &str) {
        let limits = [Limit::new("hour", 2, HOUR), Limit::new("day", 20, DAY)];
        let (limiter, caller) = (limiter::<A, _>(connection, prefix, &limits), caller::<A>());
        let first = limiter.admit(&caller).await.unwrap();
        for admitted in [true, false, false] {
            let request =
                async { assert_eq!(limiter.admit(&caller).await.unwrap().admitted, admitted, "{caller}") };
            assert_eq!(connection.round_trips_of(request).await, 1, "{caller}");
        }
        assert_eq!(connection.round_trips_of(limiter.peek(&caller, 1)).await, 1);
        assert_eq!(connection.round_trips_of(limiter.refund(&caller, &first, "1")).await, 1);
        assert_eq!(connection.round_trips_of(limiter.reset(&caller)).await, 1);
    }

    everywhere_for_each_algorithm!(check);
}

#[test]
fn every_key_has_a_ttl_after_each_request_and_is_gone_in_the_end() {
    async fn check<A: Algorithm>(connection: &TestConnection, prefix: &str) {
        // In an hour nothing ends while we look.
        let limits = [Limit::new("hour", 2, HOUR), Limit::new("day", 3, DAY)];
        let (long, caller) = (limiter::<A, _>(connection, prefix, &limits), caller::<A>());
        for request in 1..=4 {
            let _ = long.admit(&caller).await.unwrap();
            for (key, window) in long.keys(&caller).unwrap().iter().zip([3_600_000, 86_400_000]) {
                let ttl = ttl(connection, key).await;
                assert!((1..=2 * window + 1).contains(&ttl), "{key}, request {request}: {ttl}");
            }
        }
        let short = [Limit::new("short", 2, Duration::from_millis(60))];
        let short = limiter::<A, _>(connection, prefix, &short);
        for _ in 0..4 {
            let _ = short.admit(&caller).await.unwrap();
        }
        let key = short.keys(&caller).unwrap().remove(0);
        until("the key is gone", async || ttl(connection, &key).await == -2).await;
        assert!(short.admit(&caller).await.unwrap().admitted, "{caller}");
    }

    everywhere_for_each_algorithm!(check);
}

#[test]
fn several_limits_count_a_request_together_or_not_at_all() {
    async fn check<A: Algorithm>(connection: &TestConnection, prefix: &str) {
        let limits = [Limit::new("hour", 5, HOUR), Limit::new("day", 8, DAY)];
        let (limiter, caller) = (limiter::<A, _>(connection, prefix, &limits), caller::<A>());
        let keys = limiter.keys(&caller).unwrap();
        let remaining = |decision: &Decision| [0, 1].map(|limit: usize| decision.limits[limit].remaining);
        let first = limiter.admit_many(&caller, 4).await.unwrap();
        assert_eq!((first.admitted, first.remaining, remaining(&first)), (true, 1, [1, 4]), "{caller}");
        let before = dumps(connection, &keys).await;
        // The first limit refuses, and the second has room.
        for _ in 0..3 {
            let refused = limiter.admit_many(&caller, 2).await.unwrap();
            assert_eq!((refused.admitted, remaining(&refused)), (false, [1, 4]), "{caller}");
            assert!(refused.limits[0].retry_after.is_some() && refused.limits[1].retry_after.is_none());
            assert_eq!(refused.retry_after, refused.limits[0].retry_after);
        }
        assert_eq!(dumps(connection, &keys).await, before, "{caller}");
        // The first has room again, and the second refuses.
        let _: i64 = connection.send(&["DEL", &keys[0]]).await;
        let refused = limiter.admit_many(&caller, 5).await.unwrap();
        assert_eq!((refused.admitted, remaining(&refused)), (false, [5, 4]), "{caller}");
        assert!(refused.limits[0].retry_after.is_none() && refused.limits[1].retry_after.is_some());
        assert_eq!(connection.send::<i64>(&["EXISTS", &keys[0]]).await, 0);
        assert_eq!(dumps(connection, &keys[1..]).await, before[1..], "{caller}");
        let last = limiter.admit_many(&caller, 4).await.unwrap();
        assert_eq!((last.admitted, remaining(&last)), (true, [1, 0]), "{caller}");
    }

    everywhere_for_each_algorithm!(check);
}

#[test]
fn a_request_that_costs_more_than_a_limit_never_gets_in_and_is_not_told_to_wait() {
    async fn check<A: Algorithm>(connection: &TestConnection, prefix: &str) {
        let (none, some) = ([Limit::new("none", 0, HOUR)], [Limit::new("some", 5, MINUTE)]);
        let caller = caller::<A>();
        let none = limiter::<A, _>(connection, prefix, &none);
        assert_eq!(shown(&none.admit(&caller).await.unwrap()), (false, 0, false), "{caller}");
        let some = limiter::<A, _>(connection, prefix, &some);
        for cost in [6, u32::MAX] {
            assert_eq!(shown(&some.admit_many(&caller, cost).await.unwrap()), (false, 5, false), "{caller}");
        }
        let nothing = some.admit_many(&caller, 0).await.unwrap();
        assert_eq!(shown(&nothing), (true, 5, false), "{caller}");
        assert_eq!(connection.send::<i64>(&["EXISTS", &some.keys(&caller).unwrap()[0]]).await, 0);
        assert_eq!(shown(&some.admit_many(&caller, 5).await.unwrap()), (true, 0, false), "{caller}");
    }

    everywhere_for_each_algorithm!(check);
}

#[test]
fn peeking_takes_nothing_and_a_reset_forgets() {
    async fn check<A: Algorithm>(connection: &TestConnection, prefix: &str) {
        let limits = [Limit::new("hour", 5, HOUR), Limit::new("day", 8, DAY)];
        let (limiter, caller) = (limiter::<A, _>(connection, prefix, &limits), caller::<A>());
        assert_eq!(shown(&limiter.peek(&caller, 5).await.unwrap()), (true, 5, false), "{caller}");
        let _ = limiter.admit_many(&caller, 3).await.unwrap();
        let before = dumps(connection, &limiter.keys(&caller).unwrap()).await;
        assert_eq!(shown(&limiter.peek(&caller, 2).await.unwrap()), (true, 2, false), "{caller}");
        assert_eq!(shown(&limiter.peek(&caller, 3).await.unwrap()), (false, 2, true), "{caller}");
        assert_eq!(dumps(connection, &limiter.keys(&caller).unwrap()).await, before, "{caller}");
        for _ in 0..2 {
            limiter.reset(&caller).await.unwrap();
        }
        assert_eq!(limiter.admit(&caller).await.unwrap().remaining, 4, "{caller}");
    }

    everywhere_for_each_algorithm!(check);
}

#[test]
fn a_refund_gives_back_once_what_was_taken() {
    async fn check<A: Algorithm>(connection: &TestConnection, prefix: &str) {
        let limits = [Limit::new("hour", 5, HOUR), Limit::new("day", 8, DAY)];
        let (limiter, caller) = (limiter::<A, _>(connection, prefix, &limits), caller::<A>());
        let first = limiter.admit_many(&caller, 2).await.unwrap();
        let second = limiter.admit_many(&caller, 3).await.unwrap();
        let refused = limiter.admit(&caller).await.unwrap();
        assert_eq!((second.admitted, refused.admitted), (true, false), "{caller}");
        assert!(!limiter.refund(&caller, &refused, "refused").await.unwrap(), "{caller}");
        for (id, decision, given_back, remaining) in [
            ("{1}:*", &second, [true, false], [3, 6]),
            ("2", &first, [true, false], [5, 8]),
            // However many requests come, a caller never has more than the limit.
            ("3", &first, [true, false], [5, 8]),
        ] {
            for expected in given_back {
                assert_eq!(limiter.refund(&caller, decision, id).await.unwrap(), expected, "{caller} {id}");
                let state = limiter.peek(&caller, 1).await.unwrap();
                assert_eq!(
                    [0, 1].map(|limit: usize| state.limits[limit].remaining),
                    remaining,
                    "{caller} {id}"
                );
            }
        }
        assert_eq!(limiter.admit_many(&caller, 5).await.unwrap().remaining, 0, "{caller}");
        let refunds = connection.keys(&format!("{prefix}rate_limit:*:refund:*")).await;
        for key in refunds {
            assert!((1..=600_000).contains(&ttl(connection, &key).await), "{key}");
        }
    }

    everywhere_for_each_algorithm!(check);
}

#[tokio::test]
async fn a_request_that_no_longer_counts_gives_nothing_back() {
    async fn check<A: Algorithm>(connection: &TestConnection, prefix: &str) {
        let limits = [Limit::new("short", 4, Duration::from_millis(50))];
        let (limiter, caller) = (limiter::<A, _>(connection, prefix, &limits), caller::<A>());
        let old = limiter.admit_many(&caller, 2).await.unwrap();
        until("the request is forgotten", async || limiter.peek(&caller, 1).await.unwrap().remaining == 4)
            .await;
        let over = async || {
            !limiter.refund(&caller, &old, &format!("{:?}", std::time::Instant::now())).await.unwrap()
        };
        until("it is over by the client's clock, too", over).await;
    }

    let (connection, prefix) = (TestConnection::server().await, prefix());
    for_each_algorithm!(check(&connection, &prefix));
}

#[test]
fn a_foreign_value_is_named_and_left_alone() {
    async fn check<A: Algorithm>(connection: &TestConnection, prefix: &str) {
        let limits = [Limit::new("hour", 5, HOUR), Limit::new("day", 8, DAY)];
        let (limiter, caller) = (limiter::<A, _>(connection, prefix, &limits), caller::<A>());
        let admitted = limiter.admit(&caller).await.unwrap();
        let keys = limiter.keys(&caller).unwrap();
        let is_log = caller.contains("SlidingLog");
        for (command, value) in
            [("SADD", "a"), ("SET", "x"), ("SET", "-1"), ("SET", "1.5"), ("SET", ""), ("RPUSH", "1 x")]
        {
            // The first is fine, the second is not.
            let _: i64 = connection.send(&["DEL", &keys[1]]).await;
            let _: Value = connection.send(&[command, &keys[1], value]).await;
            let before = dumps(connection, &keys).await;
            let errors = [
                limiter.admit(&caller).await.unwrap_err(),
                limiter.refund(&caller, &admitted, "1").await.unwrap_err(),
            ];
            for error in errors {
                let other_type = if is_log { command != "RPUSH" } else { command != "SET" };
                match &error {
                    StoreError::WrongType(text) if other_type => assert!(text.contains(&keys[1])),
                    StoreError::Malformed(text) if !other_type => assert!(text.contains(&keys[1])),
                    _ => panic!("{caller} with {command} {value}: {error:?}"),
                }
            }
            assert_eq!(dumps(connection, &keys).await, before, "{caller} with {command} {value}");
            assert_eq!(ttl(connection, &keys[1]).await, -1);
        }
    }

    everywhere_for_each_algorithm!(check);
}

#[test]
fn a_counter_without_a_ttl_does_not_refuse_forever() {
    everywhere(async |connection, prefix| {
        let limiter: FixedWindow<_> = limiter(&connection, &prefix, &[Limit::new("minute", 5, MINUTE)]);
        let key = limiter.keys("7").unwrap().remove(0);
        let _: () = connection.send(&["SET", &key, "5"]).await;
        assert_eq!(limiter.admit("7").await.unwrap().retry_after, Some(MINUTE));
        assert!((1..=60_000).contains(&ttl(&connection, &key).await));
    });
}

/// Each client asks so many times; returns how many requests were admitted, refused, and not answered.
async fn crowd<A: Algorithm>(clients: Vec<Limiter<TestConnection, A>>, requests: usize) -> [usize; 3] {
    let mut crowd = JoinSet::new();
    for client in clients {
        crowd.spawn(async move {
            let mut counts = [0; 3];
            for _ in 0..requests {
                let decision = client.admit("api_key").await.unwrap();
                let kind = if decision.unreachable.is_some() { 2 } else { usize::from(!decision.admitted) };
                counts[kind] += 1;
            }
            counts
        });
    }
    let counts = crowd.join_all().await;
    [0, 1, 2].map(|kind| counts.iter().map(|count| count[kind]).sum())
}

/// So many a day: no test takes the minutes in which one more would be let in.
fn many() -> [Limit; 2] {
    [Limit::new("day", 100, DAY), Limit::new("week", 200, 7 * DAY)]
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_clients_at_once_exactly_the_limit_is_admitted() {
    async fn check<A: Algorithm>(cluster: bool) {
        let (prefix, mut clients) = (prefix(), Vec::new());
        for _ in 0..20 {
            let connection =
                if cluster { TestConnection::cluster().await } else { TestConnection::server().await };
            clients.push(limiter::<A, _>(&connection, &prefix, &many()));
        }
        assert_eq!(crowd(clients, 15).await, [100, 200, 0], "{}", std::any::type_name::<A>());
    }

    for cluster in [false, true] {
        for_each_algorithm!(check(cluster));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn when_answers_are_lost_the_server_still_admits_exactly_the_limit() {
    async fn check<A: Algorithm>(server: &Server) {
        let prefix = prefix();
        let proxy = lossy_proxy(server, 7);
        let mut clients = Vec::new();
        while clients.len() < 10 {
            let connection = TestConnection::reconnecting(&proxy.url()).await;
            // Connections that are cut are errors here, not refusals.
            clients.push(limiter::<A, _>(&connection, &prefix, &many()));
        }
        let observer = limiter::<A, _>(&TestConnection::to_server(server).await, &prefix, &many());
        let [admitted, refused, unknown] = crowd(clients, 30).await;
        let shown = format!("{admitted} admitted, {refused} refused, {unknown} unknown");
        assert!(proxy.cuts() > 0 && unknown > 0, "{shown}");
        // A client without an answer may have been counted. No request was admitted beyond the limit.
        let state = observer.peek("api_key", 1).await.unwrap();
        assert_eq!([0, 1].map(|limit: usize| state.limits[limit].remaining), [0, 100], "{shown}");
        assert!(admitted <= 100 && admitted + unknown >= 100, "{shown}");
    }

    let server = Server::start().unwrap();
    for_each_algorithm!(check(&server));
}

#[test]
fn a_clock_set_back_an_hour_refuses_no_caller_for_longer_than_the_window() {
    async fn check<A: Algorithm>(clock: &VirtualClock, prefix: &str) {
        let limits = [Limit::new("minute", 5, MINUTE), Limit::new("ten", 8, 10 * MINUTE)];
        let (limiter, caller) = (limiter::<A, _>(clock, prefix, &limits), caller::<A>());
        let mut now = VirtualClock::BEGIN_US + 3_600_000_000 + 30_000_000;
        clock.set_us(now);
        assert!(limiter.admit_many(&caller, 5).await.unwrap().admitted, "{caller}");
        now -= 3_600_000_000;
        clock.set_us(now);
        let refused = limiter.admit(&caller).await.unwrap();
        // What was counted still counts.
        assert_eq!((refused.admitted, refused.remaining), (false, 0), "{caller}");
        let mut waited = Duration::ZERO;
        let mut wait = refused.retry_after.unwrap();
        // Whoever keeps asking sees the wait shrink, and gets in when it is over.
        loop {
            let step = wait.min(Duration::from_secs(7));
            now += u64::try_from(step.as_micros()).unwrap();
            clock.set_us(now);
            waited += step;
            let decision = limiter.admit(&caller).await.unwrap();
            if decision.admitted {
                break;
            }
            let next = decision.retry_after.unwrap();
            assert!(next < wait && waited + next <= 2 * MINUTE, "{caller}: {next:?} after {wait:?}");
            wait = next;
        }
        assert!(waited <= 2 * MINUTE, "{caller}: {waited:?}");
        // The second limit has counted six, and none of them twice. A bucket has forgotten how full it was, and began empty.
        let remaining = limiter.peek(&caller, 1).await.unwrap().limits[1].remaining;
        let expected = if caller.contains("TokenBucket") { 0 } else { 2 };
        assert_eq!(remaining, expected, "{caller}");
        // Forward a day: nothing is used any more.
        clock.set_us(now + 86_400_000_000);
        assert!(limiter.admit_many(&caller, 5).await.unwrap().admitted, "{caller}");
    }

    everywhere(async |connection, prefix| {
        let clock = on_virtual_time(&connection);
        for_each_algorithm!(check(&clock, &prefix));
    });
}

#[tokio::test]
async fn a_log_of_very_many_requests_is_searched_and_shortened_a_little_at_a_time() {
    const MILLION: u32 = 1_000_000;
    let (connection, prefix) = (TestConnection::server().await, prefix());
    let clock = on_virtual_time(&connection);
    let limiter: SlidingLog<_> = limiter(&clock, &prefix, &[Limit::new("hour", MILLION, HOUR)]);
    let key = limiter.keys("7").unwrap().remove(0);
    let _: i64 = connection.send(&["RPUSH", &key, "0 0"]).await;
    for batch in 0..100_u64 {
        let entry = |number: u64| format!("{} {}", VirtualClock::BEGIN_US + number, number + 1);
        let entries: Vec<String> = (batch * 10_000..(batch + 1) * 10_000).map(entry).collect();
        let words: Vec<&str> =
            ["RPUSH", &key].into_iter().chain(entries.iter().map(String::as_str)).collect();
        let _: i64 = connection.send(&words).await;
    }
    let length = async || connection.send::<usize>(&["LLEN", &key]).await;
    clock.set_us(VirtualClock::BEGIN_US + 1_000_000);
    let refused = limiter.admit_many("7", 500_000).await.unwrap();
    assert_eq!(shown(&refused), (false, 0, true));
    // The half-millionth request leaves an hour after it came.
    assert_eq!(refused.retry_after, HOUR.checked_sub(Duration::from_micros(500_001)));
    // Half of them are over. One request removes a thousand, and still counts right.
    clock.set_us(VirtualClock::BEGIN_US + 3_600_000_000 + 499_999);
    let admitted = limiter.admit("7").await.unwrap();
    assert_eq!(shown(&admitted), (true, 499_999, false));
    assert_eq!(length().await, 1_000_001 + 1 - 1_000);
    // The clock is set back: the log becomes two entries.
    clock.set_us(VirtualClock::BEGIN_US - 3_600_000_000);
    let admitted = limiter.admit_many("7", 10).await.unwrap();
    assert_eq!(shown(&admitted), (true, 499_989, false));
    assert_eq!(length().await, 3);
}

/// A script that touches a key which it has emptied fails then.
#[tokio::test]
async fn a_log_that_is_shortened_while_its_slot_moves_is_never_empty() {
    let connection = TestConnection::to_cluster(lab_testing::cluster()).await;
    let clock = on_virtual_time(&connection);
    let limiter: SlidingLog<_> = limiter(&clock, &prefix(), &[Limit::new("minute", 2, MINUTE)]);
    // The key expires a millisecond after the window, and nothing in it counts any more.
    clock.set_us(VirtualClock::BEGIN_US);
    let _ = limiter.admit_many("7", 2).await.unwrap();
    let moving = HalfMovedSlots::of(limiter.keys("7").unwrap());
    clock.set_us(VirtualClock::BEGIN_US + 60_000_500);
    assert!(limiter.admit_many("7", 2).await.unwrap().admitted);
    // The clock is set back.
    clock.set_us(VirtualClock::BEGIN_US);
    assert!(!limiter.admit("7").await.unwrap().admitted);
    drop(moving);
}

#[tokio::test]
async fn a_user_who_lacks_a_command_changes_nothing() {
    async fn check<A: Algorithm>(connection: &TestConnection, prefix: &str) {
        let limits = [Limit::new("hour", 5, HOUR), Limit::new("day", 8, DAY)];
        let (owner, caller) = (limiter::<A, _>(connection, prefix, &limits), caller::<A>());
        let admitted = owner.admit(&caller).await.unwrap();
        let before = dumps(connection, &owner.keys(&caller).unwrap()).await;
        let (to_admit, to_refund): (&[&str], &[&str]) = if caller.contains("SlidingLog") {
            (&["RPUSH", "LTRIM", "PEXPIRE"], &["SET", "LSET", "LTRIM"])
        } else if caller.contains("FixedWindow") {
            (&["INCRBY"], &["SET"])
        } else {
            (&["SET"], &["SET"])
        };
        for (lacks, refund) in
            to_admit.iter().map(|lacks| (lacks, false)).chain(to_refund.iter().map(|lacks| (lacks, true)))
        {
            let user = &format!("without-{lacks}");
            let without = format!("-{lacks}");
            let _: () =
                connection.send(&["ACL", "SETUSER", user, "on", ">secret", "~*", "+@all", &without]).await;
            let url = format!("redis://{user}:secret@127.0.0.1:{}", lab_testing::server().port());
            let limited = limiter::<A, _>(&TestConnection::to_url(&url).await, prefix, &limits);
            let refused = if refund {
                limited.refund(&caller, &admitted, "1").await.is_err()
            } else {
                limited.admit(&caller).await.is_err()
            };
            assert!(refused, "{caller} without {lacks}");
            assert_eq!(
                dumps(connection, &owner.keys(&caller).unwrap()).await,
                before,
                "{caller} without {lacks}"
            );
        }
        assert!(owner.refund(&caller, &admitted, "1").await.unwrap(), "{caller}");
    }

    let (connection, prefix) = (TestConnection::server().await, prefix());
    for_each_algorithm!(check(&connection, &prefix));
}

#[tokio::test]
async fn if_redis_is_unreachable_the_stated_choice_decides() {
    async fn check<A: Algorithm>() {
        let server = Server::start().unwrap();
        let connection = TestConnection::reconnecting(&server.url()).await;
        let limits = [Limit::new("minute", 7, MINUTE), Limit::new("hour", 10, HOUR)];
        let closed = limiter::<A, _>(&connection, "", &limits);
        let open = IfUnreachable::Admit { processes: 2 };
        let open = Limiter::<_, A>::new(connection.clone(), "", &limits, open).unwrap();
        assert!(open.admit("a").await.unwrap().unreachable.is_none());
        // It answers, but does not write.
        let _: () = connection.send(&["REPLICAOF", "127.0.0.1", "1"]).await;
        let refused = closed.admit("b").await.unwrap();
        assert_eq!((refused.admitted, refused.retry_after), (false, Some(RETRY_UNREACHABLE)));
        assert!(refused.unreachable.is_some() && refused.limits.is_empty());
        assert_eq!(refused.headers().len(), 2);
        drop(server);
        let refused = closed.admit("b").await.unwrap();
        assert!(!refused.admitted && refused.unreachable.is_some());
        // Half of seven, rounded up; all clones of a limiter count together.
        for remaining in [3, 2, 1, 0] {
            let admitted = open.clone().admit("b").await.unwrap();
            assert_eq!(shown(&admitted), (true, remaining, false));
            assert!(admitted.unreachable.is_some());
            assert!(!open.refund("b", &admitted, "1").await.unwrap());
        }
        let refused = open.admit("b").await.unwrap();
        assert_eq!(shown(&refused), (false, 0, true));
        assert!(refused.retry_after.unwrap() <= MINUTE && refused.limits[1].remaining == 1);
        assert_eq!(shown(&open.admit_many("c", 5).await.unwrap()), (false, 4, false));
        assert_eq!(shown(&open.peek("c", 4).await.unwrap()), (true, 4, false));
    }

    for_each_algorithm!(check());
}
