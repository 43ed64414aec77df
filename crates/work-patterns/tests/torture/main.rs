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

use std::process::{Command, Output};

use serde_json::Value;

/// The program, which finds no server but its own.
fn torture(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_work-patterns"));
    command.arg("torture").args(arguments).env_remove("REDIS_URL").env_remove("COLUMNS");
    command
}

/// Its one JSON document. Fails if the program ended with another exit code.
fn document(output: &Output, exit_code: i32) -> Value {
    let text = String::from_utf8_lossy(&output.stdout);
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(exit_code), "{text}\n{complaint}");
    serde_json::from_str(&text).unwrap()
}
