//! `concurrency`: every operation is answered once and rightly, and what is not is counted.

use std::process::Command;
use std::time::Duration;

use bulk_performance::BulkLesson;
use bulk_performance::concurrency::closed::Crowd;
use bulk_performance::concurrency::open::Schedule;
use bulk_performance::concurrency::stall::Stall;
use bulk_performance::keys::Keys;
use lab_connection::{Target, TargetArgs};
use lab_runner::{Retry, course};
use lab_server::Server;

use lab_testing::lessons::{stored_keys, table, take};

const SHORT: Duration = Duration::from_millis(150);

/// GET and SET that the server has carried out.
async fn carried_out(target: &Target) -> u64 {
    let info: String =
        redis::cmd("INFO").arg("commandstats").query_async(&mut target.connection()).await.unwrap();
    let calls = |command: &str| {
        let line = info.lines().find_map(|line| line.strip_prefix(&format!("cmdstat_{command}:calls=")));
        line.map_or(0, |line| line.split(',').next().unwrap().parse::<u64>().unwrap())
    };
    calls("get") + calls("set")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crowd_is_answered_exactly_once_each() {
    let target = TargetArgs::private().open().await.unwrap();
    for (in_flight, connections) in [(1, 1), (10, 4), (500, 1), (500, 50)] {
        let before = carried_out(&target).await;
        let tally = Crowd { in_flight, connections, time: SHORT }.run(&target).await.unwrap();
        assert!(tally.is_right(), "{tally:?}");
        assert!(tally.sent >= in_flight as u64, "each client did at least one");
        assert_eq!(carried_out(&target).await - before, tally.answered, "as the server counts");
        assert!(tally.measured() > 0 && tally.measured() <= tally.answered);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_schedule_begins_as_many_operations_as_its_rate_says() {
    let target = TargetArgs::private().open().await.unwrap();
    let before = carried_out(&target).await;
    let schedule = Schedule { rate: 2_000, connections: 2, time: Duration::from_millis(250) };
    let tally = schedule.run(&target, None).await.unwrap();
    assert!(tally.is_right(), "{tally:?}");
    assert_eq!((tally.sent, tally.measured()), (500, 500));
    // A hundred keys were given their value first.
    assert_eq!(carried_out(&target).await - before, 600);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stall_is_waited_for_by_all_who_should_have_come() {
    let target = TargetArgs::private().open().await.unwrap();
    let stall = Stall::prepare(&target, Duration::from_millis(200)).await.unwrap();
    assert!(stall.is_some());
    let schedule = Schedule { rate: 1_000, connections: 1, time: Duration::from_millis(600) };
    let tally = schedule.run(&target, stall.as_ref()).await.unwrap();
    assert!(tally.is_right() && tally.sent == 600, "{tally:?}");
    // 100 of them came in the first half of the stall; the histogram keeps three digits.
    assert!(tally.slower_than(Duration::from_millis(100)) >= 98, "{:?}", tally.quantile(0.9));
}

#[tokio::test(flavor = "multi_thread")]
async fn replies_that_do_not_fit_are_counted() {
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
    // In the time of one crowd the intruder may not get a turn.
    let mut retry = Retry::within(Duration::from_mins(1));
    loop {
        let tally = Crowd { in_flight: 4, connections: 1, time: SHORT }.run(&target).await.unwrap();
        assert_eq!((tally.errors, tally.sent), (0, tally.answered), "{tally:?}");
        assert_eq!(tally.is_right(), tally.wrong == 0, "{tally:?}");
        if tally.wrong > 0 {
            break;
        }
        retry.again("a crowd finds what an intruder wrote").await.unwrap();
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
    let tally = Crowd { in_flight: 5, connections: 1, time: SHORT }.run(&target).await.unwrap();
    // One SET, three GETs: a quarter is refused (OOM), and the GETs find nothing.
    assert!(tally.errors >= tally.answered / 4 && tally.errors <= tally.answered / 4 + 5, "{tally:?}");
    assert!(
        tally.wrong == 0 && tally.sent == tally.answered && tally.blamed("x".into()).contains("OOM"),
        "{tally:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_dies_is_an_error_for_each_operation_in_flight() {
    let mut server = Server::start().unwrap();
    let target = TargetArgs::at(server.url()).open().await.unwrap();
    let running = tokio::spawn({
        let target = target.clone();
        async move { Crowd { in_flight: 50, connections: 5, time: Duration::from_secs(30) }.run(&target).await }
    });
    let before = carried_out(&target).await;
    while carried_out(&target).await < before + 100 {}
    server.kill();
    let tally = running.await.unwrap().unwrap();
    assert_eq!((tally.sent, tally.errors), (tally.answered, 50), "{tally:?}");
    assert_eq!(tally.wrong, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_lesson_passes_on_a_cluster_behind_a_prefix_and_tidies_up() {
    let args = TargetArgs { cluster: true, prefix: Some("lab:".into()), ..TargetArgs::private() };
    let target = args.open().await.unwrap();
    let page = take(&target, BulkLesson::Concurrency).await;
    let rows = table(&page, "Operations in flight (closed loop)");
    assert_eq!(rows.len(), 12);
    assert!(rows.iter().all(|row| row[6..] == ["0", "0"]), "{rows:?}");
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
    take(&target, BulkLesson::Concurrency).await;
    let info: String =
        redis::cmd("INFO").arg("commandstats").query_async(&mut target.connection()).await.unwrap();
    assert!(!info.contains("pause"), "{info}");
}

#[test]
fn the_command_takes_seconds_and_a_rate() {
    let run = |arguments: &[&str]| {
        Command::new(env!("CARGO_BIN_EXE_bulk-performance"))
            .args(arguments)
            .env("COLUMNS", "80")
            .env_remove("REDIS_URL")
            .output()
            .unwrap()
    };
    let server = Server::start().unwrap();
    let output = run(&["concurrency", "--seconds", "1", "--rate", "500", "--url", &server.url()]);
    assert!(output.status.success(), "{output:?}");
    let page = String::from_utf8(output.stdout).unwrap();
    let page = page.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(
        page.contains("5,000 in flight over 1, 4 and 50 connections, errors 0") && !page.contains('✗'),
        "{page}"
    );
    for wrong in [["--seconds", "0"], ["--rate", "99"], ["--rate", "many"]] {
        assert_eq!(run(&[&["concurrency"], &wrong[..]].concat()).status.code(), Some(2));
    }
}
