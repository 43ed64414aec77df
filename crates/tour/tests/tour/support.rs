//! Runs the tour's program as a person would, apart from this machine's own servers.

use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

/// The program on a private server, whatever `REDIS_URL` says and whatever listens on 6379.
pub fn on_a_private_server() -> Command {
    let release = std::env::var("REDIS_LAB_SERVER").unwrap_or_else(|_| "valkey-9.1".into());
    let mut command = anywhere();
    command.args(["--server", &release]);
    command
}

/// The program on the server of this URL.
pub fn at(url: &str) -> Command {
    let mut command = anywhere();
    command.args(["--url", url]);
    command
}

/// The exit code and both outputs of a run that is not a terminal.
pub fn run(command: &mut Command) -> (i32, String, String) {
    let Output { status, stdout, stderr } =
        command.stdin(Stdio::null()).output().expect("the program starts");
    let text = |bytes| String::from_utf8(bytes).expect("outputs are UTF-8");
    (status.code().unwrap_or(-1), text(stdout), text(stderr))
}

/// What `--list` says of these lessons, or of all.
pub fn listed(lessons: &[String]) -> Vec<Value> {
    let (code, output, error) = run(anywhere().args(["--list", "--json"]).args(lessons));
    assert_eq!(code, 0, "{error}");
    serde_json::from_str(&output).unwrap()
}

/// A file of the workspace, by its path from the top.
pub fn workspace_file(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..").join(path)
}

/// The program, told nothing of a server yet.
pub fn anywhere() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tour"));
    for variable in ["REDIS_URL", "REDISCLI_AUTH", "COLUMNS"] {
        command.env_remove(variable);
    }
    command
}
