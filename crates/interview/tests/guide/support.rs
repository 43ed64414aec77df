//! Runs the program as a person would, apart from this machine's own servers and this user's own progress.

use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use expectrl::process::unix::WaitStatus;
use expectrl::session::OsSession;
use expectrl::{Eof, Expect, Regex};

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

/// The program in a terminal of its own.
pub struct Terminal(OsSession);

impl Terminal {
    pub fn start(mut command: Command) -> Self {
        command.env("TERM", "xterm-256color");
        let mut terminal = OsSession::spawn(command).expect("the program starts in a terminal");
        terminal.set_expect_timeout(Some(Duration::from_mins(1)));
        Self(terminal)
    }

    /// Waits until each of these was shown, one after the other. Returns what came before the last of them.
    #[track_caller]
    pub fn shows(&mut self, texts: &[&str]) -> String {
        let mut before = String::new();
        for text in texts {
            let shown = self.0.expect(*text).unwrap_or_else(|error| panic!("{text:?}: {error}"));
            before = String::from_utf8_lossy(shown.before()).into_owned();
        }
        before
    }

    /// The same for words between which lines may break.
    pub fn shows_words(&mut self, words: &str) {
        let words: Vec<String> = words.split(' ').map(|word| word.replace('.', r"\.")).collect();
        self.0.expect(Regex(words.join(r"\s+"))).unwrap_or_else(|error| panic!("{words:?}: {error}"));
    }

    pub fn enter(&mut self, line: &str) {
        self.0.send_line(line).unwrap();
    }

    /// Waits for these texts, the last of which is a prompt, and enters a line there.
    pub fn enter_at(&mut self, texts: &[&str], line: &str) {
        self.shows(texts);
        self.enter(line);
    }

    pub fn press(&mut self, key: u8) {
        self.0.send([key]).unwrap();
    }

    /// Waits for these texts, and then for the end of the program with this exit code.
    #[track_caller]
    pub fn ends_after(mut self, texts: &[&str], code: i32) {
        self.shows(texts);
        self.0.expect(Eof).unwrap();
        let status = self.0.get_process().wait().unwrap();
        assert!(matches!(status, WaitStatus::Exited(_, exit) if exit == code), "after {texts:?}: {status:?}");
    }

    /// Waits for these texts, and quits.
    #[track_caller]
    pub fn quits_after(mut self, texts: &[&str]) {
        self.enter_at(texts, "q");
        self.ends_after(&[], 0);
    }
}
