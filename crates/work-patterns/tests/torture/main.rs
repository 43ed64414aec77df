//! `work-patterns torture` as people run it: small runs keep every promise, and nothing is left behind.

#![allow(
    clippy::unwrap_used,
    reason = "clippy's exemption for tests does not reach what they share or await"
)]

mod accounts;
mod command_line;
mod ends;
mod jobs;
mod journal;
mod locks;
mod reports;

use std::process::Command;

use serde_json::Value;

/// The program with these arguments. It finds no server but its own.
fn torture(arguments: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_work-patterns"));
    command.arg("torture").args(arguments.split_ascii_whitespace());
    command.env_remove("REDIS_URL").env_remove("COLUMNS");
    command
}

/// Runs the program, and returns its one JSON document. Fails if the program does.
fn document(command: &mut Command) -> Value {
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{text}\n{complaint}");
    serde_json::from_str(&text).unwrap()
}
