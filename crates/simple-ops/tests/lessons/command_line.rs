//! `simple-ops` as people run it.

use std::process::{Command, Output};

use lab_server::Server;

fn simple_ops(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_simple-ops"));
    command.args(arguments).env("COLUMNS", "80").env_remove("REDIS_URL");
    command
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn on_a_server(server: &Server, arguments: &[&str]) -> Output {
    simple_ops(arguments).env("REDIS_URL", server.url()).output().unwrap()
}

#[test]
fn the_list_needs_no_server() {
    let output = simple_ops(&["--list"]).env("REDIS_URL", "redis://127.0.0.1:1").output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let list = text(&output.stdout);
    let names = ["strings", "expiry", "counters", "json"];
    let places: Vec<usize> = names.iter().map(|name| list.find(&format!(" {name} ")).unwrap()).collect();
    assert!(places.is_sorted(), "{list}");
}

#[test]
fn the_list_as_json_is_one_document() {
    let output = simple_ops(&["--list", "--json"]).output().unwrap();
    let list: Vec<serde_json::Value> = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(list.len(), 4);
    assert_eq!(list[0]["name"], "strings");
}

#[test]
fn an_unknown_lesson_is_a_usage_error_that_names_the_lessons() {
    let output = simple_ops(&["hashes"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let said = text(&output.stderr);
    assert!(said.contains("hashes") && said.contains("strings") && said.contains("counters"), "{said}");
    assert!(output.stdout.is_empty());
}

#[test]
fn chosen_lessons_run_in_the_order_of_the_command_line_and_keep_their_numbers() {
    let server = Server::start().unwrap();
    let output = on_a_server(&server, &["expiry", "strings", "--no-pause"]);
    assert!(output.status.success(), "{output:?}");
    let shown = text(&output.stdout);
    let (first, second) = (shown.find("2. Expiry").unwrap(), shown.find("1. Strings").unwrap());
    assert!(first < second && !shown.contains("Counters"), "{shown}");
    assert!(!shown.contains('\x1b') && !shown.contains('✗'), "{shown}");
}

#[test]
fn json_is_one_document_with_every_claim_held() {
    let server = Server::start().unwrap();
    let output = on_a_server(&server, &["--json"]);
    assert!(output.status.success(), "{output:?}");
    let document: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let lessons = document["lessons"].as_array().unwrap();
    assert_eq!(lessons.len(), 4);
    for lesson in lessons {
        assert_eq!(lesson["outcome"], "passed");
        let blocks = lesson["page"].as_array().unwrap();
        let checks: Vec<_> = blocks.iter().filter(|block| block["kind"] == "check").collect();
        assert!(checks.len() >= 5, "{} checks too little: {}", lesson["name"], checks.len());
        assert!(checks.iter().all(|check| check["held"] == true), "{checks:?}");
    }
    assert!(!text(&output.stdout).contains("redis://"), "no URL, so no password");
}

#[test]
fn a_server_that_is_not_there_ends_with_3() {
    let output = simple_ops(&["-h", "127.0.0.1", "-p", "1"]).output().unwrap();
    assert_eq!(output.status.code(), Some(3), "{output:?}");
}
