//! Servers that cannot be reached, or refuse before the first command.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::time::Duration;

use insta::assert_snapshot;
use lab_connection::failure::{Class, explain};
use lab_server::Server;

use super::setup::{Setup, refusal, send, service};

#[tokio::test]
async fn a_closed_port_refuses() {
    // Nobody listens on port 1, and no other test will.
    let setup = Setup::at("redis://127.0.0.1:1");
    let failure = setup.failure_to_connect().await;
    assert_eq!(failure.class(), Class::Refused);
    let text = setup.message(&failure);
    // The operating systems number the error differently.
    assert_snapshot!(text.replace("(os error 61)", "(os error 111)"));
}

#[tokio::test]
async fn an_unknown_host_is_not_found() {
    // RFC 6761 keeps `.invalid` from ever having an address.
    let setup = Setup::at("redis://redis.invalid:6379");
    let failure = setup.failure_to_connect().await;
    assert_eq!(failure.class(), Class::NotFound);
    assert_eq!(failure.what(), "The host name of redis.invalid:6379 does not exist.");
}

#[tokio::test]
async fn a_missing_socket_refuses() {
    let directory = tempfile::tempdir().unwrap();
    let setup = Setup::at(&format!("redis+unix://{}", directory.path().join("redis.sock").display()));
    assert_snapshot!(setup.message(&setup.failure_to_connect().await));
}

#[tokio::test]
async fn what_answers_and_is_no_redis_is_told_apart() {
    let http = "HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n";
    let protected = "-DENIED Redis is running in protected mode because protected mode is enabled\r\n";
    for (snapshot, greeting, answer) in [
        ("a_web_server_is_not_redis", "", http),
        ("a_port_that_hangs_up_has_closed_the_connection", "", ""),
        ("protected_mode_is_told_apart_from_a_connection_just_closed", protected, ""),
    ] {
        let setup = service(greeting, answer);
        assert_snapshot!(snapshot, setup.message(&setup.failure_to_connect().await));
    }
    let speaks_first = service("SSH-2.0-OpenSSH_9.2\r\n", "");
    assert_eq!(speaks_first.failure_to_connect().await.class(), Class::NotRedis);
}

#[tokio::test]
async fn what_the_system_drops_when_a_question_meets_a_hangup_is_heard_by_who_does_not_ask() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let setup = Setup::at(&format!("redis://{}", listener.local_addr().unwrap()));
    std::thread::spawn(move || {
        // redis-rs, PING and the question of TLS: to them it only hangs up, as it looks where the system drops the
        // words.
        for mut stream in listener.incoming().take(3).map(Result::unwrap) {
            let _ = stream.read(&mut [0; 512]);
        }
        listener.accept().unwrap().0.write_all(b"-ERR max number of clients reached\r\n").unwrap();
    });
    assert_eq!(setup.failure_to_connect().await.class(), Class::MaxClients);
}

#[tokio::test]
async fn a_full_server_is_told_apart_from_a_connection_just_closed() {
    let server = Server::builder().start().unwrap();
    let setup = Setup::at(&server.url());
    let mut first = setup.connected().await;
    send(&mut first, "CONFIG SET maxclients 1").await.unwrap();
    assert_snapshot!(setup.message(&setup.failure_to_connect().await));
}

#[tokio::test]
async fn a_stopped_server_does_not_answer_in_time() {
    let server = Server::builder().start().unwrap();
    let mut setup = Setup::at(&server.url());
    let mut connection = setup.connected().await;
    server.pause().unwrap();
    // It will not answer in any time.
    setup.timeout = Duration::from_secs(1);
    connection.set_response_timeout(setup.timeout);
    let during = setup.failure_of(&mut connection, "SET k v").await;
    let at_first = setup.failure_to_connect().await;
    server.resume().unwrap();
    assert_eq!(at_first, during);
    assert_snapshot!(setup.message(&during));
}

#[tokio::test]
async fn a_server_that_ends_has_closed_the_connection() {
    let server = Server::builder().start().unwrap();
    let setup = Setup::at(&server.url());
    let mut connection = setup.connected().await;
    drop(server);
    assert_eq!(setup.failure_of(&mut connection, "SET k v").await.class(), Class::Closed);
}

#[tokio::test]
async fn a_server_that_loads_its_data_says_so() {
    let server = Server::builder().config("loading-process-events-interval-bytes", "1024").start().unwrap();
    let setup = Setup::at(&server.url());
    let mut connection = setup.connected().await;
    let mut fill = redis::pipe();
    for n in 0..500 {
        fill.set(format!("key:{n}"), vec![b'x'; 4096]).ignore();
    }
    fill.exec_async(&mut connection).await.unwrap();
    send(&mut connection, "CONFIG SET rdbcompression no key-load-delay 20000").await.unwrap();
    // Loads for ten seconds; the server is killed long before.
    let mut other = setup.connected().await;
    let reload = tokio::spawn(async move { send(&mut connection, "DEBUG RELOAD").await });
    let error = refusal(&mut other, "GET key:1").await;
    reload.abort();
    assert_snapshot!(setup.message(&explain(&error, &setup.endpoint)));
}
