//! `concurrency`: every operation is answered once and rightly, and what is not is counted.

use std::time::Duration;

use bulk_performance::BulkLesson;
use bulk_performance::keys::Keys;
use lab_connection::{Target, TargetArgs};
use lab_measure::concurrency::{Load, LoadStats, Stall, TimingPlan, measure};
use lab_runner::{Retry, course};
use lab_server::Server;

use lab_testing::lessons::{run_lesson, stored_keys, table};

use crate::{bulk, calls, words};

const SHORT: Duration = Duration::from_millis(150);

/// One turn of a load.
async fn run(target: &Target, load: Load, turn: Duration, stall: Option<Stall>) -> LoadStats {
    let plan = TimingPlan { rounds: 1, turn, stall };
    measure(target, vec![load], plan).await.unwrap().remove(0).0
}

/// GET and SET that the server has carried out.
async fn carried_out(target: &Target) -> u64 {
    let calls = calls(target).await;
    ["get", "set"].into_iter().filter_map(|command| calls.get(command)).sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_operation_of_many_clients_is_answered_exactly_once() {
    let target = TargetArgs::private().open().await.unwrap();
    for (in_flight, connections) in [(1, 1), (10, 4), (500, 1), (500, 50)] {
        let before = carried_out(&target).await;
        let stats = run(&target, Load::Closed { in_flight, connections }, SHORT, None).await;
        assert!(stats.is_right(), "{stats:?}");
        assert!(stats.sent >= in_flight as u64, "each client did at least one");
        assert_eq!(carried_out(&target).await - before, stats.answered, "as the server counts");
        assert!(stats.measured() > 0 && stats.measured() <= stats.answered);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_open_loop_begins_as_many_operations_as_its_rate_says() {
    let target = TargetArgs::private().open().await.unwrap();
    let before = carried_out(&target).await;
    let load = Load::Open { rate: 2_000, connections: 2 };
    let stats = run(&target, load, Duration::from_millis(250), None).await;
    assert!(stats.is_right(), "{stats:?}");
    assert_eq!((stats.sent, stats.measured()), (500, 500));
    // A hundred keys got their value first.
    assert_eq!(carried_out(&target).await - before, 600);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_open_loop_sees_a_stall_in_every_operation_that_should_have_begun() {
    let target = TargetArgs::private().open().await.unwrap();
    let stall = Stall::prepare(&target, Duration::from_millis(200)).await.unwrap();
    assert!(stall.is_some());
    let load = Load::Open { rate: 1_000, connections: 1 };
    let stats = run(&target, load, Duration::from_millis(600), stall).await;
    assert!(stats.is_right() && stats.sent == 600, "{stats:?}");
    // 100 of them began in the first half of the stall; the histogram keeps three digits.
    assert!(stats.slower_than(Duration::from_millis(100)) >= 98, "{:?}", stats.quantile(0.9));
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_replies_are_counted() {
    let target = TargetArgs::private().open().await.unwrap();
    let key = Keys::new("").concurrency(0);
    let intruder = tokio::spawn({
        let (key, mut connection) = (key.clone(), target.dedicated().await.unwrap());
        async move {
            loop {
                redis::cmd("SET").arg(&key).arg("intruder").exec_async(&mut connection).await.unwrap();
            }
        }
    });
    // In the time of one load, the intruder may not get a turn.
    let mut retry = Retry::within(Duration::from_mins(1));
    loop {
        let stats = run(&target, Load::Closed { in_flight: 4, connections: 1 }, SHORT, None).await;
        assert_eq!((stats.errors, stats.sent), (0, stats.answered), "{stats:?}");
        assert_eq!(stats.is_right(), stats.wrong == 0, "{stats:?}");
        if stats.wrong > 0 {
            break;
        }
        retry.again("a client finds what an intruder wrote").await.unwrap();
    }
    intruder.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_of_the_server_are_counted_and_do_not_end_the_clients() {
    let server = Server::start().unwrap();
    let target = TargetArgs::at(server.url()).open().await.unwrap();
    for setting in [["maxmemory-policy", "noeviction"], ["maxmemory", "1"]] {
        redis::cmd("CONFIG").arg("SET").arg(&setting).exec_async(&mut target.connection()).await.unwrap();
    }
    let stats = run(&target, Load::Closed { in_flight: 5, connections: 1 }, SHORT, None).await;
    // One SET, three GETs: a quarter is refused (OOM), and the GETs find nothing.
    assert!(stats.errors >= stats.answered / 4 && stats.errors <= stats.answered / 4 + 5, "{stats:?}");
    assert!(stats.wrong == 0 && stats.sent == stats.answered, "{stats:?}");
    assert!(stats.claim("x".into()).contains("OOM"), "{stats:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_dies_is_an_error_for_each_operation_in_flight() {
    let mut server = Server::start().unwrap();
    let target = TargetArgs::at(server.url()).open().await.unwrap();
    let running = tokio::spawn({
        let target = target.clone();
        let load = Load::Closed { in_flight: 50, connections: 5 };
        async move { run(&target, load, Duration::from_secs(30), None).await }
    });
    let before = carried_out(&target).await;
    while carried_out(&target).await < before + 100 {}
    server.kill();
    let stats = running.await.unwrap();
    assert_eq!((stats.sent, stats.errors), (stats.answered, 50), "{stats:?}");
    assert_eq!(stats.wrong, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_lesson_passes_on_a_cluster_with_a_prefix_and_leaves_only_the_keys_it_names() {
    let args = TargetArgs { cluster: true, prefix: Some("lab:".into()), ..TargetArgs::private() };
    let target = args.open().await.unwrap();
    let page = run_lesson(&target, BulkLesson::Concurrency).await;
    let rows = table(&page, "Operations in flight (closed loop)");
    assert_eq!(rows.len(), 12);
    assert!(rows.iter().all(|row| row[7..] == ["0", "0"]), "{rows:?}");
    let mut stored = stored_keys(&target).await;
    stored.retain(|key| !key.ends_with(":marker"));
    let named = course::keys_of(&[page]);
    assert_eq!(stored, named.iter().cloned().collect());
    assert!(named.iter().all(|name| name.starts_with("lab:")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_not_ours_is_never_paused() {
    let server = Server::start().unwrap();
    let target = TargetArgs::at(server.url()).open().await.unwrap();
    assert!(Stall::prepare(&target, SHORT).await.unwrap().is_none());
    run_lesson(&target, BulkLesson::Concurrency).await;
    let calls = calls(&target).await;
    assert!(calls.keys().all(|command| !command.contains("pause")), "{calls:?}");
}

#[test]
fn the_command_takes_seconds_and_a_rate() {
    let run = |arguments: &[&str]| bulk(arguments).output().unwrap();
    let server = Server::start().unwrap();
    let output = run(&["concurrency", "--seconds", "1", "--rate", "500", "--url", &server.url()]);
    assert!(output.status.success(), "{output:?}");
    let page = words(&String::from_utf8(output.stdout).unwrap());
    assert!(
        page.contains("5,000 in flight over 1, 4 and 50 connections, errors 0") && !page.contains('✗'),
        "{page}"
    );
    for wrong in [["--seconds", "0"], ["--rate", "99"], ["--rate", "many"]] {
        assert_eq!(run(&[&["concurrency"], &wrong[..]].concat()).status.code(), Some(2));
    }
}
