//! `cargo server` in a terminal: a console on what it started, and nothing is left afterward.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where by panicking")]

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use expectrl::process::unix::WaitStatus;
use expectrl::session::OsSession;
use expectrl::{Eof, Expect};

struct Terminal(OsSession);

impl Terminal {
    fn start(folder: &Path, arguments: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_server"));
        command
            .args(arguments)
            .env("TMPDIR", folder.join("servers"))
            .env("XDG_DATA_HOME", folder.join("data"));
        command.env("TERM", "xterm-256color");
        std::fs::create_dir_all(folder.join("servers")).unwrap();
        let mut terminal = OsSession::spawn(command).unwrap();
        terminal.set_expect_timeout(Some(Duration::from_mins(2)));
        Self(terminal)
    }

    fn does(&mut self, keys: &str, shown: &str) {
        self.0.send(keys).unwrap();
        self.sees(shown);
    }

    fn sees(&mut self, shown: &str) {
        if let Err(error) = self.0.expect(shown) {
            panic!("{shown:?}: {error}");
        }
    }

    fn ends(mut self, folder: &Path) -> i32 {
        self.0.expect(Eof).unwrap();
        let WaitStatus::Exited(_, code) = self.0.get_process().wait().unwrap() else {
            panic!("it was killed")
        };
        assert_eq!(std::fs::read_dir(folder.join("servers")).unwrap().count(), 0, "something is left");
        code
    }
}

#[test]
fn a_console_on_a_server_of_its_own_ends_it() {
    let folder = tempfile::tempdir().unwrap();
    let mut terminal = Terminal::start(folder.path(), &[]);
    terminal.sees("export REDIS_URL=");
    terminal.sees("Console on this private server");
    terminal.does("SET greeting \"hello, world\"\r", "\r\nOK\r\n");
    terminal.does("GET gree\t\r", "\"hello, world\"\r\n");
    terminal.does("\u{3}", "exit, or Ctrl-D");
    terminal.does("SET q \"a\"b\r", "Invalid argument(s)");
    terminal.does("SET bin \"\\x00\\xff\\n\"\r", "OK\r\n");
    terminal.does("GET bin\r", "\r\n\"\\x00\\xff\\n\"\r\n");
    terminal.does("EVAL \"local t = {} for i = 1, 5000 do t[i] = i end return t\" 0\r", "… 4000 more");
    terminal.does("CLIENT REPLY OFF\r", "was not sent");
    terminal.does("AUTH s3cret-word x\r", "WRONGPASS");
    terminal.does("CONFIG GET requirepass\r", "(redacted)");
    terminal.does("RESET\r", "RESET\r\n");
    terminal.does("GET greeting\r", "\"hello, world\"");
    terminal.does("SELECT 3\r", "[3]> ");
    terminal.does("3 INCR n\r", "(integer) 3\r\n");
    terminal.does("help GETDEL\r", "GETDEL key");
    terminal.0.send("exit\r").unwrap();
    assert_eq!(terminal.ends(folder.path()), 0);
    let history = std::fs::read_to_string(folder.path().join("data/redis-lab/console.txt")).unwrap();
    assert!(history.contains("GET greeting") && !history.contains("s3cret-word"), "{history}");
}

#[test]
fn on_a_cluster_it_goes_where_the_slots_are() {
    let folder = tempfile::tempdir().unwrap();
    let mut terminal = Terminal::start(folder.path(), &["--cluster", "3"]);
    for (key, slot) in [("a", 15495), ("b", 3300), ("c", 7365)] {
        terminal.does(&format!("SET {key} value-{key}\r"), "OK\r\n");
        terminal.does(&format!("CLUSTER KEYSLOT {key}\r"), &format!("(integer) {slot}"));
    }
    terminal.does("GET b\r", "\"value-b\"");
    terminal.does("GET a\r", "-> Redirected to slot [15495]");
    terminal.sees("\"value-a\"");
    // Keys of all nodes are offered.
    terminal.does("GET \t", "a  b  c");
    terminal.does("\u{3}", "exit, or Ctrl-D");
    terminal.does("MULTI\r", "(TX)> ");
    terminal.does("GET b\r", "A transaction stays on one node.");
    terminal.does("DISCARD\r", "OK\r\n");
    terminal.0.send("\u{4}").unwrap();
    assert_eq!(terminal.ends(folder.path()), 0);
}

#[test]
fn a_server_that_dies_ends_the_program_while_the_console_waits() {
    let folder = tempfile::tempdir().unwrap();
    let mut terminal = Terminal::start(folder.path(), &[]);
    terminal.sees("Console on");
    terminal.does("SHUTDOWN NOSAVE\r", "Type yes: ");
    terminal.does("yes\r", "has ended, so this program ends too");
    assert_eq!(terminal.ends(folder.path()), 1);
}

#[test]
fn piped_it_only_prints_and_waits() {
    let folder = tempfile::tempdir().unwrap();
    let mut process = Command::new(env!("CARGO_BIN_EXE_server"))
        .env("TMPDIR", folder.path())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = std::io::BufRead::lines(std::io::BufReader::new(process.stdout.take().unwrap()));
    let lines: Vec<String> =
        lines.map(Result::unwrap).take_while(|line| !line.contains("Ctrl-C ends it")).collect();
    assert!(lines.iter().any(|line| line.starts_with("export REDIS_URL=")), "{lines:?}");
    assert!(!lines.iter().any(|line| line.contains("Console")), "{lines:?}");
    let pid = process.id().to_string();
    assert!(Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
    assert_eq!(process.wait().unwrap().code(), Some(0));
}
