//! Jobs: what the run counts, and that nothing is lost.

use lab_server::Server;
use serde_json::Value;

use crate::{document, torture};

const FIELDS: [&str; 14] = [
    "completed",
    "doubled_effects",
    "fsync",
    "innocents_dead_lettered",
    "jobs",
    "jobs_per_second",
    "lost",
    "poison_dead_lettered",
    "quarantined",
    "recovery_ms_p50",
    "recovery_ms_p99",
    "redelivered",
    "seconds",
    "seed",
];

fn number(report: &Value, field: &str) -> u64 {
    report[field].as_u64().unwrap_or_else(|| panic!("{field} in {report}"))
}

/// Nothing lost, nothing twice, all poison dead and nothing else.
fn assert_kept_its_promises(report: &Value, jobs: u64) {
    let poison = number(report, "poison_dead_lettered");
    assert_eq!(number(report, "completed") + poison, jobs, "{report}");
    for broken in ["lost", "doubled_effects", "innocents_dead_lettered", "quarantined"] {
        assert_eq!(number(report, broken), 0, "{broken} in {report}");
    }
}

#[test]
fn killed_workers_and_a_killed_server_lose_nothing_and_double_nothing() {
    let arguments = "--jobs 2000 --workers 4 --kill-workers 5 --kill-server 1 --seed 1 --json";
    let report = document(&mut torture(arguments));
    let fields: Vec<&str> = report.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(fields, FIELDS);
    assert_kept_its_promises(&report, 2_000);
    assert!(number(&report, "poison_dead_lettered") > 0, "{report}");
    assert!(number(&report, "redelivered") > 0, "workers were killed, but held nothing: {report}");
    assert_eq!((number(&report, "seed"), report["fsync"].as_str()), (1, Some("always")));
}

#[test]
fn the_workers_of_a_stream_keep_the_same_promises() {
    let arguments =
        "--queue stream-worker --jobs 1000 --workers 3 --kill-workers 3 --kill-server 1 --seed 2 --json";
    let report = document(&mut torture(arguments));
    assert_kept_its_promises(&report, 1_000);
    assert!(number(&report, "redelivered") > 0, "{report}");
}

#[test]
fn on_a_cluster_workers_are_killed_and_nothing_is_lost() {
    let arguments = "--cluster --jobs 500 --workers 2 --kill-workers 2 --delayed 0% --json";
    assert_kept_its_promises(&document(&mut torture(arguments)), 500);
}

#[test]
fn on_a_server_that_is_not_ours_only_workers_are_killed_and_no_key_is_left() {
    let server = Server::start().unwrap();
    let arguments = "--jobs 500 --workers 2 --kill-workers 2 --kill-server 3 --prefix lab: --json";
    let pid = server.pid();
    let report = document(torture(arguments).env("REDIS_URL", server.url()));
    assert_kept_its_promises(&report, 500);
    assert_eq!(report["fsync"], "not ours");
    assert!(server.is_running() && server.pid() == pid);
    let mut connection = server.client().get_connection().unwrap();
    let keys: Vec<String> = redis::cmd("KEYS").arg("*").query(&mut connection).unwrap();
    assert_eq!(keys, ["lab:redis-lab:marker"]);
}

#[test]
fn without_a_file_a_killed_server_loses_jobs_and_the_run_says_how_many() {
    // Most jobs wait for later when the server dies.
    let arguments =
        "--jobs 1000 --workers 2 --kill-workers 0 --kill-server 1 --delayed 80% --fsync none --seed 3 --json";
    let report = document(&mut torture(arguments));
    assert!(number(&report, "lost") > 0, "{report}");
    assert_eq!(number(&report, "doubled_effects"), 0, "{report}");
    assert_eq!(report["fsync"], "none");
}
