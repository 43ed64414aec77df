//! The program is stopped and goes on, as with Ctrl-Z and fg, while it waits for replies.

use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

#[test]
fn a_program_that_was_stopped_still_gets_its_replies() {
    // WAIT makes it wait.
    let arguments = ["--question", "18", "--json"];
    let mut program = Command::new(env!("CARGO_BIN_EXE_interview"))
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let pid = Pid::from_child(&program);
    while program.try_wait().unwrap().is_none() {
        kill_process(pid, Signal::STOP).unwrap();
        kill_process(pid, Signal::CONT).unwrap();
        std::thread::sleep(Duration::from_millis(1));
    }
    let output = program.wait_with_output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{text}");
    assert!(text.contains(r#""as_expected":true"#) && !text.contains(r#""as_expected":false"#), "{text}");
}
