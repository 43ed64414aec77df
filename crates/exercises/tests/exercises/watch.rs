//! Watch mode in a terminal.

use std::fs;
use std::process::Command;
use std::time::Duration;

use expectrl::session::OsSession;
use expectrl::{Eof, Expect};

#[test]
fn a_file_is_checked_when_it_is_saved_and_the_next_exercise_follows() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_exercises"));
    command.args(["watch", "sell-one-ticket", "--folder"]).arg(folder.path()).env("NO_COLOR", "1");
    let mut terminal = OsSession::spawn(command).unwrap();
    terminal.set_expect_timeout(Some(Duration::from_mins(2)));
    terminal.expect("Sell one ticket").unwrap();
    terminal.expect("B> GET tickets").unwrap();
    terminal.expect("q: quit").unwrap();

    terminal.send("h\n").unwrap();
    terminal.expect("Hint 1 of 3").unwrap();
    let file = folder.path().join("sell-one-ticket.redis");
    fs::write(&file, "DECR tickets 1\n").unwrap();
    terminal.expect("wrong number of arguments").unwrap();
    terminal.expect("q: quit").unwrap();

    // As many editors save: a new file takes the place of the old one.
    fs::write(folder.path().join("new"), "DECR tickets\n").unwrap();
    fs::rename(folder.path().join("new"), &file).unwrap();
    terminal.expect("sell-one-ticket is solved").unwrap();
    terminal.expect("Edit ").unwrap();
    terminal.expect("q: quit").unwrap();
    terminal.send("q\n").unwrap();
    terminal.expect(Eof).unwrap();
}
