use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use futures_util::future::join_all;
use lab_testing::faults::lossy_proxy;
use lab_testing::{TIMEOUT, TestConnection, prefix, until};
use patterns::once::{Begun, MAX_ANSWER_BYTES, MAX_REQUEST_BYTES, Once, OnceError, Token};
use patterns::script::StoreError;
use tokio::time::sleep;

use crate::everywhere;

const SHORT: Duration = Duration::from_millis(100);

fn token() -> Token {
    Token::random().unwrap()
}

fn once(connection: &TestConnection, prefix: &str) -> Once<TestConnection> {
    Once::new(connection.clone(), prefix).with_lease(TIMEOUT)
}

#[test]
fn copies_of_a_request_have_one_effect_and_one_answer() {
    everywhere(async |connection, prefix| {
        let (once, charges) = (once(&connection, &prefix), AtomicU32::new(0));
        let copies = (0..20).map(|_| async {
            let mine = token();
            loop {
                match once.begin("{order}:7", &mine, b"pay 25").await.unwrap() {
                    Begun::Started { attempt } => {
                        assert_eq!(attempt, 1);
                        let charge = charges.fetch_add(1, Ordering::Relaxed);
                        let answer = format!("charge {charge}");
                        break once.finish("{order}:7", &mine, b"pay 25", answer.as_bytes()).await.unwrap();
                    }
                    Begun::InProgress { .. } => sleep(Duration::from_millis(1)).await,
                    Begun::Done(answer) => break answer,
                }
            }
        });
        let answers = join_all(copies).await;
        assert!(answers.iter().all(|answer| answer == b"charge 0"), "{answers:?}");
        assert_eq!(charges.into_inner(), 1);
    });
}

#[test]
fn a_crashed_callers_key_is_free_after_its_lease_and_the_next_one_knows() {
    everywhere(async |connection, prefix| {
        let once = once(&connection, &prefix);
        let (dead, next) = (token(), token());
        let begun = once.clone().with_lease(SHORT).begin("k", &dead, b"r").await.unwrap();
        assert_eq!(begun, Begun::Started { attempt: 1 });
        let started = async || match once.begin("k", &next, b"r").await.unwrap() {
            Begun::Started { attempt } => attempt == 2,
            other => {
                assert_matches!(other, Begun::InProgress { retry_in } if retry_in <= SHORT);
                false
            }
        };
        until("the lease ends", started).await;
        // The first one was only slow. The second one's answer counts.
        let late = once.finish("k", &dead, b"r", b"late").await;
        assert_matches!(late, Err(OnceError::Lost));
        assert!(!once.give_up("k", &dead).await.unwrap());
        assert_eq!(once.finish("k", &next, b"r", b"answer").await.unwrap(), b"answer");
        assert_eq!(once.finish("k", &dead, b"r", b"late").await.unwrap(), b"answer");
        assert_eq!(once.begin("k", &token(), b"r").await.unwrap(), Begun::Done(b"answer".to_vec()));
    });
}

#[test]
fn another_request_under_the_same_key_is_refused_at_every_stage() {
    everywhere(async |connection, prefix| {
        let once = once(&connection, &prefix);
        let mine = token();
        let refused = async || {
            assert_matches!(once.begin("k", &token(), b"pay 2500").await, Err(OnceError::OtherRequest));
            assert_matches!(once.finish("k", &mine, b"pay 2500", b"x").await, Err(OnceError::OtherRequest));
        };
        once.begin("k", &mine, b"pay 25").await.unwrap();
        refused().await;
        assert!(once.give_up("k", &mine).await.unwrap());
        refused().await;
        let begun = once.begin("k", &mine, b"pay 25").await.unwrap();
        assert_eq!(begun, Begun::Started { attempt: 1 }, "the one that gave up had no effect");
        once.finish("k", &mine, b"pay 25", b"done").await.unwrap();
        refused().await;
    });
}

#[tokio::test]
async fn after_a_lost_reply_the_same_token_goes_on() {
    let proxy = lossy_proxy(lab_testing::server(), 0);
    let once = once(&TestConnection::reconnecting(&proxy.url()).await, &prefix());
    let warm = token();
    // The server knows the scripts from here on.
    once.begin("warm", &warm, b"").await.unwrap();
    once.finish("warm", &warm, b"", b"").await.unwrap();

    let mine = token();
    proxy.cut_replies(1);
    once.begin("k", &mine, b"r").await.unwrap_err();
    proxy.cut_replies(0);
    until("it is connected", async || once.begin("warm", &mine, b"").await.is_ok()).await;
    assert_eq!(once.begin("k", &mine, b"r").await.unwrap(), Begun::Started { attempt: 1 });

    proxy.cut_replies(1);
    once.finish("k", &mine, b"r", b"first").await.unwrap_err();
    proxy.cut_replies(0);
    until("it is connected", async || once.begin("warm", &mine, b"").await.is_ok()).await;
    assert_eq!(once.finish("k", &mine, b"r", b"second").await.unwrap(), b"first");
}

#[test]
fn answers_are_any_bytes_up_to_a_bound_and_expire() {
    everywhere(async |connection, prefix| {
        let once = once(&connection, &prefix);
        for (key, answer) in
            [("empty", vec![]), ("binary", vec![0, 255, 10, 13]), ("long", vec![7; MAX_ANSWER_BYTES])]
        {
            let mine = token();
            once.begin(key, &mine, &answer).await.unwrap();
            once.finish(key, &mine, &answer, &answer).await.unwrap();
            assert_eq!(once.begin(key, &token(), &answer).await.unwrap(), Begun::Done(answer));
        }
        let mine = token();
        let long = once.finish("k", &mine, b"r", &vec![0; MAX_ANSWER_BYTES + 1]).await;
        assert_matches!(long, Err(OnceError::AnswerTooLong { .. }));
        let long = once.begin("k", &mine, &vec![0; MAX_REQUEST_BYTES + 1]).await;
        assert_matches!(long, Err(OnceError::RequestTooLong { .. }));

        let short = once.clone().with_lease(Duration::from_secs(1)).with_kept(Duration::ZERO);
        short.begin("k", &mine, b"r").await.unwrap();
        short.finish("k", &mine, b"r", b"a").await.unwrap();
        let gone = async || once.begin("k", &token(), b"other").await.is_ok();
        until("the answer expires", gone).await;
    });
}

#[test]
fn a_lost_record_is_restored_by_the_answer_and_otherwise_new() {
    everywhere(async |connection, prefix| {
        let once = once(&connection, &prefix);
        let (key, mine) = (once.key("k").unwrap(), token());
        once.begin("k", &mine, b"r").await.unwrap();
        let _: () = connection.send(&["DEL", key.as_str()]).await;
        assert_eq!(once.finish("k", &mine, b"r", b"a").await.unwrap(), b"a");
        assert_eq!(once.begin("k", &token(), b"r").await.unwrap(), Begun::Done(b"a".to_vec()));
        let _: () = connection.send(&["DEL", key.as_str()]).await;
        assert_eq!(once.begin("k", &token(), b"r").await.unwrap(), Begun::Started { attempt: 1 });

        let _: () = connection.send(&["SET", key.as_str(), "mine"]).await;
        assert_matches!(once.begin("k", &mine, b"r").await, Err(OnceError::Store(StoreError::WrongType(_))));
        let error = once.finish("k", &mine, b"r", b"a").await.unwrap_err();
        assert_matches!(error, OnceError::Store(StoreError::WrongType(_)));
        assert_eq!(connection.send::<String>(&["GET", key.as_str()]).await, "mine");
    });
}

#[test]
fn each_call_is_one_round_trip() {
    everywhere(async |connection, prefix| {
        let once = once(&connection, &prefix);
        let mine = token();
        assert_eq!(connection.round_trips_of(once.begin("k", &mine, b"r")).await, 1);
        assert_eq!(connection.round_trips_of(once.give_up("k", &mine)).await, 1);
        assert_eq!(connection.round_trips_of(once.finish("k", &mine, b"r", b"a")).await, 1);
    });
}
