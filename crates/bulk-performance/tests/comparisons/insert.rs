//! All ways to write many records leave the same, and a run removes exactly what runs like it wrote.

use std::process::Output;
use std::time::Duration;

use bulk_performance::BulkLesson;
use bulk_performance::insert::{self, Input, InsertMany, Kind, Options, Writer, time, verify};
use bulk_performance::keys::Keys;
use bulk_performance::stored::Content;
use lab_connection::{Target, TargetArgs};
use lab_runner::course;
use lab_server::Server;

use lab_runner::report::Earlier;
use lab_testing::lessons::{assert_stored, held, run_lesson};

use crate::{bulk_on, targets, words};

/// No multiple of any size that an approach works with.
const RECORDS: u64 = 237;

async fn input(target: &Target, kind: Kind, records: u64, writers: &[Writer]) -> Input {
    Input::open(target, kind, records, Writer::connections(writers)).await.unwrap()
}

async fn assert_all_leave_the_same(target: &Target, kind: Kind, records: u64) {
    let approaches = Writer::all(kind, records, target.is_cluster());
    let input = input(target, kind, records, &approaches).await;
    let verified = verify(target, &input, &approaches).await.unwrap();
    assert_eq!(verified.len(), approaches.len());
    for row in verified {
        let (label, server) = (row.writer.label(), target.describe());
        assert_eq!(row.found, row.expected, "{kind:?} {label} {records} on {server}");
        assert_eq!(row.found.records, records * kind.commands_per_record(), "{kind:?} {label} on {server}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_approach_leaves_the_same_records_of_every_kind() {
    for target in targets().await {
        for kind in Kind::ALL {
            for records in [1, 7, RECORDS] {
                assert_all_leave_the_same(&target, kind, records).await;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sizes_beyond_the_records_and_of_zero_write_every_record_once() {
    let target = TargetArgs::private().open().await.unwrap();
    for size in [0, 1, 6, 7, 8, 1_000_000, u64::MAX] {
        let approaches = [
            InsertMany::Concurrent { in_flight: size.min(1 << 20) },
            InsertMany::Pool { connections: size.clamp(1, 8) },
            InsertMany::Pipelined { depth: size },
            InsertMany::Overlapped { depth: size },
            InsertMany::Transaction { size },
            InsertMany::Script { size },
            InsertMany::Variadic { size },
        ]
        .map(Writer::Client);
        let input = input(&target, Kind::Users, 7, &approaches).await;
        for row in verify(&target, &input, &approaches).await.unwrap() {
            assert_eq!(row.found, row.expected, "{} with size {size}", row.writer.label());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_record_changes_the_digest() {
    let target = TargetArgs::private().open().await.unwrap();
    let keys = Keys::new("");
    let damage = |kind| match kind {
        Kind::Users => vec!["HSET".to_owned(), keys.user(5), "age".into(), "200".into()],
        Kind::Strings => vec!["APPEND".to_owned(), keys.user_text(5), ",".into()],
        Kind::List => vec!["LMOVE".to_owned(), keys.biglist(), keys.biglist(), "LEFT".into(), "RIGHT".into()],
        Kind::Indexes => vec!["ZINCRBY".to_owned(), keys.users_by_salary(), "1".into(), "5".into()],
    };
    for kind in Kind::ALL {
        let input = input(&target, kind, 20, &[]).await;
        InsertMany::Pipelined { depth: 10 }.run(&input).await.unwrap();
        assert_eq!(input.content().await.unwrap(), input.expected(20));
        let words = damage(kind);
        let mut command = redis::cmd(&words[0]);
        command.arg(&words[1..]).exec_async(&mut target.connection()).await.unwrap();
        let found = input.content().await.unwrap();
        assert_eq!(found.records, input.expected(20).records);
        assert_ne!(found.digest, input.expected(20).digest, "{kind:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_removes_what_a_bigger_or_a_killed_run_left() {
    for target in targets().await {
        for kind in Kind::ALL {
            // As a killed run does: it says what it is going to write, writes some of it, and never cleans up.
            let killed = input(&target, kind, 2_500, &[]).await;
            InsertMany::Pipelined { depth: 500 }.run(&killed).await.unwrap();
            let small = input(&target, kind, 5, &[]).await;
            assert_eq!(killed.content().await.unwrap(), Content::default(), "{kind:?}");
            InsertMany::OneByOne { at_most: 5 }.run(&small).await.unwrap();
            assert_eq!(killed.content().await.unwrap(), small.expected(5), "{kind:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_that_no_run_noted_are_left_alone() {
    let target = TargetArgs { prefix: Some("lab:".into()), ..TargetArgs::private() }.open().await.unwrap();
    let mut connection = target.connection();
    let foreign = [
        "user:1",
        "user_text:1",
        "biglist",
        "users_by_salary",
        "lab:user:238",
        "lab:user:x",
        "lab:session:1",
    ];
    for key in foreign {
        redis::cmd("SET").arg(key).arg("keep").exec_async(&mut connection).await.unwrap();
    }
    for kind in Kind::ALL {
        assert_all_leave_the_same(&target, kind, RECORDS).await;
    }
    let kept: Vec<Option<String>> =
        redis::cmd("MGET").arg(&foreign).query_async(&mut connection).await.unwrap();
    assert!(kept.iter().all(|value| value.as_deref() == Some("keep")), "{kept:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_sent_is_counted() {
    let target = TargetArgs::private().open().await.unwrap();
    let approaches = Writer::all(Kind::Users, RECORDS, false);
    let input = input(&target, Kind::Users, RECORDS, &approaches).await;
    let verified = verify(&target, &input, &approaches).await.unwrap();
    let of = |approach| &verified.iter().find(|row| row.writer == Writer::Client(approach)).unwrap().traffic;
    let one_by_one = of(InsertMany::OneByOne { at_most: 5_000 });
    assert_eq!(one_by_one.round_trips, 237);
    assert_eq!(of(InsertMany::Pipelined { depth: 10 }).round_trips, 24);
    assert_eq!(of(InsertMany::Pipelined { depth: 237 }).round_trips, 1);
    assert_eq!(of(InsertMany::Pool { connections: 50 }).round_trips, 237);
    assert_eq!(of(InsertMany::Overlapped { depth: 119 }).round_trips, 2);
    assert_eq!(of(InsertMany::Script { size: 100 }).round_trips, 3);
    for same in [
        InsertMany::Concurrent { in_flight: 237 },
        InsertMany::Pool { connections: 50 },
        InsertMany::Pipelined { depth: 10 },
        InsertMany::Overlapped { depth: 119 },
    ] {
        assert_eq!(of(same).bytes_sent, one_by_one.bytes_sent, "{same:?}");
    }
    // MULTI and EXEC, three times, with their framing.
    assert_eq!(of(InsertMany::Transaction { size: 100 }).bytes_sent, one_by_one.bytes_sent + 3 * (15 + 14));
    assert!(of(InsertMany::Script { size: 100 }).bytes_sent < one_by_one.bytes_sent);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_approach_has_a_row_of_its_own() {
    for kind in Kind::ALL {
        for records in [1, 7, RECORDS, 5_000, 20_000] {
            let labels: Vec<String> =
                Writer::all(kind, records, false).into_iter().map(Writer::label).collect();
            let mut distinct = labels.clone();
            distinct.sort();
            distinct.dedup();
            assert_eq!(distinct.len(), labels.len(), "{labels:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_round_is_timed_and_leaves_the_records() {
    let target = TargetArgs::private().open().await.unwrap();
    let approaches = Writer::all(Kind::Strings, RECORDS, false);
    let input = input(&target, Kind::Strings, RECORDS, &approaches).await;
    let costs = time(&target, &input, &approaches, 2, Duration::ZERO).await.unwrap();
    assert_eq!(costs.len(), approaches.len());
    assert!(costs.iter().all(|cost| cost.rates.min > 0.0 && cost.client_micros > 0.0), "{costs:?}");
    assert_eq!(input.content().await.unwrap(), input.expected(RECORDS));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pool_that_is_not_open_and_a_script_for_another_kind_are_refused() {
    let target = TargetArgs::private().open().await.unwrap();
    let users = input(&target, Kind::Users, 5, &[]).await;
    assert!(InsertMany::Pool { connections: 2 }.run(&users).await.is_err());
    let list = input(&target, Kind::List, 5, &[]).await;
    assert!(InsertMany::Script { size: 2 }.run(&list).await.is_err());
    assert_eq!(list.content().await.unwrap().records, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_lesson_passes() {
    let target = TargetArgs::private().open().await.unwrap();
    let report = run_lesson(&target, BulkLesson::Insert).await;
    assert_eq!(course::keys_of(&[report]), ["user:1", "user:2000", "bulk:loaded:users"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_is_taught_twice_in_a_row_and_leaves_the_keys_it_names() {
    for target in targets().await {
        for kind in Kind::ALL {
            for _ in 0..2 {
                let options = Options { records: 60, rounds: 1, kind };
                let teach = course::record_with(&target, &insert::LESSON, |page| {
                    Box::pin(insert::run(page, options))
                });
                let reports = [held(&target, teach.await)];
                assert_stored(&target, &reports).await;
                let named = course::keys_of(&reports);
                assert!(named.iter().all(|name| name.starts_with(target.prefix())), "{named:?}");
            }
        }
    }
}

fn insert_on(server: &Server, arguments: &[&str]) -> Output {
    bulk_on(server, arguments).output().unwrap()
}

#[test]
fn json_has_a_row_for_every_approach() {
    let server = Server::start().unwrap();
    for kind in Kind::ALL {
        let output = insert_on(
            &server,
            &["--json", "insert", "--records", "7", "--rounds", "1", "--kind", kind.name()],
        );
        assert!(output.status.success(), "{output:?}");
        let document: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        let blocks = document["lessons"][0]["page"].as_array().unwrap();
        let table: Vec<_> = blocks.iter().filter(|block| block["kind"] == "facts").collect();
        let rows = table.last().unwrap()["rows"].as_array().unwrap();
        assert_eq!(rows.len(), Writer::all(kind, 7, false).len());
        assert_eq!(rows[0][0], "one by one");
        assert_eq!(rows[0][4], (7 * kind.commands_per_record()).to_string(), "round trips");
        let checks: Vec<_> = blocks.iter().filter(|block| block["kind"] == "check").collect();
        assert!(checks.len() >= 5 && checks.iter().all(|check| check["held"] == true), "{checks:?}");
    }
}

#[test]
fn the_report_has_the_data_that_json_prints_and_a_second_run_is_compared() {
    let server = Server::start().unwrap();
    let directory = tempfile::tempdir().unwrap();
    let [first, second] = ["first.html", "second.html"].map(|name| directory.path().join(name));
    let [first, second] = [first.to_str().unwrap(), second.to_str().unwrap()];
    let small = ["insert", "--records", "50", "--rounds", "3"];

    let output = insert_on(&server, &[&small[..], &["--json", "--report", first]].concat());
    assert!(output.status.success(), "{output:?}");
    let document: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(Earlier::read(first).unwrap().document, document);
    assert!(!document["environment"].as_array().unwrap().is_empty());
    let blocks = document["lessons"][0]["page"].as_array().unwrap();
    let rounds = blocks.iter().find_map(|block| block["measured"][0]["rows"].as_array()).unwrap();
    assert!(rounds.iter().all(|row| row["rounds"]["samples"].as_array().unwrap().len() >= 3), "{rounds:?}");

    let output = insert_on(&server, &[&small[..], &["--compare", first, "--report", second]].concat());
    assert!(output.status.success(), "{output:?}");
    let printed = String::from_utf8(output.stdout).unwrap();
    let count = rounds.len();
    // Where the lines break depends on how long the file's path is.
    assert!(words(&printed).contains(&format!("Of {count} rows,")), "{printed}");
    let html = std::fs::read_to_string(second).unwrap();
    assert!(html.contains("What changed since") && html.contains(" before</text>"), "the runs are overlaid");
}

#[test]
fn a_report_that_cannot_be_written_is_refused_before_anything_begins() {
    let server = Server::start().unwrap();
    let directory = tempfile::tempdir().unwrap();
    let notes = directory.path().join("notes.html");
    std::fs::write(&notes, "mine").unwrap();
    let notes = notes.to_str().unwrap();
    for (arguments, said) in [
        (["insert", "--report", notes], "was not written by this program"),
        (["insert", "--report", "/no/such/report.html"], "there is no directory '/no/such'"),
        (["insert", "--compare", notes], "not a report of this program"),
        (["insert", "--compare", "/no/such/report.html"], "No such file"),
    ] {
        let output = insert_on(&server, &arguments);
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        let error = String::from_utf8(output.stderr).unwrap();
        assert!(error.contains(said) && !error.contains("Server:"), "{error}");
    }
    assert_eq!(std::fs::read_to_string(notes).unwrap(), "mine");
    let report = directory.path().join("load.html");
    let output = insert_on(&server, &["load", "--records", "10", "--report", report.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(2), "a load has no report: {output:?}");
}

#[test]
fn the_page_fits_eighty_columns() {
    let server = Server::start().unwrap();
    let output = insert_on(&server, &["insert", "--records", "1234", "--rounds", "1"]);
    assert!(output.status.success(), "{output:?}");
    let page = String::from_utf8(output.stdout).unwrap();
    assert!(page.lines().all(|line| line.chars().count() <= 80), "{page}");
    let row = page.lines().find(|line| line.starts_with("pipeline of 1,234 ")).unwrap();
    assert_eq!(row.split_whitespace().count(), 11, "every number stands in its column: {row}");
    assert!(page.contains("This project was asked to reach 25,000 records/s"), "{page}");
}

#[test]
fn no_records_no_rounds_and_no_such_kind_are_usage_errors() {
    let server = Server::start().unwrap();
    for (arguments, said) in [
        (["insert", "--records", "0"], "1..=10000000"),
        (["insert", "--records", "-1"], "-1"),
        (["insert", "--records", "many"], "many"),
        (["insert", "--rounds", "0"], "1..=100"),
        (["insert", "--kind", "trees"], "indexes"),
    ] {
        let output = insert_on(&server, &arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {output:?}");
        let error = String::from_utf8(output.stderr).unwrap();
        assert!(error.contains(said), "{arguments:?}: {error}");
    }
}
