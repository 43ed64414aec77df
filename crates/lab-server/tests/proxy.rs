//! The proxy cuts, delays, and drops.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where by panicking")]

use std::time::{Duration, Instant};

use lab_server::{Proxy, Server};
use redis::Connection;

/// A server, a proxy in front of it, and a connection through that.
fn proxied() -> (Server, Proxy, Connection) {
    let server = Server::start().unwrap();
    let proxy = Proxy::in_front_of(&server).unwrap();
    let connection = through(&proxy);
    (server, proxy, connection)
}

fn through(proxy: &Proxy) -> Connection {
    redis::Client::open(proxy.url()).unwrap().get_connection().unwrap()
}

fn incr(connection: &mut Connection) -> redis::RedisResult<u64> {
    redis::cmd("INCR").arg("n").query(connection)
}

#[test]
fn it_passes_on_what_is_sent_until_it_is_dropped() {
    let (_server, proxy, mut connection) = proxied();
    let large = "x".repeat(3_000_000);
    redis::cmd("SET").arg("k").arg(&large).exec(&mut connection).unwrap();
    let value: String = redis::cmd("GET").arg("k").query(&mut connection).unwrap();
    assert!(value == large);
    assert!(proxy.bytes_from_server() > 3_000_000, "the value and the other replies");
    drop(proxy);
    assert!(incr(&mut connection).unwrap_err().is_io_error());
}

#[test]
fn all_connections_are_cut_and_new_ones_let_in() {
    let (_server, proxy, connection) = proxied();
    let mut connections = [connection, through(&proxy)];
    for connection in &mut connections {
        incr(connection).unwrap();
    }
    proxy.cut_all();
    for connection in &mut connections {
        assert!(incr(connection).unwrap_err().is_io_error());
    }
    assert_eq!(proxy.cuts(), 2);
    assert_eq!(incr(&mut through(&proxy)).unwrap(), 3);
}

#[test]
fn a_cut_reply_is_of_a_command_that_was_executed() {
    let (_server, proxy, mut connection) = proxied();
    proxy.cut_replies(2);
    assert_eq!(incr(&mut connection).unwrap(), 1);
    // Counts anew.
    proxy.cut_replies(2);
    assert_eq!(incr(&mut connection).unwrap(), 2);
    assert!(incr(&mut connection).is_err());
    proxy.cut_replies(0);
    assert_eq!(incr(&mut through(&proxy)).unwrap(), 4);
    assert_eq!(proxy.cuts(), 1);
}

#[test]
fn a_delay_adds_to_each_round_trip_and_not_to_each_command() {
    let (_server, proxy, mut connection) = proxied();
    proxy.set_delay(Duration::from_millis(50));
    let mut pipeline = redis::pipe();
    for _ in 0..100 {
        pipeline.cmd("INCR").arg("n").ignore();
    }
    let start = Instant::now();
    pipeline.exec(&mut connection).unwrap();
    let took = start.elapsed();
    // A delay for each of the 100 commands would be 10 s.
    assert!(took >= Duration::from_millis(100) && took < Duration::from_secs(10), "{took:?}");
}

#[test]
fn what_is_dropped_arrives_when_that_ends() {
    let (server, proxy, mut connection) = proxied();
    proxy.set_dropping(true);
    connection.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
    // A timeout; or, on a machine that was suspended meanwhile, an interrupted read.
    assert!(incr(&mut connection).unwrap_err().is_io_error());
    let mut direct = server.client().get_connection().unwrap();
    let value: Option<u64> = redis::cmd("GET").arg("n").query(&mut direct).unwrap();
    assert_eq!(value, None);
    proxy.set_dropping(false);
    let start = Instant::now();
    while redis::cmd("GET").arg("n").query::<Option<u64>>(&mut direct).unwrap() != Some(1) {
        assert!(start.elapsed() < Duration::from_mins(1));
    }
}
