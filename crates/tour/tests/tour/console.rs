//! `>` at a step: a console on the lesson's own server, and a lesson that holds afterward.

use std::process::{Command, Stdio};

use expectrl::Expect;
use lab_server::Server;

use crate::steps::{Terminal, tour};

const CTRL_C: &str = "\u{3}";
const CTRL_D: &str = "\u{4}";

#[test]
fn a_console_answers_as_redis_cli_and_the_lesson_goes_on_with_its_keys() {
    let (server, _data, mut terminal) = tour(&["counters"]);
    while !terminal.screen().contains("two views were counted") {
        terminal.press("\n");
    }
    assert!(terminal.press_and_read("?").contains("a console on this server"));
    let views: i64 = query(&server, &["GET", "page:home:views"]);
    let port = server.port();

    terminal.press(">");
    terminal.sees("Console on the lesson's server: ");
    terminal.sees(&format!("127.0.0.1:{port}> "));
    terminal.does("SET page:home:views 77\r", "\r\nOK\r\n");
    terminal.does("GET page:home:views\r", "\r\n\"77\"\r\n");
    terminal.does("HSET mine a 1\r", "\r\n(integer) 1\r\n");
    terminal.does("DEL page:home:views\r", "\r\n(integer) 1\r\n");
    terminal.does("NOSUCH\r", "(error) ERR unknown command");
    // Tab: a command, an option of it, and a key.
    terminal.does("STRL\t", "STRLEN ");
    terminal.does(CTRL_C, "back, exit, or Ctrl-D");
    terminal.does("SET k v KEEP\t\r", "\r\nOK\r\n");
    terminal.does("HGETALL mi\t\r", "1) \"a\"\r\n2) \"1\"\r\n");
    // A transaction.
    terminal.does("MULTI\r", &format!("127.0.0.1:{port}(TX)> "));
    terminal.does("INCR n\r", "QUEUED\r\n");
    terminal.does("EXEC\r", "1) (integer) 1\r\n");
    terminal.sees(&format!("127.0.0.1:{port}> "));
    // A script of two lines.
    terminal.press("EVAL \"local n = 41\r");
    terminal.does("return n + 1\" 0\r", "\r\n(integer) 42\r\n");
    // What goes on until Ctrl-C.
    terminal.does("SUBSCRIBE news\r", "Reading messages...");
    let heard: i64 = query(&server, &["PUBLISH", "news", "hello"]);
    assert_eq!(heard, 1);
    terminal.sees("3) \"hello\"\r\n");
    terminal.does(CTRL_C, "Ended, on a new connection.");
    terminal.does("MONITOR\r", "Reading messages...");
    let _: String = query(&server, &["ECHO", "overheard"]);
    terminal.sees("\"overheard\"");
    terminal.does(CTRL_C, "Ended, on a new connection.");
    terminal.does("BLPOP empty 0\r", "no reply yet");
    terminal.does(CTRL_C, "Stopped waiting");
    terminal.does("PING\r", "\r\nPONG\r\n");

    terminal.does("back\r", "Back in the lesson.");
    let rest = terminal.screen().replace('\n', " ");
    assert!(rest.contains("Put back: page:home:views.") && rest.contains("k, mine, n"), "{rest}");
    assert_eq!(query::<i64>(&server, &["GET", "page:home:views"]), views);
    assert_eq!(query::<i64>(&server, &["EXISTS", "mine", "k", "n"]), 0);

    // Again, by Ctrl-D, and with nothing changed.
    terminal.does(">", &format!("127.0.0.1:{port}> "));
    terminal.does(CTRL_D, "Its keys are as they were.");
    terminal.screen();
    assert!(terminal.press_and_read("a").contains("Rule: "), "the lesson passes");
    terminal.quits();
}

#[test]
fn on_a_server_of_the_learners_own_dangerous_commands_ask_first() {
    let server = Server::start().unwrap();
    let data = tempfile::tempdir().unwrap();
    query::<String>(&server, &["SET", "theirs", "1"]);
    let mut terminal = Terminal::start(&server, data.path(), &["counters", "--prefix", "lab:"]);
    terminal.screen();
    terminal.does(">", "prefix lab:");
    terminal.does("FLUSHALL\r", "Send it? Type yes: ");
    terminal.does("no\r", "It was not sent.");
    terminal.does("CONFIG SET maxmemory 50mb\r", "Send it? Type yes: ");
    terminal.does("yes\r", "\r\nOK\r\n");
    terminal.does("SET other 1\r", "\r\nOK\r\n");
    terminal.does("back\r", "Not put back: ");
    let rest = terminal.screen().replace('\n', " ");
    assert!(rest.contains("CONFIG SET maxmemory 50mb; SET other 1"), "{rest}");
    assert_eq!(query::<i64>(&server, &["EXISTS", "theirs", "other"]), 2);
    terminal.quits();
}

#[test]
fn a_server_that_ends_and_a_terminated_program_leave_the_terminal_as_it_was() {
    let (mut server, _data, mut terminal) = tour(&["counters"]);
    terminal.screen();
    terminal.does(">", "> ");
    terminal.does("PING\r", "PONG");
    server.kill();
    terminal.does("PING\r", "Could not connect");
    terminal.sees("not connected> ");
    server.restart().unwrap();
    terminal.does("PING\r", "PONG");
    assert!(!terminal.is_as_shells_want_it());
    let pid = terminal.0.get_process().pid().to_string();
    assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    assert_eq!(terminal.end(), 130);
    assert!(terminal.is_as_shells_want_it());
}

impl Terminal {
    fn does(&mut self, keys: &str, shown: &str) {
        self.press(keys);
        self.sees(shown);
    }

    fn sees(&mut self, shown: &str) {
        if let Err(error) = self.0.expect(shown) {
            panic!("{shown:?}: {error}");
        }
    }

    /// Whether it turns Ctrl-C into a signal (1) and edits lines (2), as `stty` tells.
    fn is_as_shells_want_it(&self) -> bool {
        let terminal = self.0.get_process().get_raw_handle().unwrap();
        let output = Command::new("stty").arg("-g").stdin(Stdio::from(terminal)).output().unwrap();
        let modes = String::from_utf8(output.stdout).unwrap();
        let local = modes.split(':').nth(3).unwrap();
        u32::from_str_radix(local, 16).unwrap() & 3 == 3
    }
}

fn query<T: redis::FromRedisValue>(server: &Server, words: &[&str]) -> T {
    let mut command = redis::Cmd::new();
    command.arg(words);
    command.query(&mut server.client().get_connection().unwrap()).unwrap()
}
