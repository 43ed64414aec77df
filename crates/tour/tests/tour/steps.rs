//! Lessons in a terminal of 80 columns and 24 rows: one screen at a time, where each key leads, and progress that is kept.

use std::path::Path;
use std::time::Duration;

use expectrl::process::unix::WaitStatus;
use expectrl::session::OsSession;
use expectrl::{Eof, Expect};
use lab_server::Server;
use serde_json::Value;
use tempfile::TempDir;

use crate::support;

const ROWS: usize = 24;
const COLUMNS: usize = 80;
/// What every prompt ends with.
const PROMPT: &str = "b: back · q: quit · ? ";

#[test]
fn enter_shows_one_screen_after_the_other_and_leaves_nothing_out() {
    let server = Server::start().unwrap();
    let data = tempfile::tempdir().unwrap();
    let (code, at_once, _) = support::run(support::at(&server.url()).args(["--no-pause", "strings"]));
    assert_eq!(code, 0);

    let mut terminal = Terminal::start(&server, data.path(), &["strings"]);
    let mut screens = vec![terminal.screen()];
    while !screens.last().unwrap().contains("Enter: the end") {
        screens.push(terminal.press_and_read("\n"));
    }
    for screen in &screens {
        assert!(rows(screen) <= ROWS, "{} rows:\n{screen}", rows(screen));
    }
    assert!(screens.len() > 5, "{screens:#?}");
    let shown = screens.concat();
    for mark in ["✓", "> ", "strings.rs:"] {
        assert_eq!(shown.matches(mark).count(), at_once.matches(mark).count(), "{mark:?}:\n{shown}");
    }
    terminal.press("\n");
    assert_eq!(terminal.end(), 0);
}

#[test]
fn a_question_takes_one_key_and_enter_skips_it() {
    let (_server, _data, mut terminal) = tour(&["counters"]);
    let mut screen = terminal.screen();
    while !screen.contains("? What does the last command reply?") {
        screen = terminal.press_and_read("\n");
    }
    assert!(screen.contains("1: 0   2: -1   3: an error") && !screen.contains("> DECR"), "{screen}");
    let screen = terminal.press_and_read("2");
    assert!(screen.contains("> DECR") && screen.contains("= -1, as you said"), "{screen}");
    while !terminal.press_and_read("\n").contains("? By how much does the counter rise?") {}
    assert!(terminal.press_and_read("\n").contains("= 1\n"), "nothing was guessed");
    let rest = terminal.press_and_read("a");
    assert!(rest.contains("You guessed 1 of 1 answers."), "{rest}");
    terminal.quits();
}

#[test]
fn b_shows_the_step_before_again() {
    let (_server, _data, mut terminal) = tour(&["strings"]);
    let first_step = terminal.step();
    let command = first_step.lines().find(|line| line.starts_with("> ")).unwrap().to_owned();
    terminal.press("\n");
    let second_step = terminal.step();
    assert!(!second_step.contains(&command), "{second_step}");
    terminal.press("b");
    let again = terminal.step();
    assert!(again.contains("step 1 of this lesson, again") && again.contains(&command), "{again}");
    terminal.quits();
}

#[test]
fn a_lesson_is_named_by_its_number_or_name_at_every_prompt() {
    let (_server, _data, mut terminal) = tour(&[]);
    assert!(terminal.screen().contains("1. Strings"));
    for (entry, heading) in [(":3\n", "3. Counters"), ("2\n", "2. Expiry"), (":Counters\n", "3. Counters")] {
        let screen = terminal.press_and_read(entry);
        assert!(screen.contains(heading), "{entry:?}:\n{screen}");
    }
    assert!(terminal.press_and_read(":99\n").contains("There is no lesson"));
    let help = terminal.press_and_read("?");
    for part in ["space or a", ":counters", "1. strings, 2. expiry"] {
        assert!(help.contains(part), "{part} is missing:\n{help}");
    }
    for all in ["a", " "] {
        // An arrow is no entry.
        terminal.press("\u{1b}[A:1\n");
        terminal.screen();
        let rest = terminal.press_and_read(all);
        assert!(rest.contains("Rule: ") && rest.contains("Enter: 2. expiry"), "{rest}");
    }
    terminal.quits();
}

#[test]
fn the_next_run_continues_after_the_lessons_that_are_done() {
    let (server, data, mut terminal) = tour(&[]);
    terminal.screen();
    assert!(terminal.press_and_read("a").contains("Enter: 2. expiry"));
    assert!(terminal.press_and_read("\n").contains("2. Expiry"));
    terminal.quits();

    let mut list = support::anywhere();
    list.env("XDG_DATA_HOME", data.path()).args(["--list", "strings", "expiry"]);
    let (_, listed, _) = support::run(&mut list);
    let line = |name: &str| listed.lines().find(|line| line.contains(name)).unwrap().to_owned();
    assert!(line("strings").starts_with('✓') && !line("expiry").contains('✓'), "{listed}");
    let (_, listed, _) = support::run(list.arg("--json"));
    let listed: Value = serde_json::from_str(&listed).unwrap();
    assert_eq!((&listed[0]["completed"], &listed[1]["completed"]), (&true.into(), &false.into()));

    let mut terminal = Terminal::start(&server, data.path(), &[]);
    let screen = terminal.screen();
    for part in ["You have completed 1 lesson and continue with 2. expiry", "2. Expiry"] {
        assert!(screen.contains(part), "{part:?} is missing:\n{screen}");
    }
    terminal.quits();
}

#[test]
fn without_pauses_a_terminal_shows_everything_at_once() {
    let (_server, _data, mut terminal) = tour(&["--no-pause", "strings", "expiry"]);
    let shown = terminal.rest();
    assert!(shown.contains("1. Strings") && shown.contains("2. Expiry"), "{shown}");
    assert!(!shown.contains("Enter:"), "{shown}");
    assert_eq!(terminal.code(), 0);
}

/// A server, a folder for the progress, and a tour there.
pub(super) fn tour(arguments: &[&str]) -> (Server, TempDir, Terminal) {
    let (server, data) = (Server::start().unwrap(), tempfile::tempdir().unwrap());
    let terminal = Terminal::start(&server, data.path(), arguments);
    (server, data, terminal)
}

/// A tour in a terminal.
pub(super) struct Terminal(pub(super) OsSession);

impl Terminal {
    pub(super) fn start(server: &Server, data: &Path, arguments: &[&str]) -> Self {
        let mut command = support::at(&server.url());
        command.args(arguments).env("XDG_DATA_HOME", data).env("TERM", "xterm-256color");
        let mut terminal = OsSession::spawn(command).unwrap();
        terminal.set_expect_timeout(Some(Duration::from_mins(5)));
        Self(terminal)
    }

    pub(super) fn press(&mut self, keys: &str) {
        self.0.send(keys).unwrap();
    }

    /// What is shown up to the next prompt, and the prompt.
    pub(super) fn screen(&mut self) -> String {
        let captures = self.0.expect(PROMPT).unwrap();
        let shown = captures.before().to_vec();
        plain(&shown) + PROMPT
    }

    pub(super) fn press_and_read(&mut self, keys: &str) -> String {
        self.press(keys);
        self.screen()
    }

    /// A whole step, however many screens it has.
    fn step(&mut self) -> String {
        let mut step = String::new();
        loop {
            let screen = self.screen();
            step.push_str(&screen);
            if !screen.contains("Enter: more") {
                return step;
            }
            self.press("\n");
        }
    }

    /// What is shown up to the end of the program.
    fn rest(&mut self) -> String {
        let captures = self.0.expect(Eof).unwrap();
        plain(captures.as_bytes())
    }

    pub(super) fn quits(mut self) {
        self.press("q");
        assert_eq!(self.end(), 0);
    }

    pub(super) fn end(&mut self) -> i32 {
        self.rest();
        self.code()
    }

    fn code(&self) -> i32 {
        match self.0.get_process().wait().unwrap() {
            WaitStatus::Exited(_, code) => code,
            other => panic!("{other:?}"),
        }
    }
}

/// Without colors, and without what was overwritten after a carriage return.
fn plain(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes).replace("\r\n", "\n");
    let lines = text.split('\n').map(|line| {
        let mut parts = line.split("\u{1b}[");
        let first = parts.next().unwrap_or_default().to_owned();
        let colorless =
            parts.fold(first, |line, part| line + part.split_once('m').map_or("", |(_, text)| text));
        colorless.rsplit('\r').next().unwrap_or_default().to_owned()
    });
    lines.collect::<Vec<_>>().join("\n")
}

fn rows(screen: &str) -> usize {
    screen.split('\n').map(|line| line.chars().count().div_ceil(COLUMNS).max(1)).sum()
}
