//! The mock interview: in a terminal, and with its keys from a pipe.

use std::io::Write;
use std::path::Path;
use std::process::{Output, Stdio};

use interview::guide::Guide;
use serde_json::Value;

use crate::quiz::quiz;
use crate::support::{interview, run};

/// Runs a mock interview on these lines of input; the exit code and both outputs.
fn piped(data: &Path, arguments: &[&str], input: &str) -> (i32, String, String) {
    let mut command = interview(data);
    command.arg("--mock").args(arguments);
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // It may have ended before it read all of it.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    let Output { status, stdout, stderr } = child.wait_with_output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status.code().unwrap(), text(stdout), text(stderr))
}

fn result(data: &Path, arguments: &[&str], input: &str) -> Value {
    let (code, output, error) = piped(data, &[arguments, &["--json"]].concat(), input);
    assert_eq!(code, 0, "{error}");
    let mut document: Value = serde_json::from_str(&output).unwrap();
    document["mock"].take()
}

#[test]
fn a_question_its_follow_ups_and_the_score() {
    let data = tempfile::tempdir().unwrap();
    let mut terminal = quiz(data.path(), &["--mock", "1h30m", "--question", "1"]);
    terminal.enter_at(&["A mock interview of", "--seed ", "1. ", " left. Enter shows the answer"], "");
    terminal.enter_at(&["Say:", "Trap:", "left. g good, h hard, a again"], "");
    terminal.enter_at(&["none of the keys"], "g");
    for grade in ["g", "h"] {
        terminal.enter_at(&["They ask next:", "Enter shows the answer"], "");
        terminal.enter_at(&["Say:", "g good, h hard"], grade);
    }
    terminal.ends_after(
        &[
            "All questions were asked",
            "83%",
            "Read next",
            "cargo tour strings",
            "cargo interview --question 1",
        ],
        0,
    );
    quiz(data.path(), &["--question", "1"]).quits_after(&["0 due, 0 new, 1 for later"]);
}

#[test]
fn it_ends_when_the_time_is_up_even_while_it_waits() {
    let data = tempfile::tempdir().unwrap();
    // No key is pressed.
    quiz(data.path(), &["--mock", "1s"]).ends_after(&["Time is up, after ", "Nothing was graded"], 0);
}

#[test]
fn ctrl_c_loses_no_grade() {
    let data = tempfile::tempdir().unwrap();
    let mut terminal = quiz(data.path(), &["--mock", "45m", "--question", "2"]);
    terminal.enter_at(&["Enter shows the answer"], "");
    terminal.enter_at(&["g good"], "g");
    terminal.shows(&["They ask next:", "Enter shows the answer"]);
    terminal.press(3);
    terminal.ends_after(&[], 130);
    quiz(data.path(), &["--question", "2"]).quits_after(&["0 new, 1 for later"]);
}

#[test]
fn keys_may_come_from_a_pipe_and_a_seed_repeats_it() {
    let data = tempfile::tempdir().unwrap();
    let arguments = ["45m", "--level", "senior", "--seed", "7"];
    // A question that was missed has no follow-ups.
    let first = result(data.path(), &arguments, "\na\n\na\n\na\nq\n");
    assert_eq!(
        (&first["ended"], &first["seed"], &first["seconds"]),
        (&"quit".into(), &7.into(), &2700.into())
    );
    assert_eq!((&first["again"], &first["score_percent"]), (&3.into(), &0.into()));
    let numbers = |result: &Value, list: &str| -> Vec<u64> {
        result[list].as_array().unwrap().iter().map(|entry| entry["number"].as_u64().unwrap()).collect()
    };
    let asked = numbers(&first, "answers");
    assert_eq!(numbers(&first, "read_next"), asked);
    let guide = Guide::built_in().unwrap();
    let senior = guide.questions().filter(|(_, question)| question.level.name() != "beginner");
    let senior: Vec<u64> = senior.map(|(_, question)| question.number as u64).collect();
    assert!(asked.iter().all(|number| senior.contains(number)), "{asked:?}");

    let again = result(data.path(), &arguments, "\na\n\na\n\na\nq\n");
    assert_eq!(numbers(&again, "answers"), asked);
    let other = result(data.path(), &["45m", "--level", "senior", "--seed", "8"], "\na\n\na\n\na\n");
    assert_ne!(numbers(&other, "answers"), asked);
    assert_eq!(other["ended"], "end_of_input");
}

#[test]
fn without_input_it_ends_at_once() {
    let data = tempfile::tempdir().unwrap();
    let (code, output, error) = run(interview(data.path()).args(["--mock", "45m"]));
    assert_eq!(code, 0, "{error}");
    assert!(output.contains("Nothing was graded, so there is no score."), "{output}");
    assert!(!output.contains('\u{1b}'), "{output}");
}

#[test]
fn a_wrong_time_or_flag_is_explained() {
    let data = tempfile::tempdir().unwrap();
    for (arguments, expected) in [
        (vec!["0"], "a time is 45m, 1h30m, or 90s"),
        (vec!["-5m"], "a time is 45m, 1h30m, or 90s"),
        (vec!["45"], "45 of what? Add a unit: 45m for minutes"),
        (vec!["soon"], "a time is 45m, 1h30m, or 90s"),
        (vec![], "a value is required"),
        (vec!["45m", "--all"], "cannot be used with"),
        (vec!["45m", "--list"], "cannot be used with"),
        (vec!["45m", "--seed", "x"], "invalid digit"),
    ] {
        let (code, _, error) = piped(data.path(), &arguments, "");
        assert_eq!(code, 2, "{arguments:?}: {error}");
        assert!(error.contains(expected), "{arguments:?}: {error}");
    }
    let (code, _, error) = run(interview(data.path()).args(["--seed", "7"]));
    assert_eq!(code, 2, "{error}");
}
