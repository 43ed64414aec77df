use std::time::Duration;

use lab_connection::TargetArgs;
use lab_testing::{TIMEOUT, next_of, until};
use live_shop::faults::{Faults, State};
use redis::RedisError;
use redis::aio::{ConnectionManager, ConnectionManagerConfig};

/// A connection as the shop has one: it reconnects, to the same address.
async fn connect(args: &TargetArgs) -> ConnectionManager {
    let config = ConnectionManagerConfig::new()
        .set_connection_timeout(Some(TIMEOUT))
        .set_response_timeout(Some(TIMEOUT))
        .set_max_delay(Duration::from_millis(20));
    let client = redis::Client::open(args.url.clone().unwrap()).unwrap();
    ConnectionManager::new_with_config(client, config).await.unwrap()
}

async fn set(connection: &ConnectionManager, key: &str, value: &str) -> Result<(), RedisError> {
    redis::cmd("SET").arg(key).arg(value).exec_async(&mut connection.clone()).await
}

async fn get(connection: &ConnectionManager, key: &str) -> Result<Option<String>, RedisError> {
    redis::cmd("GET").arg(key).query_async(&mut connection.clone()).await
}

/// Waits until the replica has what this connection wrote.
async fn replicated(connection: &ConnectionManager) {
    let wait = redis::cmd("WAIT").arg(1).arg(60_000).to_owned();
    let replicas: usize = wait.query_async(&mut connection.clone()).await.unwrap();
    assert_eq!(replicas, 1);
}

async fn until_it_answers(connection: &ConnectionManager) {
    until("the connection goes on", async || get(connection, "k").await.is_ok()).await;
}

#[tokio::test]
async fn the_shop_goes_on_after_each_failover_and_keeps_what_a_replica_had() {
    let (faults, args) = Faults::start(&TargetArgs::private()).await.unwrap();
    let connection = connect(&args).await;
    let before = faults.state();
    assert_eq!(faults.broken(), None);
    let mut ports = vec![before.primary_port];
    for failover in 1..=3 {
        let key = format!("k{failover}");
        set(&connection, &key, "x").await.unwrap();
        replicated(&connection).await;
        let state = faults.kill_primary().await.unwrap();
        assert_eq!((state.failovers, state.failing_over, state.replica_in_sync), (failover, false, true));
        assert!(state.last_failover.unwrap() > Duration::ZERO);
        ports.push(state.primary_port);
        until_it_answers(&connection).await;
        assert_eq!(get(&connection, &key).await.unwrap().as_deref(), Some("x"));
        assert_eq!(faults.broken(), None);
    }
    // The two servers take turns.
    assert_eq!((ports[0], ports[1]), (ports[2], ports[3]));
    assert_ne!(ports[0], ports[1]);
    for key in ["k1", "k2", "k3"] {
        assert_eq!(get(&connection, key).await.unwrap().as_deref(), Some("x"), "{key}");
    }
    assert_eq!(set(&connection, "k", "y").await, Ok(()));
}

#[tokio::test]
async fn subscriptions_and_blocked_commands_find_the_new_primary_at_the_old_address() {
    let (faults, args) = Faults::start(&TargetArgs::private()).await.unwrap();
    let client = redis::Client::open(args.url.clone().unwrap()).unwrap();
    let mut blocked = connect(&args).await;
    let waiting = tokio::spawn(async move {
        redis::cmd("BLPOP").arg("list").arg(0).query_async::<(String, String)>(&mut blocked).await
    });
    faults.kill_primary().await.unwrap();
    waiting.await.unwrap().unwrap_err();
    let mut subscription = client.get_async_pubsub().await.unwrap();
    subscription.subscribe("news").await.unwrap();
    let connection = connect(&args).await;
    redis::cmd("PUBLISH").arg("news").arg("hello").exec_async(&mut connection.clone()).await.unwrap();
    let message = next_of(&mut subscription.on_message(), "the news").await;
    assert_eq!(message.get_payload::<String>().unwrap(), "hello");
}

#[tokio::test]
async fn full_memory_refuses_writes_that_need_it_and_is_free_again_also_across_a_failover() {
    let (faults, args) = Faults::start(&TargetArgs::private()).await.unwrap();
    let connection = connect(&args).await;
    set(&connection, "k", "x").await.unwrap();
    let state = faults.fill_memory(true).await.unwrap();
    assert!(state.memory_full);
    assert_eq!(set(&connection, "more", "x").await.unwrap_err().code(), Some("OOM"));
    assert_eq!(get(&connection, "k").await.unwrap().as_deref(), Some("x"));
    assert!(faults.broken().unwrap().contains("memory"));

    replicated(&connection).await;
    faults.kill_primary().await.unwrap();
    until_it_answers(&connection).await;
    assert_eq!(set(&connection, "more", "x").await.unwrap_err().code(), Some("OOM"));
    assert_eq!(get(&connection, "k").await.unwrap().as_deref(), Some("x"));
    faults.fill_memory(false).await.unwrap();
    set(&connection, "more", "x").await.unwrap();
    assert_eq!(faults.broken(), None);
}

#[tokio::test]
async fn redis_that_was_off_has_its_data_again() {
    let (faults, args) = Faults::start(&TargetArgs::private()).await.unwrap();
    let connection = connect(&args).await;
    set(&connection, "k", "x").await.unwrap();
    // Each server has been the primary once, so each has changed its configuration.
    replicated(&connection).await;
    for _ in 0..2 {
        faults.kill_primary().await.unwrap();
        let state = faults.turn_off(true).await.unwrap();
        assert!(state.off);
        assert_eq!(faults.broken().as_deref(), Some("Redis is off"));
        get(&connection, "k").await.unwrap_err();
        faults.kill_primary().await.unwrap_err();
        // Again changes nothing, and what is set now holds later.
        faults.turn_off(true).await.unwrap();
        faults.fill_memory(true).await.unwrap();
        let state = faults.turn_off(false).await.unwrap();
        assert!(!state.off && state.replica_in_sync && state.memory_full);
        until_it_answers(&connection).await;
        assert_eq!(get(&connection, "k").await.unwrap().as_deref(), Some("x"));
        assert_eq!(set(&connection, "k", "y").await.unwrap_err().code(), Some("OOM"));
        faults.fill_memory(false).await.unwrap();
        assert_eq!(faults.broken(), None);
    }
}

#[tokio::test]
async fn a_cut_ends_what_is_under_way() {
    let (faults, args) = Faults::start(&TargetArgs::private()).await.unwrap();
    let connection = connect(&args).await;
    let mut blocked = connect(&args).await;
    let waiting = tokio::spawn(async move {
        redis::cmd("BLPOP").arg("list").arg(0).query_async::<(String, String)>(&mut blocked).await
    });
    assert_eq!(faults.cut_link().await.unwrap().cuts, 1);
    waiting.await.unwrap().unwrap_err();
    until_it_answers(&connection).await;
    assert_eq!(faults.broken(), None);
}

#[tokio::test]
async fn a_change_is_finished_though_the_caller_gives_up() {
    let (faults, args) = Faults::start(&TargetArgs::private()).await.unwrap();
    let connection = connect(&args).await;
    // The future is polled once and dropped, as a request's is when the browser goes away.
    let gave_up = tokio::time::timeout(Duration::ZERO, faults.kill_primary()).await;
    assert!(gave_up.is_err());
    let done = |state: &State| state.failovers == 1 && state.replica_in_sync;
    until("the failover is done", async || done(&faults.state())).await;
    until_it_answers(&connection).await;
}
