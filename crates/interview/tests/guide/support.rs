//! Runs the program as a person would, apart from this machine's own servers and this user's own progress.

use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

/// The program with progress of its own in `data`, told nothing of a server.
pub fn interview(data: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_interview"));
    for variable in ["REDIS_URL", "REDISCLI_AUTH", "COLUMNS", "NO_COLOR"] {
        command.env_remove(variable);
    }
    command.env("XDG_DATA_HOME", data);
    command
}

/// The exit code and both outputs of a run that is not a terminal.
pub fn run(command: &mut Command) -> (i32, String, String) {
    let Output { status, stdout, stderr } =
        command.stdin(Stdio::null()).output().expect("the program starts");
    let text = |bytes| String::from_utf8(bytes).expect("outputs are UTF-8");
    (status.code().unwrap_or(-1), text(stdout), text(stderr))
}

pub type Terminal = expectrl::session::OsSession;

/// The program in a terminal of its own.
pub fn in_a_terminal(mut command: Command) -> Terminal {
    command.env("TERM", "xterm-256color");
    let mut terminal = Terminal::spawn(command).expect("the program starts in a terminal");
    terminal.set_expect_timeout(Some(Duration::from_mins(1)));
    terminal
}
