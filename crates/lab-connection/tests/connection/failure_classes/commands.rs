//! Commands that a server refuses.

use insta::assert_snapshot;
use lab_connection::failure::{Class, explain};
use lab_server::Server;

use super::setup::{Setup, refusal, send};

async fn server() -> (Server, Setup, redis::aio::MultiplexedConnection) {
    let server = Server::builder().start().unwrap();
    let setup = Setup::at(&server.url());
    let connection = setup.connected().await;
    (server, setup, connection)
}

#[tokio::test]
async fn a_refused_command_is_explained() {
    let unknown_script = format!("EVALSHA {} 0", "0".repeat(40));
    for (snapshot, first, refused) in [
        ("a_text_cannot_be_counted_up", "SET visits many", "INCR visits"),
        // Redis 7.0 and Valkey quote the name alike.
        ("an_unknown_command_is_told_without_its_arguments", "PING", "LAB.NONE sesame"),
        ("a_full_memory_takes_no_writes", "CONFIG SET maxmemory 1 maxmemory-policy noeviction", "SET k v"),
        ("too_few_replicas_take_no_writes", "CONFIG SET min-replicas-to-write 1", "SET k v"),
        ("a_forgotten_script_is_noscript", "PING", &unknown_script),
    ] {
        let (_server, setup, mut connection) = server().await;
        send(&mut connection, first).await.unwrap();
        assert_snapshot!(snapshot, setup.message(&setup.failure_of(&mut connection, refused).await));
    }
}

#[tokio::test]
async fn a_key_of_another_type_is_wrongtype() {
    let (_server, setup, mut connection) = server().await;
    send(&mut connection, "SET cart:1 text").await.unwrap();
    let failure = setup.failure_of(&mut connection, "HSET cart:1 sku:1 2").await;
    assert_snapshot!(setup.message(&failure));

    let mut pipeline = redis::pipe();
    pipeline.cmd("PING").cmd("HGETALL").arg("cart:1");
    let error = pipeline.exec_async(&mut connection).await.unwrap_err();
    assert_eq!(explain(&error, &setup.endpoint), failure, "in a pipeline too");
}

#[tokio::test]
async fn a_replica_takes_no_writes() {
    let (_server, setup, mut connection) = server().await;
    send(&mut connection, "REPLICAOF 127.0.0.1 1").await.unwrap();
    assert_snapshot!("readonly", setup.message(&setup.failure_of(&mut connection, "SET k v").await));
    send(&mut connection, "CONFIG SET replica-serve-stale-data no").await.unwrap();
    assert_snapshot!("masterdown", setup.message(&setup.failure_of(&mut connection, "GET k").await));
}

#[tokio::test]
async fn a_failed_save_stops_writes() {
    let (server, setup, mut connection) = server().await;
    // The snapshot cannot take the place of a directory.
    std::fs::create_dir(server.dir().join("dump.rdb")).unwrap();
    redis::cmd("CONFIG").arg("SET").arg("save").arg("3600 1").exec_async(&mut connection).await.unwrap();
    send(&mut connection, "BGSAVE").await.unwrap();
    let error = refusal(&mut connection, "SET k v").await;
    assert_snapshot!(setup.message(&explain(&error, &setup.endpoint)));
}

#[tokio::test]
async fn a_script_that_never_ends_keeps_the_server_busy() {
    let (_server, setup, mut connection) = server().await;
    send(&mut connection, "CONFIG SET lua-time-limit 50").await.unwrap();
    let mut other = setup.connected().await;
    let endless = tokio::spawn(async move {
        redis::cmd("EVAL").arg("while true do end").arg(0).exec_async(&mut connection).await
    });
    let error = refusal(&mut other, "GET k").await;
    send(&mut other, "SCRIPT KILL").await.unwrap();
    endless.await.unwrap().unwrap_err();
    assert_snapshot!(setup.message(&explain(&error, &setup.endpoint)));
}

#[tokio::test]
async fn a_transaction_with_a_command_that_cannot_be_queued_names_it() {
    let (_server, setup, mut connection) = server().await;
    let mut transaction = redis::pipe();
    transaction.atomic().cmd("SET").arg("k").arg("v").cmd("INCR");
    let error = transaction.exec_async(&mut connection).await.unwrap_err();
    assert_snapshot!(setup.message(&explain(&error, &setup.endpoint)));
    assert_eq!(send(&mut connection, "EXISTS k").await.unwrap(), redis::Value::Int(0));
}

#[tokio::test]
async fn a_reply_of_another_kind_is_unexpected() {
    let (_server, setup, mut connection) = server().await;
    send(&mut connection, "SET k text").await.unwrap();
    let error = redis::cmd("GET").arg("k").query_async::<i64>(&mut connection).await.unwrap_err();
    assert_eq!(explain(&error, &setup.endpoint).class(), Class::UnexpectedReply);
}

#[tokio::test]
async fn a_database_beyond_the_last_does_not_exist() {
    let (server, _, _) = server().await;
    let setup = Setup::at(&format!("{}9999", server.url()));
    assert_snapshot!(setup.message(&setup.failure_to_connect().await));
}
