//! The tour beside other people's data: none of it changes, and nothing dangerous is sent.

use std::sync::{Arc, Mutex};

use futures_util::StreamExt;
use lab_connection::connection::unguarded;
use lab_server::Server;
use lab_testing::browser::Chromium;
use lab_testing::browser::report::assert_readable;
use lab_testing::until;
use redis::aio::MultiplexedConnection;
use serde_json::Value;

use crate::support;

/// One key of every type, and the names that the lessons themselves use.
const FOREIGN: &[&[&str]] = &[
    &["SET", "user:1", "somebody's own user, as a string"],
    &["SET", "cart:1", "and their cart", "EX", "100000"],
    &["HSET", "sku:sku123", "name", "not ours", "price", "1.00"],
    &["RPUSH", "biglist", "a", "b", "c"],
    &["SADD", "skus", "x", "y"],
    &["ZADD", "users", "1", "one", "2", "two"],
    &["XADD", "orders", "1-1", "total", "12"],
    &["PFADD", "visitors", "a", "b", "c"],
    &["SETBIT", "days", "7", "1"],
    &["GEOADD", "stores", "13.4", "52.5", "Berlin"],
    &["SET", "lab:", "the prefix itself, as a key of somebody's"],
    &["HSET", "labour", "begins", "like the prefix without its colon"],
];

const FORBIDDEN: &[&str] = &["flushall", "flushdb", "keys", "shutdown", "swapdb"];

#[tokio::test(flavor = "multi_thread")]
async fn a_database_with_foreign_keys_is_refused_and_nothing_is_written() {
    let (server, mut connection) = beside(|command| command[1] != "lab:").await;
    let before = fingerprint(&mut connection).await;
    let heard = listen(&server).await;
    let (code, _, error) = support::run(support::at(&server.url()).arg("--no-pause"));
    assert_eq!(code, 4, "{error}");
    for choice in ["--db", "--prefix", "--server"] {
        assert!(error.contains(choice), "the refusal offers {choice}:\n{error}");
    }
    assert_eq!(fingerprint(&mut connection).await, before, "a refused run writes nothing");
    until("MONITOR hears the refused run", || async { !heard.lock().unwrap().is_empty() }).await;
    assert_harmless(&heard.lock().unwrap());
}

/// So many tests share the lessons, because the longest of all tests decides how long they take.
const PARTS: usize = 3;

#[tokio::test(flavor = "multi_thread")]
async fn a_third_of_the_lessons_behind_a_prefix_changes_no_foreign_keys() {
    change_no_foreign_keys(&["--prefix", "lab:"], &part(0)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_third_of_the_lessons_behind_a_prefix_changes_no_foreign_keys() {
    change_no_foreign_keys(&["--prefix", "lab:"], &part(1)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_third_of_the_lessons_behind_a_prefix_changes_no_foreign_keys() {
    change_no_foreign_keys(&["--prefix", "lab:"], &part(2)).await;
}

/// There, a few lessons write the names that somebody has in the other database.
#[tokio::test(flavor = "multi_thread")]
async fn lessons_in_a_database_of_their_own_change_no_foreign_keys() {
    let few = ["strings", "hashes", "biglist", "cart", "inventory", "real-time"];
    change_no_foreign_keys(&["-n", "1"], &few.map(str::to_owned)).await;
}

/// Every third lesson, from this one on.
fn part(first: usize) -> Vec<String> {
    let names = support::listed(&[]).into_iter().map(|lesson| lesson["name"].as_str().unwrap().to_owned());
    names.skip(first).step_by(PARTS).collect()
}

/// Runs lessons beside foreign keys: none of those changes, and nothing dangerous is sent.
async fn change_no_foreign_keys(flags: &[&str], lessons: &[String]) {
    let (server, mut connection) = beside(|command| command[1] != "lab:").await;
    let before = fingerprint(&mut connection).await;
    let heard = listen(&server).await;

    let directory = tempfile::tempdir().unwrap();
    let report = directory.path().join("report.html");
    let mut tour = support::at(&server.url());
    tour.args(flags).args(["--json", "--report"]).arg(&report).args(lessons);
    let (code, output, error) = support::run(&mut tour);
    assert_eq!(code, 0, "{flags:?}\n{output}\n{error}");
    let document = one_document(&output, lessons);
    if let Some(chromium) = Chromium::start() {
        assert_readable(&chromium.page(), &report, &document);
    }
    let mut after = fingerprint(&mut connection).await;
    after.retain(|(key, ..)| !key.starts_with(b"lab:"));
    assert_eq!(after, before, "{flags:?}");

    let heard = heard.lock().unwrap();
    assert!(heard.len() > 100, "MONITOR saw the lessons: {}", heard.len());
    assert_harmless(&heard);
}

/// Nobody sent a command that touches more than its own keys.
fn assert_harmless(heard: &[String]) {
    for line in heard {
        let command = line.split('"').nth(1).unwrap_or_default().to_lowercase();
        let config_set = command == "config" && line.to_lowercase().contains("\"set\"");
        assert!(!FORBIDDEN.contains(&command.as_str()) && !config_set, "{line}");
    }
}

/// A server with these of the foreign keys, and a connection to it.
async fn beside(is_there: impl Fn(&[&str]) -> bool) -> (Server, MultiplexedConnection) {
    let server = Server::start().unwrap();
    let mut connection = unguarded(&server.client()).await.unwrap();
    for command in FOREIGN.iter().filter(|command| is_there(command)) {
        redis::cmd(command[0]).arg(&command[1..]).exec_async(&mut connection).await.unwrap();
    }
    (server, connection)
}

/// The output is one JSON document with these lessons.
fn one_document(output: &str, lessons: &[String]) -> Value {
    let document: Value = serde_json::from_str(output).expect("one JSON document");
    let run = document["lessons"].as_array().expect("lessons");
    assert_eq!(run.len(), support::listed(lessons).len());
    for lesson in run {
        let outcome = lesson["outcome"].as_str().unwrap();
        assert!(outcome == "passed" || outcome == "skipped", "{}: {outcome}", lesson["name"]);
    }
    document
}

#[tokio::test]
async fn a_prefix_that_is_taken_is_refused() {
    let (server, _) = beside(|_| true).await;
    let (code, _, error) = support::run(support::at(&server.url()).args(["--prefix", "lab:", "--no-pause"]));
    assert_eq!(code, 4, "{error}");
    assert!(error.contains("lab:"), "{error}");
}

/// Key, DUMP and expiry time of every key.
async fn fingerprint(connection: &mut MultiplexedConnection) -> Vec<(Vec<u8>, Vec<u8>, i64)> {
    let mut keys: Vec<Vec<u8>> = redis::cmd("KEYS").arg("*").query_async(connection).await.unwrap();
    keys.sort();
    let mut prints = Vec::new();
    for key in keys {
        let dump = redis::cmd("DUMP").arg(&key).query_async(connection).await.unwrap();
        let expires = redis::cmd("PEXPIRETIME").arg(&key).query_async(connection).await.unwrap();
        prints.push((key, dump, expires));
    }
    prints
}

/// Everything that is sent by others than the test's own connection, which only asks KEYS, DUMP and PEXPIRETIME of
/// names that the lessons never ask for.
async fn listen(server: &Server) -> Arc<Mutex<Vec<String>>> {
    let monitor = server.client().get_async_monitor().await.unwrap();
    let lines = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&lines);
    tokio::spawn(async move {
        let mut stream = monitor.into_on_message::<String>();
        while let Some(line) = stream.next().await {
            let own = ["\"KEYS\" \"*\"", "\"DUMP\"", "\"PEXPIRETIME\""];
            if !own.iter().any(|command| line.contains(command)) {
                sink.lock().unwrap().push(line);
            }
        }
    });
    lines
}
