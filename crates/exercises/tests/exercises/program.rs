//! The program as a learner uses it.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;

struct Learner {
    folder: TempDir,
}

impl Learner {
    fn new() -> Self {
        Self { folder: TempDir::new().unwrap() }
    }

    fn path(&self, file: &str) -> std::path::PathBuf {
        self.folder.path().join(file)
    }

    fn run(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_exercises"));
        command.args(arguments).arg("--folder").arg(self.folder.path());
        command.output().unwrap()
    }

    fn json(&self, arguments: &[&str]) -> Value {
        let output = self.run(&[arguments, &["--json"]].concat());
        serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
    }

    fn done(&self, name: &str) -> bool {
        let list = self.json(&["list"]);
        let exercise =
            list["exercises"].as_array().unwrap().iter().find(|exercise| exercise["name"] == name).unwrap();
        assert!(exercise["kind"].is_string() && exercise["lesson"].is_string(), "{exercise}");
        exercise["done"].as_bool().unwrap()
    }
}

fn text(path: impl AsRef<Path>) -> String {
    fs::read_to_string(path).unwrap()
}

#[test]
fn a_learner_fails_repairs_and_is_done() {
    let learner = Learner::new();
    assert!(!learner.done("sell-one-ticket"));
    let output = learner.run(&["run", "sell-one-ticket"]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.contains("the count went down by") && said.contains("B> GET tickets: \"10\""), "{said}");

    fs::write(learner.path("sell-one-ticket.redis"), "DECR tickets\n").unwrap();
    let output = learner.run(&["run", "sell-one-ticket"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(learner.done("sell-one-ticket"));
    let run = learner.json(&["run", "sell-one-ticket"]);
    assert_eq!(run["passed"], true, "{run}");
}

#[test]
fn reset_keeps_what_was_written() {
    let learner = Learner::new();
    let file = learner.path("sell-one-ticket.redis");
    for mine in ["my first try", "my second try"] {
        fs::write(&file, mine).unwrap();
        let copy = learner.json(&["reset", "sell-one-ticket"])["copy"].as_str().unwrap().to_owned();
        assert_eq!(text(copy), mine);
        assert!(text(&file).contains("SET tickets 9"));
    }
    assert_eq!(text(learner.path("sell-one-ticket.redis.1")), "my first try");
    assert_eq!(learner.json(&["reset", "sell-one-ticket"])["copy"], Value::Null, "nothing was written");
}

#[test]
fn hints_say_more_each_time_and_the_solution_waits() {
    let learner = Learner::new();
    let levels: Vec<_> =
        (0..4).map(|_| learner.json(&["hint", "sell-one-ticket"])["level"].as_u64().unwrap()).collect();
    assert_eq!(levels, [1, 2, 3, 3]);
    assert_eq!(learner.run(&["solution", "sell-one-ticket"]).status.code(), Some(2));
    let shown = learner.json(&["solution", "sell-one-ticket", "--anyway"]);
    assert!(shown["solution"].as_str().unwrap().contains("DECR"), "{shown}");
}

#[test]
fn a_name_that_is_none_and_a_progress_file_that_is_garbage_are_no_obstacle() {
    let learner = Learner::new();
    assert_eq!(learner.run(&["run", "nothing"]).status.code(), Some(2));
    fs::write(learner.path("progress.json"), b"\xff{").unwrap();
    assert!(!learner.done("sell-one-ticket"));
}
