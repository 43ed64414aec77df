//! The fixtures notice what they are made to notice.

#![allow(clippy::unwrap_used, reason = "clippy's exemption for tests does not reach what they await")]

use lab_testing::{TestConnection, prefix, server};

#[tokio::test]
async fn a_refused_script_that_has_written_is_noticed() {
    let (admin, key) = (TestConnection::server().await, format!("{}key", prefix()));
    let () = admin.send(&["ACL", "SETUSER", "reader", "on", ">secret", "~*", "+@all", "-pexpire"]).await;
    let url = format!("redis://reader:secret@127.0.0.1:{}/", server().port());
    let mut connection = TestConnection::to_url(&url).await.watching_refusals(&admin);
    let mut eval = async |script: &str| {
        let mut eval = redis::cmd("EVAL");
        eval.arg(script).arg(1).arg(&key).query_async::<()>(&mut connection).await.unwrap_err();
        connection.changes_by_refused_scripts().len()
    };
    assert_eq!(eval("redis.call('GET', KEYS[1]) redis.call('PEXPIRE', KEYS[1], 1000)").await, 0);
    assert_eq!(
        eval("redis.call('SET', KEYS[1], 1) redis.call('HGET', KEYS[1], 'f')").await,
        0,
        "another error"
    );
    assert_eq!(eval("redis.call('SET', KEYS[1], 2) redis.call('PEXPIRE', KEYS[1], 1000)").await, 1);
}

#[tokio::test]
async fn a_connection_that_sends_twice_returns_the_second_reply() {
    let (connection, key) = (TestConnection::server().await, format!("{}key", prefix()));
    let twice = connection.clone().sending_twice();
    assert_eq!(twice.send::<u64>(&["INCR", &key]).await, 2);
    assert_eq!(connection.round_trips_of(connection.send::<u64>(&["INCR", &key])).await, 1);
}
