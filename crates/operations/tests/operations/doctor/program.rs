//! The program: exit codes, JSON, and OpenMetrics.

use std::process::{Command, Output};

use lab_server::Server;

use super::{healthy, send, start};
use crate::metrics::parser::parse;

fn run(url: &str, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_operations"));
    command
        .arg("doctor")
        .args(["--url", url])
        .args(arguments)
        .env("COLUMNS", "60")
        .env_remove("REDISCLI_AUTH");
    command.output().unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

async fn sick() -> Server {
    let server = start(healthy().config("maxmemory", "0")).await;
    send(&server, &["SET", "k", "v"]);
    server
}

#[tokio::test(flavor = "multi_thread")]
async fn exit_codes_say_healthy_sick_refused_and_unreachable() {
    let server = start(healthy().config("user", "probe on >secret -@all +ping +info")).await;
    let healthy = run(&server.url(), &[]);
    assert_eq!(healthy.status.code(), Some(0), "{}", stdout(&healthy));
    assert!(stdout(&healthy).contains("Healthy"));
    let refused = run(&format!("redis://probe:secret@127.0.0.1:{}/", server.port()), &[]);
    assert_eq!(refused.status.code(), Some(4), "{}", stdout(&refused));
    assert_eq!(run(&format!("redis://probe:wrong@127.0.0.1:{}/", server.port()), &[]).status.code(), Some(4));
    assert_eq!(run("redis://127.0.0.1:1/", &[]).status.code(), Some(3));
    assert_eq!(run(&server.url(), &["--watch", "never"]).status.code(), Some(2));
    let found = run(&sick().await.url(), &[]);
    assert_eq!(found.status.code(), Some(1));
    let text = stdout(&found);
    assert!(text.contains("no-maxmemory"), "{text}");
    assert!(text.lines().all(|line| line.chars().count() <= 60), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn json_is_one_document_with_findings_and_overhead() {
    let output = run(&sick().await.url(), &["--json"]);
    let document: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(document["healthy"], false);
    let finding = &document["findings"][0];
    assert_eq!(
        (finding["name"].as_str(), finding["severity"].as_str()),
        (Some("no-maxmemory"), Some("warning"))
    );
    for field in ["what", "command", "reply", "why", "fix", "node"] {
        assert!(finding[field].is_string(), "{field}");
    }
    let overhead = &document["overhead"][0];
    let (micros, seconds) =
        (overhead["server_micros"].as_f64().unwrap(), overhead["seconds"].as_f64().unwrap());
    assert!(micros > 0.0 && seconds > 0.0, "{overhead}");
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_are_openmetrics() {
    let output = run(&sick().await.url(), &["--openmetrics"]);
    let text = stdout(&output);
    assert!(text.ends_with("# EOF\n"), "{text}");
    for family in parse(&text).unwrap_or_default() {
        assert!(["gauge", "counter"].contains(&family.kind.as_str()), "{family:?}");
    }
    assert!(text.contains("redis_doctor_finding{name=\"no-maxmemory\",severity=\"warning\""), "{text}");
}
