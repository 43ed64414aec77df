//! A fixed window by INCREX. No server that the tests can start has it (Redis 8.8 and Valkey 9.2 do), so here stands one in
//! front of the server that does what <https://redis.io/docs/latest/commands/increx/> says of it, and takes it in no other
//! spelling than the one there.

use std::num::NonZeroU32;
use std::time::Duration;

use redis::aio::ConnectionLike;
use redis::{Arg, Cmd, Pipeline, RedisFuture, Value};
use storefront::limits::{Admission, Algorithm, Counting, Limit, Limiter, Window};
use storefront::{ApiKey, Layout, StoreError};
use tokio::task::JoinSet;

use crate::shop::{Wire, in_each_layout, until};

/// "The default is to skip the operation and reply with `[current_value, 0]`, leaving the key and its TTL untouched." "ENX:
/// only set the expiration if the key currently has no TTL."
const AS_DOCUMENTED: &str = "
local value = tonumber(redis.call('GET', KEYS[1]) or '0')
local increment, bound = tonumber(ARGV[1]), tonumber(ARGV[2])
if not value then
  return redis.error_reply('ERR value is not an integer or out of range')
elseif value + increment > bound then
  return {value, 0}
end
value = redis.call('INCRBY', KEYS[1], increment)
if redis.call('PTTL', KEYS[1]) < 0 then
  redis.call('PEXPIRE', KEYS[1], ARGV[3])
end
return {value, increment}";

#[derive(Clone)]
struct WithIncrex(Wire);

fn translated(cmd: &Cmd) -> Cmd {
    let words: Vec<&str> = cmd
        .args_iter()
        .map(|arg| match arg {
            Arg::Simple(word) => std::str::from_utf8(word).unwrap(),
            _ => panic!("a cursor"),
        })
        .collect();
    match words[..] {
        ["INCREX", key, "BYINT", cost, "UBOUND", most, "PX", length, "ENX"] => {
            redis::cmd("EVAL").arg(AS_DOCUMENTED).arg(1).arg(key).arg(cost).arg(most).arg(length).to_owned()
        }
        ["INCREX", ..] => panic!("{words:?}"),
        _ => cmd.clone(),
    }
}

impl ConnectionLike for WithIncrex {
    fn req_packed_command<'a>(&'a mut self, cmd: &'a Cmd) -> RedisFuture<'a, Value> {
        Box::pin(async { self.0.req_packed_command(&translated(cmd)).await })
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        pipeline: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        let mut other = Pipeline::new();
        for cmd in pipeline.cmd_iter() {
            other.add_command(translated(cmd));
        }
        Box::pin(async move { self.0.req_packed_commands(&other, offset, count).await })
    }

    fn get_db(&self) -> i64 {
        0
    }
}

fn caller() -> ApiKey {
    "api_key".parse().unwrap()
}

fn limiter<C: ConnectionLike + Clone>(connection: C, keys: &storefront::Keys, window: Window) -> Limiter<C> {
    let limit = Limit::new(5, window).unwrap();
    Limiter::new(connection, keys.clone(), limit, Algorithm::FixedWindow).unwrap()
}

#[tokio::test]
async fn increx_says_what_the_script_says() {
    in_each_layout(async |wire, keys| {
        let by_script = limiter(wire.clone(), &keys, Window::minute());
        let by_increx =
            limiter(WithIncrex(wire.clone()), &keys, Window::hour()).with_counting(Counting::Increx);
        for cost in [2, 4, 1, 3, 2, 1, 1] {
            let cost = NonZeroU32::new(cost).unwrap();
            let plain = |admission: Admission| {
                (admission.admitted, admission.remaining, admission.retry_after.is_some())
            };
            let expected = plain(by_script.admit_many(&caller(), cost).await.unwrap());
            let got = plain(by_increx.admit_many(&caller(), cost).await.unwrap());
            assert_eq!(got, expected, "{cost}");
            let ttl: i64 = redis::cmd("PTTL")
                .arg(by_increx.key_of(&caller()))
                .query_async(&mut wire.clone())
                .await
                .unwrap();
            assert!((1..=3_600_000).contains(&ttl), "{ttl}");
        }
        let refused = async { assert!(!by_increx.admit(&caller()).await.unwrap().admitted) };
        let more = usize::from(keys.layout() == Layout::Cluster);
        assert_eq!(wire.round_trips_of(refused).await, 1 + more);
        let another = "another_key".parse().unwrap();
        let admitted = async { assert!(by_increx.admit(&another).await.unwrap().admitted) };
        assert_eq!(wire.round_trips_of(admitted).await, 1);
        // Both read the same counter.
        let script_again = limiter(wire.clone(), &keys, Window::hour());
        let refused = script_again.admit(&caller()).await.unwrap();
        assert!(!refused.admitted && refused.retry_after.unwrap() > Duration::from_mins(59));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_clients_by_increx_exactly_the_limit_is_admitted() {
    in_each_layout(async |wire, keys| {
        let limiter =
            limiter(WithIncrex(wire.clone()), &keys, Window::hour()).with_counting(Counting::Increx);
        let mut crowd = JoinSet::new();
        for _ in 0..100 {
            let limiter = limiter.clone();
            crowd.spawn(async move { limiter.admit(&caller()).await.unwrap().admitted });
        }
        let admitted = crowd.join_all().await.into_iter().filter(|admitted| *admitted).count();
        assert_eq!(admitted, 5);
    })
    .await;
}

#[tokio::test]
async fn a_counter_without_a_ttl_gets_one_and_windows_end() {
    in_each_layout(async |wire, keys| {
        let short = Window::new("short", Duration::from_millis(50)).unwrap();
        let limiter = limiter(WithIncrex(wire.clone()), &keys, short).with_counting(Counting::Increx);
        wire.send(&["SET", &limiter.key_of(&caller()), "5"]).await;
        let refused = limiter.admit(&caller()).await.unwrap();
        assert_eq!(refused.retry_after, Some(Duration::from_millis(50)));
        until("the window ends", async || limiter.admit(&caller()).await.unwrap().admitted).await;
    })
    .await;
}

#[tokio::test]
async fn a_counter_far_below_zero_is_counted_on() {
    in_each_layout(async |wire, keys| {
        let limiter =
            limiter(WithIncrex(wire.clone()), &keys, Window::hour()).with_counting(Counting::Increx);
        wire.send(&["SET", &limiter.key_of(&caller()), &i64::MIN.to_string()]).await;
        assert_eq!(limiter.admit(&caller()).await.unwrap().remaining, u32::MAX);
    })
    .await;
}

#[tokio::test]
async fn somebody_elses_value_is_left_alone_by_increx() {
    in_each_layout(async |wire, keys| {
        let limiter =
            limiter(WithIncrex(wire.clone()), &keys, Window::hour()).with_counting(Counting::Increx);
        let key = limiter.key_of(&caller());
        wire.send(&["SET", &key, "x"]).await;
        let error = limiter.admit(&caller()).await.unwrap_err();
        assert!(matches!(error, StoreError::Redis(_)), "{error:?}");
        assert_eq!(wire.send(&["GET", &key]).await, Value::BulkString(b"x".to_vec()));
        wire.send(&["DEL", &key]).await;
        wire.send(&["LPUSH", &key, "x"]).await;
        let error = limiter.admit(&caller()).await.unwrap_err();
        assert!(matches!(error, StoreError::WrongType { .. }), "{error:?}");
    })
    .await;
}
